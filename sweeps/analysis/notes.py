"""The sentences that must stand beside the numbers: which randomness they cover, what is missing, what does not fit.

Pure text from ladders and records. Refuses to compute any result.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from sweeps.analysis.arms import comparable
from sweeps.analysis.comparison import Contender
from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.ladder import Ladder, MeasureLike, Rows, sizes
from sweeps.records import FAILED, FINISHED, MEASURE, Decision, TrialRecord, arm_name, rung_name

MAX_TROUBLES = 10
"""Notes on single trials that are written out; the rest are counted."""
FEWEST_PAIRED = 4
"""Splits without which a ratio of variances says nothing."""


def on_randomness(ladders: Sequence[Ladder], measure: MeasureLike) -> list[str]:
    """What the intervals speak of, and what they do not."""
    ladders = [ladder for ladder in ladders if ladder.cells]
    if not ladders:
        return []
    per_split = "one seed" if measure.seeds == 1 else f"the mean of {measure.seeds} seeds"
    notes = [f"Intervals cover the draw of training and validation split ({per_split} per split) at {100 * LEVEL:g} %."]
    if (overlap := max(ladder.overlap for ladder in ladders)) > 0:
        known = all(sizes(found[0]) for ladder in ladders for found in ladder.cells.values())
        source = "" if known else ", that of default sizes since the trials did not record theirs"
        notes.append("Splits are drawn from one pool and overlap, so variances of means carry 1/S + n_val/n_train = "
                     f"1/S + {overlap:.3g} (Nadeau-Bengio{source}); variance between models stays a lower bound.")
    else:
        notes.append("Splits share no examples.")
    notes.append("All models are scored on one common test set: its own sampling noise is in no interval. "
                 "Test metrics chose nothing.")
    return notes


def on_pairing(ladder: Ladder, rows: Rows, metric: str) -> list[str]:
    """How much less the difference of two rungs varies for being taken on the same split with the same random numbers."""
    table_SA = ladder.table(rows, metric)
    table_SA = table_SA[np.isfinite(table_SA).all(axis=1)]
    num_splits, num_rungs = table_SA.shape
    if num_splits < FEWEST_PAIRED or num_rungs < 2:
        return []
    centred_SA = table_SA - table_SA.mean(axis=0)
    squares = float((centred_SA**2).sum())
    alone = (num_rungs - 1) * squares
    paired = num_rungs * squares - float((centred_SA.sum(axis=1) ** 2).sum())
    if paired <= 1e-12 * alone:
        return []
    return [f"{ladder.capacity}: on the same split, with common weights, order and random numbers, the difference of two rungs has "
            f"1/{alone / paired:.2g} of the variance that it would have unpaired (all pairs of rungs; n = {num_splits} splits)."]


def on_progress(trials: Sequence[TrialRecord], ladders: Sequence[Ladder]) -> list[str]:
    """What is not there: trials still to come, and failures by class."""
    notes = []
    planned = sum(ladder.planned(rung_name(alpha)) for ladder in ladders for alpha in ladder.alphas)
    finished = sum(len(found) for ladder in ladders for found in ladder.cells.values())
    if finished < planned:
        notes.append(f"{finished} of {planned} planned trials of the ladder have a result.")
    for stage in dict.fromkeys(trial.stage for trial in trials):
        failures = Counter(trial.failure_class or "unknown" for trial in trials
                           if trial.stage == stage and trial.state == FAILED)
        if failures:
            told = ", ".join(f"{count} {name}" for name, count in sorted(failures.items()))
            notes.append(f"{sum(failures.values())} trials of the {stage} stage failed: {told}.")
    return notes


def on_gaps(ladder: Ladder, rows: Rows, metric: str, trials: Sequence[TrialRecord]) -> list[str]:
    """Rungs with missing replicates, and those that the sweet spot leaves out."""
    notes = []
    missing = {alpha: ladder.missing(alpha) for alpha in ladder.alphas if ladder.missing(alpha)}
    if missing and ladder.cells:
        told = ", ".join(f"{count} at alpha {alpha:g}" for alpha, count in missing.items())
        notes.append(f"{ladder.capacity}: results are missing ({told}); "
                     "these rungs are compared on the splits they have.")
    table_SA = ladder.table(rows, metric)
    dropped = sorted(set(range(len(ladder.alphas))) - set(comparable(table_SA).tolist()))
    if dropped and not ladder.asked and np.isfinite(table_SA).any():
        told = ", ".join(f"{ladder.alphas[place]:g}" for place in dropped)
        notes.append(f"{ladder.capacity}: alpha {told} left out of the sweet spot: results on fewer than half of the "
                     "splits, or on none that other rungs share.")
    diverged = sorted({float(trial.config["alpha"]) for trial in trials if trial.stage == MEASURE
                       and trial.capacity == ladder.capacity and trial.failure_class == "DIVERGED"
                       and arm_name(trial.origin) is None})
    if diverged:
        notes.append(f"{ladder.capacity}: training diverged at alpha {', '.join(f'{alpha:g}' for alpha in diverged)}; "
                     "what is left of these rungs is a favourable selection.")
    if ladder.strays:
        notes.append(f"{ladder.capacity}: {ladder.strays} trials were measured at another setting of the other knobs "
                     "and are left out.")
    return notes


def on_trouble(decisions: Sequence[Decision], trials: Sequence[TrialRecord]) -> list[str]:
    """What trials went on in spite of, such as a checkpoint that was damaged. `decisions`: those of kind `noted`."""
    key_of = {trial.id: trial.key for trial in trials}
    told = [f"trial {key_of.get(noted.trial_id or 0, '?')}: {noted.detail.get('text')}" for noted in decisions]
    left_out = [f"... and {len(told) - MAX_TROUBLES} more such notes."] if len(told) > MAX_TROUBLES else []
    return [*told[:MAX_TROUBLES], *left_out]


def on_arms(ladder: Ladder, arms: Sequence[Contender], trials: Sequence[TrialRecord]) -> list[str]:
    """What is missing of the named arms of one capacity, and which are one and the same."""
    notes, named = [], [arm for arm in arms if not arm.is_rung]
    missing = [(ladder.planned(arm.name) - len(arm.trials), arm.name) for arm in named]
    told = ", ".join(f"{count} of {name}" for count, name in missing if count > 0)
    if told and any(arm.trials for arm in arms):
        notes.append(f"{ladder.capacity}: results of arms are missing ({told}); such an arm is not judged.")
    notes += [f"{ladder.capacity}: arm {arm.name} comes to the same trials as {arms[arm.same_as].name}; they are run once."
              for arm in named if arm.same_as is not None]
    mine = [trial for trial in trials if trial.capacity == ladder.capacity and arm_name(trial.origin) is not None]
    if diverged := sorted({str(arm_name(trial.origin)) for trial in mine if trial.failure_class == "DIVERGED"}):
        notes.append(f"{ladder.capacity}: training diverged in {', '.join(diverged)}; "
                     "what is left of such an arm is a favourable selection.")
    shown = {trial.id for arm in arms for trial in arm.trials}
    if strays := sum(1 for trial in mine if trial.state == FINISHED and trial.id not in shown):
        notes.append(f"{ladder.capacity}: {strays} trials of arms were run at another setting, or set what no arm sets now, "
                     "and are left out.")
    return notes
