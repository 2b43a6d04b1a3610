"""Contrasts are linear, with weights that can be written down."""

import pytest

from sweeps.claims.claim import FIRST, LAST, Cell, Claimed, difference, mean, minus, slope
from trainable.moments import epsilon


def total(terms, value_of) -> float:
    return sum(weight * value_of(cell) for weight, cell in terms)


def test_a_difference_leaves_out_what_both_arms_share() -> None:
    terms = difference("s", "val/error", "mixup", "plain")
    assert total(terms, lambda cell: 5.0) == 0.0
    assert total(terms, lambda cell: {"mixup": 2.0, "plain": 7.0}[cell.arm]) == -5.0


@pytest.mark.parametrize(("start", "steep"), [(0.0, 3.0), (9.0, -2.0), (4.0, 0.0)])
def test_the_slope_of_a_line_in_epsilon_is_its_slope(start: float, steep: float) -> None:
    terms = slope("s", "train_clean/error", (0, 0.2, 1, 32))
    line = {f"alpha {alpha:g}": start + steep * epsilon(alpha) for alpha in (0, 0.2, 1, 32)}
    assert total(terms, lambda cell: line[cell.arm]) == pytest.approx(steep, abs=1e-12)


def test_an_interaction_is_a_difference_of_differences() -> None:
    terms = minus(difference("s", "m", "a", "b"), difference("s", "m", "c", "d"))
    assert total(terms, lambda cell: {"a": 10.0, "b": 1.0, "c": 7.0, "d": 2.0}[cell.arm]) == 9.0 - 5.0


def test_the_mean_of_contrasts_weighs_each_alike() -> None:
    terms = mean([difference(study, "m", "a", "b") for study in ("s", "t", "u")])
    assert total(terms, lambda cell: {"s": 3.0, "t": 6.0, "u": 0.0}[cell.study] * (cell.arm == "a")) == pytest.approx(3.0)


def test_a_capacity_is_the_first_or_the_last_of_the_ladder() -> None:
    assert {cell.capacity for _, cell in slope("s", "m", (0, 1), FIRST)} == {FIRST}
    assert Cell(study="s", arm="a", metric="m").capacity == LAST


@pytest.mark.parametrize("bounds", [{}, {"low": 1.0, "high": 1.0}, {"low": 2.0, "high": 1.0}, {"low": float("nan"), "high": 1.0}])
def test_a_claim_that_allows_all_or_nothing_is_none(bounds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="leave out"):
        Claimed(**bounds)
