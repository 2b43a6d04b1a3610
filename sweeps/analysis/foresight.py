"""Whether all splits of a race would leave a rung out of the confidence set, foreseen from the splits so far.

The verdict of a ladder hangs on its two ends alone. The test of an end is made once, on all splits, at the level of the full
ladder (Bonferroni over all its rivals); a look before that only foresees its outcome, under flat priors on effects and noise,
and so spends no level of its own (stochastic curtailment: Lan, Simon and Halperin 1982). But a foreseen exclusion may be wrong.
So it must be four times as sure as a foreseen stay, half of the splits must have been run, and they must exclude the end as
well. What that comes to is simulated: `python -m benchmarks race_errors`.

Refuses to know trials, alphas and when a race ends. Axes: A arms compared, D draws.
"""

from dataclasses import dataclass

import numpy as np

from sweeps.analysis.arms import PairedArms
from sweeps.analysis.intervals import t_quantile

NUM_DRAWS = 1000
SURER = 4
"""How many times less likely to be wrong a foreseen exclusion is than a foreseen stay."""


@dataclass(frozen=True)
class Foreseen:
    """Whether the set of all splits holds a rung, and with which probability."""

    holds: bool
    chance: float


def foresee(arms: PairedArms, place: int, splits: int, error: float, least: float) -> Foreseen | None:
    """What all `splits` would say of the arm at this place, a rival erring with `error` at most; None: too early to say."""
    out_now = is_out(arms, place, error)
    if arms.num_splits >= splits:
        return Foreseen(holds=not out_now, chance=1.0)
    chance = chance_out(arms, place, splits, error)
    if 1 - chance >= least:
        return Foreseen(holds=True, chance=1 - chance)
    is_sure = 2 * arms.num_splits >= splits and out_now and chance >= 1 - (1 - least) / SURER
    return Foreseen(holds=False, chance=chance) if is_sure else None


def is_out(arms: PairedArms, place: int, error: float) -> bool:
    """Whether some arm leads the one at this place by more than its noise allows."""
    lead_A = arms.effect_A[place] - arms.effect_A
    lead_A[place] = -1.0
    return bool((lead_A > t_quantile(1 - error, arms.df) * arms.standard_errors(place)).any())


def chance_out(arms: PairedArms, place: int, splits: int, error: float) -> float:
    """The probability that some arm leads the one at this place by enough once all splits are run; always from the same stream.

    The noise that overlapping splits share is in the results already, so the splits to come move the means only by what is
    each one's own.
    """
    draws, now, more = np.random.default_rng(0), arms.num_splits, splits - arms.num_splits
    more_df = arms.df * more / (now - 1)
    true_D = arms.df / draws.chisquare(arms.df, NUM_DRAWS)  # noise, over its estimate of now
    then_D = (arms.df + true_D * draws.chisquare(more_df, NUM_DRAWS)) / (arms.df + more_df)
    step_DA = np.sqrt(true_D[:, None] * arms.own_A * (1 / now + 1 / more)) * more / splits
    effect_DA = arms.effect_A + step_DA * draws.standard_normal((NUM_DRAWS, len(arms.effect_A)))
    bound_DA = t_quantile(1 - error, arms.df + more_df) * np.sqrt(
        then_D[:, None] * arms.noise_AA[place] * 2 * (1 / splits + arms.overlap))
    lead_DA = effect_DA[:, [place]] - effect_DA
    lead_DA[:, place] = -1.0
    return float((lead_DA > bound_DA).any(axis=1).mean())
