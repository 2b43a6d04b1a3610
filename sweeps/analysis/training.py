"""Does longer training help mixup more than plain training? The gain over alpha 0 along a ladder of epochs.

Claim of Zhang et al. (arXiv 1710.09412, section 3.1): from 90 to 200 epochs mixup gains and plain training does not. Here: the
gain is risk(alpha 0) minus risk, averaged over the rungs above 0, and its change per tenfold epochs is taken split by split,
since a split is the same data at every length. Steps of the ladder that differ in more than epochs are not compared with each
other. Refuses to know trials and files.

Axes: C steps of the ladder, S splits, A rungs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.analysis.capacity import CONTRADICTED, SUPPORTED, UNDECIDED, change_along, describe_trend
from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.results import CapacityResult, Conjecture, Estimate

EPOCHS = "epochs"


def steps_of_epochs(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Label -> epochs of the steps of a ladder that differ in epochs alone: the largest such group; {} where there is none."""
    groups: dict[str, dict[str, int]] = {}
    for label, sets in fields.items():
        if EPOCHS in sets:
            rest = repr(sorted((name, value) for name, value in sets.items() if name != EPOCHS))
            groups.setdefault(rest, {})[label] = int(sets[EPOCHS])
    largest = max(groups.values(), key=len, default={})
    return largest if len(set(largest.values())) > 1 else {}


def mean_gain(risk_SA: np.ndarray, t_A: np.ndarray) -> np.ndarray:
    """risk(alpha 0) minus the mean risk of the rungs above it, along the last axis; NaN where alpha 0 is not the first rung."""
    gain: np.ndarray = risk_SA[..., 0] - risk_SA[..., 1:].mean(axis=-1)
    return gain if t_A[0] == 0 else np.full_like(gain, np.nan)


def gain_change(risk_CSA: np.ndarray, alphas: Sequence[float], epochs_C: Sequence[int | None], *, overlap: float = 0.0,
                level: float = LEVEL) -> Estimate | None:
    """Change of the gain per tenfold epochs, t interval over splits; positive supports the claim. None: not to be had."""
    found = change_along(risk_CSA, alphas, epochs_C, mean_gain, overlap=overlap, level=level)
    return found if found is not None and np.isfinite(found.value) else None


def judge_training(change: Estimate | None, steps: Sequence[tuple[CapacityResult, int]], objective: str) -> Conjecture:
    """The verdict with its sentence, and where alpha's sweet spot went with epochs."""
    verdict = UNDECIDED
    if change is not None and change.low is not None and change.high is not None:
        verdict = SUPPORTED if change.low > 0 else CONTRADICTED if change.high < 0 else UNDECIDED
    text = f"{_describe(change, objective)} That longer training helps mixup more than plain training is {verdict}"
    text += " at this budget. " if verdict == UNDECIDED else ". "
    return Conjecture(interaction=change, verdict=verdict, text=(text + describe_trend(steps, objective, EPOCHS)).strip())


def _describe(change: Estimate | None, objective: str) -> str:
    if change is None:
        return "The change of mixup's gain with epochs needs two lengths measured at alpha 0 and above on one split."
    scale, unit = (1, "nats") if objective == "val/loss" else (100, "points")
    text = (f"Per tenfold epochs the gain of mixup over plain training (mean of the rungs above alpha 0) changes by "
            f"{scale * change.value:+.3g} {unit}")
    if change.low is None or change.high is None:
        return f"{text}; an interval needs at least two splits."
    return f"{text} (interval {scale * change.low:+.3g} to {scale * change.high:+.3g})."
