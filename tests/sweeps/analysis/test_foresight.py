"""Foreseeing what all splits would say of an end of the ladder."""

import numpy as np
import pytest

from benchmarks.coverage import ALPHAS, simulate
from sweeps.analysis.arms import PairedArms, compare
from sweeps.analysis.foresight import SURER, Foreseen, chance_out, foresee, is_out
from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.sweet_spot import confidence_set

ERROR = (1 - LEVEL) / (len(ALPHAS) - 1)
BEST, WORST = 3, 0


def arms_of(risk_SA: np.ndarray, overlap: float = 0.0) -> PairedArms:
    found = compare(risk_SA, overlap)
    assert found is not None
    return found


def bowl(num_splits: int, noise: float, seed: int = 0) -> np.ndarray:
    stream = np.random.default_rng(seed)
    return np.array([0.2, 0.1, 0.05, 0.02, 0.05, 0.1, 0.2]) + noise * stream.standard_normal((num_splits, 7))


@pytest.mark.parametrize("seed", range(5))
def test_who_is_out_is_who_the_confidence_set_leaves_out(seed: int) -> None:
    arms = arms_of(bowl(4, 0.03, seed), 0.3)
    assert [not is_out(arms, place, ERROR) for place in range(7)] == confidence_set(arms).tolist()


def test_with_all_splits_there_is_nothing_left_to_foresee() -> None:
    arms = arms_of(bowl(8, 1e-3))
    assert foresee(arms, BEST, 8, ERROR, 0.9) == Foreseen(holds=True, chance=1.0)
    assert foresee(arms, WORST, 8, ERROR, 0.9) == Foreseen(holds=False, chance=1.0)


def test_what_is_clear_is_foreseen_and_what_is_not_is_left_open() -> None:
    clear = arms_of(bowl(4, 1e-3))
    assert foresee(clear, WORST, 8, ERROR, 0.9) == Foreseen(holds=False, chance=1.0)
    assert foresee(clear, BEST, 8, ERROR, 0.9) == Foreseen(holds=True, chance=1.0)
    early = arms_of(bowl(3, 1e-3))
    assert foresee(early, WORST, 8, ERROR, 0.9) is None, "an exclusion takes half of the splits"
    assert foresee(early, BEST, 8, ERROR, 0.9) == Foreseen(holds=True, chance=1.0)
    vague = arms_of(bowl(3, 0.12, 4))
    assert 0.1 < chance_out(vague, WORST, 8, ERROR) < 0.9
    assert foresee(vague, WORST, 8, ERROR, 0.9) is None


def test_an_exclusion_must_be_surer_than_a_stay_and_visible_already() -> None:
    """0.975 where 0.9 is asked for, 0.9 where 0.6 is; and the splits so far must show it too."""
    unsure, unseen = 0, 0
    for seed in range(60):
        arms = arms_of(bowl(4, 0.08, seed))
        chance = chance_out(arms, WORST, 8, ERROR)
        if 0.9 <= chance < 1 - 0.1 / SURER:
            assert foresee(arms, WORST, 8, ERROR, 0.9) is None
            unsure += 1
        if chance >= 1 - 0.4 / SURER and not is_out(arms, WORST, ERROR):
            assert foresee(arms, WORST, 8, ERROR, 0.6) is None
            unseen += 1
    assert min(unsure, unseen) >= 2


def test_more_splits_to_come_make_an_exclusion_likelier_and_the_same_data_give_the_same_chance() -> None:
    arms = arms_of(bowl(3, 0.09))
    few, many, again = (chance_out(arms, WORST, splits, ERROR) for splits in (4, 30, 30))
    assert few < many == again


def test_an_exclusion_comes_true_at_least_as_often_as_it_was_likely() -> None:
    """Of 400 half-run studies, by what all of it came to. Flat priors and few degrees of freedom make chances modest."""
    said, came = [], []
    for risk_SA in simulate("steep then flat", "equal", 8, 2.0, 400):
        said.append(chance_out(arms_of(risk_SA[:4]), WORST, 8, ERROR))
        came.append(is_out(arms_of(risk_SA), WORST, ERROR))
    sure_N = np.array(said) > 0.9
    assert sure_N.sum() > 200
    assert np.array(came)[sure_N].mean() >= np.array(said)[sure_N].mean() - 0.02
