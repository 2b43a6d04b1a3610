"""The additive model of arms and splits, balanced and with gaps.

Axes: S splits, A arms.
"""

import numpy as np
import pytest

from sweeps.analysis.arms import comparable, compare
from sweeps.analysis.two_way import fit

nan = np.nan
STREAM = np.random.default_rng(0)
FULL_SA = 0.1 + 0.02 * STREAM.standard_normal((5, 1)) + 0.005 * STREAM.standard_normal((5, 4))


def test_a_full_table_has_the_arm_means_and_the_residual_of_the_two_way_analysis_of_variance() -> None:
    """The residual no longer is the whole of a standard error (arms may differ in noise): it is a third of it."""
    found = compare(FULL_SA)
    mean_A = FULL_SA.mean(axis=0)
    residual_SA = FULL_SA - mean_A - FULL_SA.mean(axis=1, keepdims=True) + FULL_SA.mean()
    assert found.residual_df == 4 * 3
    assert found.df == 2 * 4 * 3 / 4
    assert found.mean_square == pytest.approx((residual_SA**2).sum() / 12)
    assert found.factor_AA[0, 1:] == pytest.approx(2 / 5)
    mean_square_A = (residual_SA**2).sum(axis=0) / 4  # expected: its own variance (1 - 2/A) + that of the average / A
    own_A = np.maximum((mean_square_A - found.mean_square / 4) / (1 - 2 / 4), 0)
    assert found.own_A == pytest.approx(own_A)
    paired = (FULL_SA[:, 2] - FULL_SA[:, 0]).var(ddof=1)
    value, se = found.difference(2, 0)
    assert value == pytest.approx(mean_A[2] - mean_A[0])
    assert se**2 == pytest.approx((paired + own_A[2] + own_A[0] + 2 * found.mean_square) / 3 / 5)


def test_each_arm_s_own_variance_is_found_without_bias() -> None:
    spread_A = np.array([3.0, 1.0, 1.0, 2.0, 1.0])
    own_DA = fit(np.random.default_rng(2).standard_normal((4000, 40, 5)) * spread_A).own_DA
    assert own_DA.mean(axis=0) == pytest.approx(spread_A**2, rel=0.03)


def test_many_tables_at_once_are_each_their_own() -> None:
    stream = np.random.default_rng(3)
    tables = stream.standard_normal((20, 5, 4))
    tables[stream.random(tables.shape) < 0.15] = nan
    tables[:, 0], tables[:, :, 0] = stream.standard_normal((20, 4)), stream.standard_normal((20, 5))  # so that all are linked
    found = fit(tables)
    for place, table in enumerate(tables):
        alone = fit(table[None])
        assert found.noise_DAA[place] == pytest.approx(alone.noise_DAA[0])
        assert found.effect_DA[place] == pytest.approx(alone.effect_DA[0])


def test_arms_that_share_fewer_than_two_splits_take_their_noise_from_the_rest() -> None:
    table = np.random.default_rng(4).standard_normal((6, 4))
    table[:3, 0], table[4:, 1] = nan, nan
    found = compare(table)
    assert found.noise_AA[0, 1] == pytest.approx(((found.own_A[0] + found.own_A[1]) / 2 + found.mean_square) / 2)
    assert np.isfinite(found.noise_AA).all()


def test_two_arms_are_the_paired_t_test_on_the_splits_they_share() -> None:
    table = FULL_SA[:, :2].copy()
    table[3, 1] = nan
    shared = np.delete(FULL_SA[:, 1] - FULL_SA[:, 0], 3)
    found = compare(table)
    value, se = found.difference(1, 0)
    assert found.df == 3
    assert value == pytest.approx(shared.mean())
    assert se == pytest.approx(shared.std(ddof=1) / 2)


def test_overlapping_splits_add_their_ratio_to_the_variance_of_a_difference() -> None:
    plain, wide = compare(FULL_SA).difference(1, 0)[1], compare(FULL_SA, overlap=0.3).difference(1, 0)[1]
    assert (wide / plain) ** 2 == pytest.approx((1 / 5 + 0.3) / (1 / 5))


def test_a_hard_split_that_an_arm_missed_does_not_flatter_it() -> None:
    table = np.array([[0.1, 0.2], [0.11, 0.21], [0.5, 0.601]]).repeat([1, 1, 1], axis=0)
    table = np.hstack([table, table[:, :1] + 0.05])
    table[2, 1] = nan  # the worse arm skips the hard split: its raw mean would be the best
    table[0, 0] += 1e-4
    found = compare(table)
    assert found.effect_A.argmin() == 0
    assert found.difference(1, 0)[0] == pytest.approx(0.1, abs=1e-3)
    assert found.difference(1, 0)[1] > found.difference(2, 0)[1]


@pytest.mark.parametrize(("table", "kept"), [
    ([[1, 2, nan], [1, 2, nan], [1, 2, 3], [1, 2, nan]], [0, 1]),  # one of four splits: fewer than half
    ([[1, 2, nan], [1, 2, nan], [1, 2, 3], [1, 2, 3]], [0, 1, 2]),  # two of four: half
    ([[1, 2, nan], [1, 2, nan], [nan, nan, 3], [nan, nan, 4]], [0, 1]),  # shares no split with the others
    ([[1, nan, 3], [1, 2, nan]], [0, 1, 2]),  # linked through the first
    ([[nan, nan], [nan, nan]], []),
    ([[nan, 1]], [1]),
])
def test_the_rule_by_which_arms_are_left_out(table: list[list[float]], kept: list[int]) -> None:
    assert comparable(np.array(table, dtype=float)).tolist() == kept


@pytest.mark.parametrize("table", [
    [[1.0, 2.0, 3.0]],  # one split
    [[1.0], [2.0], [3.0]],  # one arm
    [[nan, nan], [nan, nan]],
    [[1.0, nan, 3.0], [1.0, 2.0, nan]],  # four cells, four parameters
])
def test_nothing_to_compare(table: list[list[float]]) -> None:
    assert compare(np.array(table)) is None


def test_no_table_at_all() -> None:
    assert compare(np.empty((0, 3))) is None


def test_rounding_is_not_taken_for_noise() -> None:
    table = 0.1 + 0.2 * np.arange(4)[:, None] + 0.3 * np.arange(3)
    assert compare(table).mean_square == 0.0
    assert compare(np.zeros((3, 3))).mean_square == 0.0
    assert compare(table + 1e-5 * np.array([[1, 0, 0]] * 2 + [[0, 0, 1]] * 2)).mean_square > 0
