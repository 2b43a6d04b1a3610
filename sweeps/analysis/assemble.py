"""The answer of a study from its trials: ladder, sweet spots and decompositions per capacity; search; timeline.

Pure assembly, valid at any moment of a run. Owns which analysis gets which numbers. Refuses to read the ledger or
files: predictions come through a callable.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from sweeps.analysis import notes, provenance
from sweeps.analysis.bias_variance import decompose
from sweeps.analysis.capacity import clean_error_slope, interaction, judge_conjecture
from sweeps.analysis.comparison import ArmStudy, Contender, compare_arms, contenders
from sweeps.analysis.intervals import mean_estimate
from sweeps.analysis.ladder import Ladder, Rows, build_ladder, final_metric
from sweeps.analysis.race_answer import find_race, on_race, with_race
from sweeps.analysis.refinement import with_refinement
from sweeps.analysis.results import AlphaPoint, Bar, CapacityResult, Conjecture, Decomposition, Estimate, SearchTrial, StudyResults
from sweeps.analysis.slopes import bias_variance_slopes
from sweeps.analysis.sweet_spot import no_ladder, sweet_spot
from sweeps.analysis.training import gain_change, judge_training, steps_of_epochs
from sweeps.records import ENDED, FINISHED, SEARCH, TRIAL_STATES, AttemptRecord, TrialRecord
from trainable.moments import epsilon

LoadPredictions = Callable[[TrialRecord], np.ndarray | str | None]
"""Log-probabilities (test examples, classes) of a finished trial; None when there are none, a text where they are refused
and why. Called anew each time they are needed, so that those of one trial alone are in memory."""

POINT_METRICS = {
    "val_error": "val/error", "val_loss": "val/loss", "test_error": "test/error", "test_loss": "test/loss",
    "train_clean_error": "train_clean/error", "train_clean_loss": "train_clean/loss", "gap_error": "gap/error",
}
POSSIBLE = {field: (-math.inf if "gap" in field else 0.0, 1.0 if "error" in field else math.inf) for field in POINT_METRICS}
"""What each can be: errors lie in [0, 1], losses are not negative."""


class CapacityLike(Protocol):
    """A step of the model ladder, by its label, and the fields that it sets."""

    @property
    def label(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, Any]: ...


class StudyLike(ArmStudy, Protocol):
    """What the analysis asks of a study."""

    @property
    def name(self) -> str: ...
    @property
    def objective(self) -> str: ...
    @property
    def capacities(self) -> Sequence[CapacityLike]: ...


def analyse(
    study: StudyLike, trials: Sequence[TrialRecord], rows: Rows, attempts: Sequence[AttemptRecord],
    load_predictions: LoadPredictions, test_labels: np.ndarray | None,
) -> StudyResults:
    """Everything the study can say so far; `importance` stays empty (see importance.with_importance).

    Only finished trials enter a number; `notes` says what is missing and what the intervals cover. Without test labels
    there is no bias and no variance.
    """
    labels = dict.fromkeys([capacity.label for capacity in study.capacities] + [trial.capacity for trial in trials])
    ladders = [build_ladder(label, trials, study.measure) for label in labels]
    races = [find_race(ladder, contenders(ladder, trials, study), trials, rows, study) for ladder in ladders]
    ladders = [replace(ladder, asked=raced.asked) if raced else ladder for ladder, raced in zip(ladders, races, strict=True)]
    told: list[str] = [*notes.on_randomness(ladders, study.measure), *notes.on_progress(trials, ladders)]
    capacities = []
    for ladder, raced in zip(ladders, races, strict=True):
        result, problems = capacity_result(ladder, rows, load_predictions, test_labels)
        arms = contenders(ladder, trials, study)
        result = with_arms(with_curve(result, ladder, rows, study.objective), ladder, arms, rows, study.objective)
        capacities.append(with_race(result, raced, ladder, rows, study.objective))
        told += on_race(ladder.capacity, raced)
        told += [*notes.on_pairing(ladder, rows, study.objective), *notes.on_gaps(ladder, rows, study.objective, trials), *problems]
        told += notes.on_arms(ladder, arms, trials)
    merged, differences = provenance.merge(trial for trial in trials if trial.state == FINISHED)
    return StudyResults(
        study=study.name, objective=study.objective, capacities=tuple(capacities),
        conjecture=judge_conjecture(conjectured_change(ladders, rows), capacities, study.objective),
        training=longer_training(study, ladders, capacities, rows),
        search=search_trials(trials, rows, study.objective), importance={}, timeline=timeline(trials, rows, attempts),
        counts=count(trials), provenance=merged, notes=(*told, *differences))


def capacity_result(
    ladder: Ladder, rows: Rows, load_predictions: LoadPredictions, test_labels: np.ndarray | None,
) -> tuple[CapacityResult, list[str]]:
    """One capacity, and what was wrong with its predictions. A rung without any result has no point."""
    tables = {field: ladder.table(rows, metric) for field, metric in POINT_METRICS.items()}
    points, problems = [], []
    for place, alpha in enumerate(ladder.alphas):
        if not ladder.trials(alpha):
            continue
        estimates = {field: mean_estimate(table_SA[:, place], overlap=ladder.overlap, within=POSSIBLE[field])
                     for field, table_SA in tables.items()}
        decomposed, problem = decompose_rung(ladder, alpha, load_predictions, test_labels)
        problems += [f"{ladder.capacity}, alpha {alpha:g}: {problem}"] if problem else []
        points.append(alpha_point(ladder, alpha, estimates, decomposed))
    return CapacityResult(
        capacity=ladder.capacity, num_parameters=ladder.num_parameters, setting=ladder.setting, points=tuple(points),
        sweet_error=sweet_spot(tables["val_error"], ladder.alphas, overlap=ladder.overlap),
        sweet_loss=sweet_spot(tables["val_loss"], ladder.alphas, overlap=ladder.overlap),
        clean_error_slope=clean_error_slope(tables["train_clean_error"], ladder.alphas, overlap=ladder.overlap),
    ), problems


def with_curve(result: CapacityResult, ladder: Ladder, rows: Rows, objective: str) -> CapacityResult:
    """A capacity with alpha* refined between the rungs, and the slopes of bias and variance, as far as the data go."""
    error, loss = (with_refinement(spot, ladder.table(rows, metric), ladder.alphas, overlap=ladder.overlap)
                   for spot, metric in ((result.sweet_error, "val/error"), (result.sweet_loss, "val/loss")))
    return replace(result, sweet_error=error, sweet_loss=loss, slopes=bias_variance_slopes(result.points, objective))


def with_arms(result: CapacityResult, ladder: Ladder, arms: Sequence[Contender], rows: Rows, objective: str) -> CapacityResult:
    """A capacity with its arms compared, where there are any; beside them the ladder may be alpha 0 alone."""
    if not arms:
        return result
    compared = compare_arms(arms, rows, objective, planned=ladder.planned_per_rung)
    if len(ladder.alphas) > 1:
        return replace(result, arms=compared)
    alone = no_ladder(len(ladder.splits))
    return replace(result, arms=compared, sweet_error=alone, sweet_loss=alone)


def alpha_point(
    ladder: Ladder, alpha: float, estimates: dict[str, Estimate],
    decomposed: tuple[Decomposition, Decomposition] | None,
) -> AlphaPoint:
    trials = ladder.trials(alpha)
    squared, entropic = decomposed or (None, None)
    return AlphaPoint(
        alpha=alpha, epsilon=epsilon(alpha), num_trials=len(trials), missing=ladder.missing(alpha),
        num_splits=len({trial.split for trial in trials}), **estimates,
        bias2=squared.bias if squared else None, variance=squared.variance if squared else None,
        kl_bias=entropic.bias if entropic else None, kl_variance=entropic.variance if entropic else None,
        decompositions=decomposed or ())


def decompose_rung(
    ladder: Ladder, alpha: float, load_predictions: LoadPredictions, test_labels: np.ndarray | None,
) -> tuple[tuple[Decomposition, Decomposition] | None, str]:
    """(decompositions, problem) of a rung's stored predictions; None with fewer than two models.

    A trial whose predictions are missing or refused is left out of bias and variance, and a split with none left as well;
    what the others say is corrected for their number. The problem counts those left out, by reason.
    """
    trials = ladder.trials(alpha)
    if test_labels is None or len(trials) < 2:
        return None, ""
    stored = Stored(trials, load_predictions)
    try:
        decomposed = decompose([trial.split for trial in trials], stored, test_labels,
                               repeats=[trial.repeat for trial in trials], overlap=ladder.overlap)
    except ValueError as error:
        return None, f"no bias and variance: {error}."
    if decomposed[0].num_models < 2:
        return None, stored.problem()
    if decomposed[0].variance is None:
        return decomposed, f"{stored.problem()} all models share one split; seeds alone do not give the variance.".strip()
    return decomposed, stored.problem()


class Stored(Sequence[np.ndarray | None]):
    """The predictions of trials, read anew at each access; remembers whose are missing or refused, and why."""

    def __init__(self, trials: Sequence[TrialRecord], load: LoadPredictions) -> None:
        self._trials, self._load = trials, load
        self.refused: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, place: Any) -> Any:
        found = self._load(self._trials[place])
        if found is None or isinstance(found, str):
            self.refused[place] = found or "missing"
            return None
        return found

    def problem(self) -> str:
        """How many of the trials are left out, by reason; empty where all have predictions."""
        told = ", ".join(f"{count} {why}" for why, count in sorted(Counter(self.refused.values()).items()))
        left_out = f"predictions of {len(self.refused)} of {len(self)} trials are left out of bias and variance"
        return f"{left_out} ({told})." if told else ""


def conjectured_change(ladders: Sequence[Ladder], rows: Rows) -> Estimate | None:
    """The interaction of slope and size over the rungs and splits that any capacity has."""
    stacked = stack(ladders, rows, "train_clean/error")
    if stacked is None:
        return None
    error_CSA, alphas = stacked
    return interaction(error_CSA, alphas, [ladder.num_parameters for ladder in ladders],
                       overlap=max(ladder.overlap for ladder in ladders))


def longer_training(study: StudyLike, ladders: Sequence[Ladder], capacities: Sequence[CapacityResult], rows: Rows,
                    ) -> Conjecture | None:
    """Whether longer training helps mixup more, where steps of the ladder differ in epochs alone; else None."""
    epochs = steps_of_epochs({capacity.label: capacity.fields for capacity in study.capacities})
    if not epochs:
        return None
    mine = [ladder for ladder in ladders if ladder.capacity in epochs]
    stacked, change = stack(mine, rows, study.objective), None
    if stacked is not None:
        risk_CSA, alphas = stacked
        change = gain_change(risk_CSA, alphas, [epochs[ladder.capacity] for ladder in mine],
                             overlap=max(ladder.overlap for ladder in mine))
    steps = [(result, epochs[result.capacity]) for result in capacities if result.capacity in epochs]
    return judge_training(change, steps, study.objective)


def stack(ladders: Sequence[Ladder], rows: Rows, metric: str) -> tuple[np.ndarray, list[float]] | None:
    """The metric over ladders, splits and rungs that any of them has (C, S, A), and those alphas; None where there is none."""
    alphas = sorted({alpha for ladder in ladders for alpha in ladder.alphas})
    splits = sorted({split for ladder in ladders for split in ladder.splits})
    if not ladders or not splits:
        return None
    error_CSA = np.full((len(ladders), len(splits), len(alphas)), np.nan)
    for place, ladder in enumerate(ladders):
        places_S = [splits.index(split) for split in ladder.splits]
        places_A = [alphas.index(alpha) for alpha in ladder.alphas]
        error_CSA[place][np.ix_(places_S, places_A)] = ladder.table(rows, metric)
    return error_CSA, alphas


def search_trials(trials: Sequence[TrialRecord], rows: Rows, objective: str) -> tuple[SearchTrial, ...]:
    """The search stage in order of its asks, capacity by capacity. Only a finished trial has a value."""
    asked = [trial for trial in trials if trial.stage == SEARCH]
    return tuple(
        SearchTrial(number=trial.number, capacity=trial.capacity, setting=dict(trial.setting), state=trial.state,
                    value=final_metric(trial, rows, objective) if trial.state == FINISHED else None,
                    ended_at=trial.ended_at, origin=trial.origin)
        for trial in sorted(asked, key=lambda trial: (trial.capacity, trial.number)))


def timeline(trials: Sequence[TrialRecord], rows: Rows, attempts: Sequence[AttemptRecord]) -> tuple[Bar, ...]:
    """One bar per attempt: an open one reaches to its last known epoch, an ended one shows its trial's state."""
    by_id = {trial.id: trial for trial in trials}
    bars = []
    for attempt in sorted(attempts, key=lambda attempt: (attempt.started_at, attempt.id)):
        if (trial := by_id.get(attempt.trial_id)) is None:
            continue
        last = max((row.at for row in rows.get(trial.id, ())), default=attempt.started_at)
        end = attempt.ended_at if attempt.ended_at is not None else max(last, attempt.started_at)
        bars.append(Bar(worker=attempt.worker, start=attempt.started_at, end=end, stage=trial.stage,
                        capacity=trial.capacity, key=trial.key,
                        state=trial.state if attempt.state == ENDED else attempt.state))
    return tuple(bars)


def count(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Trials per state (all states, also those without a trial), and `total`."""
    found = Counter(trial.state for trial in trials)
    return {**{state: found[state] for state in TRIAL_STATES}, "total": len(trials)}
