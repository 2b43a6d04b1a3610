"""How many splits would settle it: does the number advised do what it says?

Axes: D simulated studies, S splits, A rungs.
"""

import math

import numpy as np
import pytest

from sweeps.analysis.arms import compare
from sweeps.analysis.power import MORE, MOST_SPLITS, describe, power, splits_to_tell
from sweeps.analysis.results import SplitsNeeded
from sweeps.analysis.sweet_spot import best_rungs, confidence_set, sweet_spot
from sweeps.analysis.two_way import fit

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0)
CURVE_A = np.array([0.1, 0.098, 0.09, 0.095, 0.1])
NOISE = 0.01


def study(num_splits: int, seed: int = 0, noise: float = NOISE) -> np.ndarray:
    stream = np.random.default_rng(seed)
    return CURVE_A + 0.02 * stream.standard_normal((num_splits, 1)) + noise * stream.standard_normal((num_splits, 5))


@pytest.mark.parametrize("lead", [0.008, 0.02])
def test_the_number_of_splits_finds_the_lead_four_times_in_five(lead: float) -> None:
    arms = compare(study(40))
    needed = int(splits_to_tell(np.array(lead), np.array(NOISE**2), arms, 0.95))
    truth = np.array([lead, 0.0, 1.0, 1.0, 1.0])
    stream = np.random.default_rng(needed)
    shares = []
    for num_splits in (needed, max(2, needed - 2)):
        found = fit(truth + NOISE * stream.standard_normal((1000, num_splits, 5)))
        inside = best_rungs(found.effect_DA, np.sqrt(found.factor_DAA * found.noise_DAA), found.df_D)
        shares.append(1 - inside[:, 0].mean())
    assert shares[0] == pytest.approx(0.84, abs=0.07)
    assert shares[1] < shares[0]


def test_no_lead_is_never_found_and_half_the_lead_takes_four_times_the_splits() -> None:
    arms = compare(study(8))
    leads = np.array([0.0, 0.004, 0.008, 1.0])
    found = splits_to_tell(leads, np.full(4, NOISE**2), arms, 0.95)
    assert found[0] == MORE
    assert found[3] <= 4
    assert found[1] / found[2] == pytest.approx(4, rel=0.15)


def test_splits_that_overlap_set_a_limit_to_what_more_of_them_can_tell() -> None:
    lead, noise = np.array(0.008), np.array(NOISE**2)
    assert splits_to_tell(lead, noise, compare(study(8)), 0.95) <= MOST_SPLITS
    assert splits_to_tell(lead, noise, compare(study(8), overlap=0.25), 0.95) == MORE


def test_the_interval_holds_the_number_of_the_truth() -> None:
    """From 6 splits; the truth's number is that of the curve and noise the studies are drawn from.

    27 of the 37 studies with a flat verdict: 73 % where it says 80, since a flat verdict picks studies with small leads.
    """
    truth = int(splits_to_tell(CURVE_A[0] - CURVE_A.min(), np.array(NOISE**2), compare(study(6)), 0.95))
    hits = known = 0
    for seed in range(60):
        arms = compare(study(6, seed))
        inside = confidence_set(arms)
        needed = power(arms, inside, 0.95).bracketed
        if needed is None or not (inside[0] and inside[-1]):
            continue
        known += 1
        hits += (needed.low or MORE) <= max(truth, 7) <= (needed.high or MORE)
    assert known >= 30
    assert hits >= 0.7 * known


def test_what_is_settled_needs_nothing_and_more_splits_than_there_are_are_asked_for() -> None:
    clear = sweet_spot(study(8, noise=0.0005), ALPHAS)
    assert (clear.power.one_end, clear.power.bracketed, clear.power.single) == (None, None, None)
    open_ = sweet_spot(study(8, seed=1, noise=0.04), ALPHAS)
    assert open_.verdict == "flat"
    for needed in (open_.power.one_end, open_.power.bracketed, open_.power.single):
        assert needed.value is None or needed.value >= 9
        assert (needed.low or math.inf) <= (needed.high or math.inf)
    assert open_ == sweet_spot(study(8, seed=1, noise=0.04), ALPHAS)


def test_a_best_rung_at_the_end_of_the_ladder_is_not_bracketed_by_any_number_of_splits() -> None:
    risk_SA = study(8) + np.array([0, -0.05, -0.1, -0.15, -0.2])
    found = sweet_spot(risk_SA, ALPHAS)
    assert found.verdict == "edge"
    assert found.power.bracketed.value is None
    assert "extend the ladder upwards" in found.advice


@pytest.mark.parametrize(("needed", "text"), [
    (SplitsNeeded(12, 7, 30), "about 12 splits (80 % interval 7 to 30)"),
    (SplitsNeeded(12, 7, None), "about 12 splits (80 % interval 7 to more than 200)"),
    (SplitsNeeded(None, 90, None), "more than 200 splits (80 % interval 90 to more than 200)"),
    (SplitsNeeded(None, None, None), "more than 200 splits"),
])
def test_the_words(needed: SplitsNeeded, text: str) -> None:
    assert describe(needed) == text
