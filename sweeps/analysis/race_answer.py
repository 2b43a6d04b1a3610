"""The answer of a raced study: the race found again in the records, its sweet spot, and what is said beside it.

The rule. Rungs have different numbers of splits. What was decided stays decided (races); alpha* is the best of the rungs still
tied, on the splits that these have in common; its gain over plain training is paired on them. The other of the two risks, by
which nothing was decided, is judged on those splits alone that every rung has, where no rung was selected. A mean over splits
speaks of a rung's own splits. Refuses to know statistics and the ledger.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sweeps.analysis.arms import compare
from sweeps.analysis.comparison import ArmStudy, Contender
from sweeps.analysis.ladder import Ladder, Rows, alpha_of, final_metric, knobs, overlap_of
from sweeps.analysis.races import BUDGET, MET, SPLITS, Field, Race, Result, places, run_race, seen, tables
from sweeps.analysis.results import ArmResult, CapacityResult, SweetSpot
from sweeps.analysis.sweet_spot import gain_over_erm, hull, judge, sweet_spot, undecided
from sweeps.records import FINAL_STATES, FINISHED, MEASURE, TrialRecord, arm_name, rung_name


class RacedStudy(ArmStudy, Protocol):
    """What is asked of a study: its arms, and the metric that a race is decided by."""

    @property
    def objective(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Raced:
    """The race of one capacity, found in its records. `numbers`: its number of each rung and named arm, by name."""

    race: Race
    field: Field
    results: tuple[Result, ...]
    numbers: dict[str, int]

    @property
    def asked(self) -> dict[str, int]:
        """How many trials were asked of each rung and arm so far, by name."""
        return {name: self.race.asked_A[number] * self.field.per_split for name, number in self.numbers.items()}


def find_race(
    ladder: Ladder, arms: Sequence[Contender], trials: Sequence[TrialRecord], rows: Rows, study: RacedStudy,
) -> Raced | None:
    """The race of a capacity, by the results of the trials that ended; None where the study asks for none, or nothing has begun.

    Of the named arms those race that could be run and do not come to the trials of another.
    """
    measure = study.measure
    if measure.until is None or not ladder.cells:
        return None
    numbers = {rung_name(alpha): number for number, alpha in enumerate(measure.alphas)}
    for number, arm in enumerate([arm for arm in arms if not arm.is_rung], start=len(measure.alphas)):
        possible = bool(arm.trials) or study.arm_config(ladder.capacity, ladder.setting, arm.name) is not None
        numbers |= {arm.name: number} if possible and arm.same_as is None else {}
    results = [(numbers[name], trial.split, trial.repeat, final_metric(trial, rows, study.objective))
               for name, trial in named(ladder, arms) if name in numbers]
    results += [(numbers[name], trial.split, trial.repeat, None) for name, trial in failed(ladder, trials) if name in numbers]
    fields = next(iter(ladder.cells.values()))[0].config
    field = Field(alphas=tuple(measure.alphas), splits=measure.splits, per_split=measure.num_replicates // measure.splits,
                  arms=tuple(number for number in numbers.values() if number >= len(measure.alphas)), overlap=overlap_of(fields))
    return Raced(race=run_race(results, field, measure.until), field=field, results=tuple(results), numbers=numbers)


def named(ladder: Ladder, arms: Sequence[Contender]) -> list[tuple[str, TrialRecord]]:
    """The finished trials of a capacity's rungs and named arms, each with its name."""
    rungs = [(rung_name(alpha), trial) for (alpha, _), cell in ladder.cells.items() for trial in cell]
    return rungs + [(arm.name, trial) for arm in arms if not arm.is_rung and arm.same_as is None for trial in arm.trials]


def failed(ladder: Ladder, trials: Sequence[TrialRecord]) -> list[tuple[str, TrialRecord]]:
    """The trials of a capacity that ended without a result, each with its name; rungs at the ladder's own setting only."""
    chosen = {(name, repr(value)) for name, value in ladder.setting.items()}
    mine = [trial for trial in trials if (trial.stage, trial.capacity) == (MEASURE, ladder.capacity)
            and trial.state in FINAL_STATES and trial.state != FINISHED]
    return [(arm_name(trial.origin) or rung_name(alpha_of(trial)), trial) for trial in mine
            if arm_name(trial.origin) is not None or set(knobs(trial)) <= chosen]


