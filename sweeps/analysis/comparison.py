"""Named arms and the rungs of the ladder in one table: each one's risk, its difference from plain training, the best set.

Two statements, for two questions. The difference of an arm from the baseline is Student's t on per-split differences:
for that arm alone, not corrected for how many there are. Which arms may be the best is the confidence set of sweet_spot
(multiple comparisons with the best), over all arms at once. An arm that lacks replicates gets no place in the set: those
that are left may be a favourable selection. Owns which trials are an arm's; refuses to know plans and the ledger.

Axes: S splits, A arms: the rungs of the ladder, ascending from alpha 0 (the baseline), then the named arms.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sweeps.analysis.arms import compare
from sweeps.analysis.intervals import LEVEL, mean_estimate
from sweeps.analysis.ladder import Ladder, MeasureLike, Rows, mean_of_seeds, overlap_ratio
from sweeps.analysis.results import ArmResult, Estimate
from sweeps.analysis.sweet_spot import confidence_set
from sweeps.records import FINISHED, MEASURE, TrialRecord, arm_name, rung_name


class ArmConfig(Protocol):
    """A whole configuration, by the digest of its setting."""

    def arm_key(self) -> str: ...


class ArmStudy(Protocol):
    """What is asked of a study: its arms, and what each is at a measured setting (None: it cannot be there)."""

    @property
    def measure(self) -> MeasureLike: ...
    def arm_config(self, capacity: str, chosen: Mapping[str, Any], name: str) -> ArmConfig | None: ...


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A rung or a named arm of one capacity with its finished trials. `same_as`: the place of an earlier one with the same."""

    name: str
    sets: dict[str, Any]
    is_rung: bool
    trials: tuple[TrialRecord, ...]
    same_as: int | None = None


def contenders(ladder: Ladder, trials: Sequence[TrialRecord], study: ArmStudy) -> tuple[Contender, ...]:
    """The rungs of a ladder, then the arms at its setting; nothing where the study names no arms.

    Trials are known by their configuration and not by the name they were run under: an arm may be renamed, may turn out
    to be another arm or a rung (it then shows their trials), or may have been measured at a setting that is the best no
    longer (those trials are left out).
    """
    if not study.measure.arms:
        return ()
    finished = [trial for trial in trials
                if (trial.stage, trial.capacity, trial.state) == (MEASURE, ladder.capacity, FINISHED)]
    chosen = measured_setting(ladder, finished, study.measure.arms)
    found = [Contender(name=rung_name(alpha), sets={"alpha": alpha}, is_rung=True, trials=tuple(ladder.trials(alpha)))
             for alpha in ladder.alphas]
    first = {rung.trials[0].arm_key: place for place, rung in enumerate(found) if rung.trials}
    for name, sets in study.measure.arms.items():
        config = study.arm_config(ladder.capacity, chosen, name)
        key = config.arm_key() if config else ""
        own = tuple(sorted((trial for trial in finished if config and trial.arm_key == key), key=lambda trial: trial.replicate))
        same_as = first.setdefault(key, len(found)) if own else len(found)
        found.append(Contender(name=name, sets=dict(sets), is_rung=False, trials=own,
                               same_as=None if same_as == len(found) else same_as))
    return tuple(found)


def measured_setting(ladder: Ladder, trials: Sequence[TrialRecord], arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The setting that the arms were changed from: the ladder's, and axes that exist only beside what some arm sets."""
    chosen = dict(ladder.setting)
    for trial in trials:
        sets = arms.get(arm_name(trial.origin) or "")
        if sets is None:
            continue
        rest = {name: value for name, value in trial.setting.items() if name != "alpha" and name not in sets}
        if all(ladder.setting.get(name, value) == value for name, value in rest.items()):
            chosen = {**rest, **chosen}
    return chosen


def compare_arms(arms: Sequence[Contender], rows: Rows, objective: str, *, planned: int, level: float = LEVEL,
                 ) -> tuple[ArmResult, ...]:
    """One row an arm, in the order given; the first is the baseline. `planned`: replicates asked of each.

    Risk is `objective`, a metric of the trials. Test metrics are shown and choose nothing.
    """
    measured = [trial for arm in arms for trial in arm.trials]
    overlap = overlap_ratio(measured[0]) if measured else 0.0
    risk_SA = table(arms, rows, objective)
    changes = differences(risk_SA, overlap=overlap, level=level)
    judged = [len(arm.trials) >= planned and arm.same_as is None for arm in arms]
    in_set = best_set(risk_SA, judged, overlap=overlap, level=level)
    means = {metric: [mean_estimate(column, overlap=overlap, level=level, within=(0.0, 1.0 if "error" in metric else math.inf))
                      for column in table(arms, rows, metric).T] for metric in ("val/error", "val/loss", "test/error")}
    return tuple(
        ArmResult(name=arm.name, sets=arm.sets, is_rung=arm.is_rung, num_trials=len(arm.trials),
                  same_as="" if arm.same_as is None else arms[arm.same_as].name,
                  num_splits=len({trial.split for trial in arm.trials}), missing=max(0, planned - len(arm.trials)),
                  val_error=means["val/error"][place], val_loss=means["val/loss"][place],
                  test_error=means["test/error"][place], difference=changes[place],
                  in_set=in_set[place if arm.same_as is None else arm.same_as])
        for place, arm in enumerate(arms))


def table(arms: Sequence[Contender], rows: Rows, metric: str) -> np.ndarray:
    """The metric at the end of the trials, averaged over redraws and repeats: (S, A), NaN where a cell has no finite result."""
    splits = sorted({trial.split for arm in arms for trial in arm.trials})
    table_SA = np.full((len(splits), len(arms)), math.nan)
    for place, arm in enumerate(arms):
        for row, split in enumerate(splits):
            table_SA[row, place] = mean_of_seeds([trial for trial in arm.trials if trial.split == split], rows, metric)
    return table_SA


def differences(risk_SA: np.ndarray, *, overlap: float = 0.0, level: float = LEVEL) -> list[Estimate | None]:
    """Each arm's risk minus the first's, paired by split, with a t interval (n - 1 degrees of freedom); negative is better.

    Splits that lack one of the two are left out. None for the first itself, and where no split has both.
    """
    found = [mean_estimate(column_S - risk_SA[:, 0], overlap=overlap, level=level) for column_S in risk_SA.T[1:]]
    return [None, *(each if math.isfinite(each.value) else None for each in found)]


def best_set(risk_SA: np.ndarray, judged: Sequence[bool], *, overlap: float = 0.0, level: float = LEVEL) -> list[bool | None]:
    """Whether each arm cannot be told from the best: the truly best one is in with probability `level` or more.

    Only the `judged` arms take part, and of several with the very same risks (a method at its null setting is plain
    training, bit for bit) only one: twins would pass for an arm without noise. None for the others, and for all where the
    splits cannot judge their noise: fewer than two arms or splits, or risks that do not differ.
    """
    twins: dict[bytes, list[int]] = {}
    for place, takes_part in enumerate(judged):
        if takes_part:
            twins.setdefault(np.ascontiguousarray(risk_SA[:, place]).tobytes(), []).append(place)
    groups = list(twins.values())
    verdicts: list[bool | None] = [None] * len(judged)
    arms = compare(risk_SA[:, [group[0] for group in groups]], overlap) if groups else None
    if arms is not None and arms.mean_square > 0.0:
        for index, inside in zip(arms.kept_A.tolist(), confidence_set(arms, level).tolist(), strict=True):
            for place in groups[index]:
                verdicts[place] = inside
    return verdicts