def with_race(result: CapacityResult, raced: Raced | None, ladder: Ladder, rows: Rows, objective: str) -> CapacityResult:
    """A capacity's result by the rule above, where it was raced."""
    if raced is None:
        return result
    other = "val/loss" if objective != "val/loss" else "val/error"
    table_SA = ladder.table(rows, other)
    planned = [ladder.alphas.index(alpha) for alpha in raced.field.alphas]
    common_SA = table_SA[:, planned][np.isfinite(table_SA[:, planned]).all(axis=1)]
    spots = {objective: raced_spot(raced.race, raced.results, raced.field),
             other: sweet_spot(common_SA, raced.field.alphas, overlap=ladder.overlap)}
    arms = tuple(judged(arm, raced) for arm in result.arms)
    return replace(result, sweet_error=spots["val/error"], sweet_loss=spots["val/loss"], arms=arms)


def judged(arm: ArmResult, raced: Raced) -> ArmResult:
    """An arm's row: what is missing is what was asked for, and its place in the set is the race's."""
    number = raced.numbers.get(arm.name)
    if number is None:
        return arm
    missing = max(0, raced.asked[arm.name] - arm.num_trials)
    return replace(arm, missing=missing, in_set=bool(raced.race.best_A[number]) if raced.race.num_splits else None)


def on_race(capacity: str, raced: Raced | None) -> list[str]:
    """What stands beside a raced capacity: who was decided when, and how its rungs are compared."""
    if raced is None:
        return []
    race, splits = raced.race, raced.field.splits
    fewer: dict[str, list[str]] = {"decided sooner were": [], "paused, since the verdict does not hang on them, were": []}
    decided, paused = fewer.values()
    for name, number in raced.numbers.items():
        if (count := race.asked_A[number]) < race.num_splits:
            in_set = number < len(race.ladder_A) and bool(race.ladder_A[number])
            (paused if in_set else decided).append(f"{name} after {count}")
    told = f"{capacity}: raced; the rungs and arms that went on have {race.num_splits} of at most {splits} splits"
    told += "".join(f", {what} {', '.join(names)}" for what, names in fewer.items() if names)
    level = "the verdict is that of one test on all splits" if race.ends[0] else "at a level that holds over all looks"
    return [f"{told}. Comparisons are paired on common splits, {level}; means are over own splits."]


def raced_spot(race: Race, results: Iterable[Result], field: Field) -> SweetSpot:
    """The sweet spot at the last look: the rungs never decided against, alpha* the best of them on the splits all have in common.

    The gain over plain training is paired on those splits as well; its interval holds for all rungs and all looks at once.
    """
    risk_SA = seen(tables(results, field)[0], race, race.num_splits)[:, :len(field.alphas)]
    arms = compare(risk_SA, field.overlap)
    if arms is None or arms.mean_square == 0.0:
        return undecided(risk_SA, field.alphas, field.level)
    _, tied_A = places(race, arms, field)
    best = int(tied_A.argmin())
    kept = arms.kept_A.tolist()
    ladder = [field.alphas[place] for place in kept]
    gain, p_beats = gain_over_erm(arms, ladder, kept.index(best), 1 - race.error) if best in kept else (None, None)
    low, high = hull(field.alphas, race.ladder_A)
    return SweetSpot(
        alpha=field.alphas[best], alphas_in_set=tuple(np.asarray(field.alphas)[race.ladder_A].tolist()), low=low, high=high,
        verdict=judge(race.ladder_A), level=field.level, gain_over_erm=gain, p_beats_erm=p_beats, num_splits=race.num_splits,
        advice=advice(race, field), why_not_refined="raced: its rungs have different numbers of splits")


def advice(race: Race, field: Field) -> str:
    """One sentence: where the race stands, and what would narrow its answer."""
    if not race.over:
        return f"The race goes on: last looked at after {race.num_splits} of at most {field.splits} splits."
    more = {MET: "a stricter `until`", BUDGET: "a larger until.max_trials", SPLITS: "more splits"}[race.reason]
    return (f"The race ended after {race.num_splits} of at most {field.splits} splits, since {race.reason}; "
            f"{more} would go on from here.{foreseen_text(race, field)}")


def foreseen_text(race: Race, field: Field) -> str:
    """What is foreseen of the ends of the ladder, and how surely; empty where nothing is, or where all splits were run."""
    told = [f"alpha {alpha:g} {'in' if end.holds else 'out of'} it (probability {end.chance:.2f})"
            for alpha, end in zip((field.alphas[0], field.alphas[-1]), race.ends, strict=True) if end is not None]
    if not told or race.num_splits == field.splits:
        return ""
    return f" Foreseen for the set of all {field.splits} splits: {' and '.join(told)}."
