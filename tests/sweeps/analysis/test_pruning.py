"""The audit of pruning: correlations and shares against closed forms, and what counts as a wrong stop."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr

from sweeps.analysis.pruning import (
    ALL,
    Curve,
    assess,
    audit_pruning,
    by_tercile,
    curves_of,
    epoch_at,
    judged,
    pairs,
    rank_correlation,
    share,
)
from sweeps.records import FAILED, FINISHED, PRUNED, RUNNING, SEARCH, WOULD_PRUNE, Decision
from tests.sweeps.analysis.trial_records import row, trial


def curve(end: float | None, **changes: Any) -> Curve:
    """A trial of 10 epochs that ended so; the objective at epoch 4 is its end, unless told."""
    fields: dict[str, Any] = {"capacity": "w", "alpha": 1.0, "epochs": 10, "values": {4: end, 10: end}, "end": end}
    return Curve(**{**fields, **changes})


def stopped(**changes: Any) -> Curve:
    return curve(None, **{"stop_epoch": 4, "values": {4: 1.0}, **changes})


def audited(end: float, **changes: Any) -> Curve:
    return curve(end, stop_epoch=4, audited=True, **changes)


@pytest.mark.parametrize(("first", "second", "value"), [
    ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 1.0), ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], -1.0),
    ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),      # 1 - 6 sum d^2 / (n (n^2 - 1)) = 1 - 6 * 4 / 120
    ([1, 2, 3, 4, 5, 6], [6, 2, 3, 4, 5, 1], 1 - 6 * 50 / 210)])
def test_rank_correlation_by_hand(first: list[float], second: list[float], value: float) -> None:
    found = rank_correlation([(first, second)])
    assert found.n == len(first)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(value, abs=1e-14)


def test_rank_correlation_is_that_of_scipy_with_ties() -> None:
    stream = np.random.default_rng(0)
    first, second = stream.integers(0, 6, 40).astype(float), stream.integers(0, 6, 40) + 0.0
    found = rank_correlation([(list(first), list(second))])
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(spearmanr(first, second).statistic, abs=1e-14)


def test_the_interval_is_fishers_with_the_variance_of_bonett_and_wright() -> None:
    found = rank_correlation([([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])]).estimate
    assert found is not None
    half = 1.959963984540054 * math.sqrt((1 + 0.32) / 2)
    assert (found.low, found.high) == pytest.approx((math.tanh(math.atanh(0.8) - half), math.tanh(math.atanh(0.8) + half)))


def test_the_interval_covers() -> None:
    """500 samples of n = 30 with a normal correlation of 0.6, whose rank correlation is 6 / pi asin(0.3)."""
    stream, truth, num_covered = np.random.default_rng(0), 6 / math.pi * math.asin(0.3), 0
    for _ in range(500):
        x, noise = stream.standard_normal((2, 30))
        found = rank_correlation([(x, 0.6 * x + 0.8 * noise)]).estimate
        num_covered += found.low <= truth <= found.high
    assert 0.92 < num_covered / 500 < 0.98


def test_levels_that_differ_between_groups_do_not_correlate() -> None:
    """Pooled, the two groups would rank almost perfectly; within each there is no relation."""
    near = ([1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 1.0, 5.0, 2.0, 4.0])
    far = tuple([100 + value for value in side] for side in near)
    assert spearmanr(near[0] + far[0], near[1] + far[1]).statistic > 0.7
    found, alone = rank_correlation([near, far]), rank_correlation([near])
    assert found.n == 10
    assert found.estimate.value == pytest.approx(alone.estimate.value)
    assert found.estimate.high - found.estimate.low < alone.estimate.high - alone.estimate.low


@pytest.mark.parametrize(("groups", "n"), [
    ([], 0), ([([1, 2, 3, 4], [1, 2, 3, 4])], 4), ([([1, 2, 3], [1, 2, 3]), ([1, 2], [1, 2])], 5),
    ([([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])], 5), ([([1], [1])] * 9, 0)])
def test_too_few_or_equal_values_have_no_correlation(groups: list[Any], n: int) -> None:
    found = rank_correlation(groups)
    assert found.estimate is None
    assert found.n == n


@pytest.mark.parametrize(("count", "n"), [(0, 5), (1, 5), (3, 10), (10, 10), (41, 263)])
def test_a_share_has_wilsons_interval(count: int, n: int) -> None:
    found, expected = share(count, n).estimate, binomtest(count, n).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((count / n, expected.low, expected.high), abs=1e-12)


def test_wilson_in_closed_form() -> None:
    """At 0 of n the interval is [0, z^2 / (n + z^2)]."""
    z2 = 1.959963984540054**2
    found = share(0, 10).estimate
    assert (found.low, found.high) == pytest.approx((0.0, z2 / (10 + z2)), abs=1e-14)


@pytest.mark.parametrize("n", range(5))
def test_a_share_of_fewer_than_five_is_not_computed(n: int) -> None:
    assert (share(0, n).estimate, share(0, n).n) == (None, n)


@pytest.mark.parametrize(("percent", "epochs", "epoch"), [
    (40, 10, 4), (40, 11, 5), (80, 5, 4), (81, 5, None), (100, 10, None), (10, 1, None), (10, 10, 1)])
def test_a_percentage_is_the_first_epoch_that_has_had_it(percent: int, epochs: int, epoch: int | None) -> None:
    assert epoch_at(percent, epochs) == epoch


def test_pairs_are_of_trials_that_ran_to_a_finite_end() -> None:
    curves = [curve(0.3, values={4: 0.5}), stopped(), curve(math.inf, values={4: 0.1}), curve(0.2, values={}),
              curve(0.2, values={4: math.nan}), curve(0.4, capacity="v", values={4: 0.6}), audited(0.9)]
    assert pairs(curves, 40) == [([0.5, 0.9], [0.3, 0.9]), ([0.6], [0.4])]


def test_a_stop_is_wrong_where_the_trial_would_have_been_among_the_best_third() -> None:
    """Nine trials, four audited, none stopped in earnest: each has weight 1, so the best three are the best third."""
    kept = [curve(value / 10) for value in (1, 4, 5, 6, 7)]
    found = {one.end: wrong for one, wrong in judged([*kept, audited(0.2), audited(0.3), audited(0.31), audited(0.9)])}
    assert found == {0.2: True, 0.3: True, 0.31: False, 0.9: False}


def test_audited_trials_stand_for_all_that_were_stopped() -> None:
    """Behind two kept trials, 0.45 is third of six: not of the best two. With nine more stopped each audited one weighs 5.5 of
    15: the two better ones and half of its own weight are 4.75, within the best five."""
    kept = [curve(value) for value in (0.2, 0.4, 0.5, 0.6)]
    assert [wrong for _, wrong in judged([*kept, audited(0.45), audited(0.9)])] == [False, False]
    assert [wrong for _, wrong in judged([*kept, audited(0.45), audited(0.9), *[stopped()] * 9])] == [True, False]


def test_an_audited_trial_that_failed_was_rightly_stopped() -> None:
    curves = [*(curve(math.inf) for _ in range(5)), audited(math.inf)]
    assert [wrong for _, wrong in judged(curves)] == [False]


def test_fewer_than_five_ends_judge_nothing() -> None:
    assert list(judged([curve(0.1), curve(0.2), curve(0.3), audited(0.01), stopped()])) == []
    assert len(list(judged([curve(0.1), curve(0.2), curve(0.3), curve(0.4), audited(0.01), stopped()]))) == 1


def test_the_audit_counts_each_capacity_and_all() -> None:
    good = [curve(0.1 * value, alpha=value) for value in range(1, 6)]
    bad = [audited(0.9, values={4: 0.9}), stopped(), stopped(epochs=20)]
    found = audit_pruning([*good, *bad, curve(0.2, capacity="v"), curve(None), curve(None, stop_epoch=3, audited=True)],
                          "asha", 0.1, (40, 80))
    narrow, other, both = found.groups
    assert (narrow.name, other.name, both.name) == ("w", "v", ALL)
    assert (narrow.num_trials, narrow.num_stopped, narrow.wrong.n) == (8, 3, 1)
    assert (narrow.epochs_planned, narrow.epochs_saved, narrow.epochs_audited) == (90, 6 + 16, 6)
    assert (both.num_trials, both.epochs_planned) == (9, 100)
    assert narrow.correlations[40].estimate.value == 1
    assert narrow.correlations[80].estimate is None
    assert set(narrow.correlations) >= {10, 40, 80, 90}


def test_a_wrong_stop_is_counted_where_it_belongs() -> None:
    kept = [curve(0.1 * value, alpha=0.0) for value in range(2, 8)]
    wrong = [audited(0.01 * value, alpha=8.0) for value in range(1, 4)]
    right = [audited(0.9 + 0.01 * value, alpha=1.0) for value in range(5)]
    found = audit_pruning([*kept, *wrong, *right], "asha", 1.0, (40,))
    assert (found.groups[0].wrong.n, found.groups[0].wrong.estimate.value) == (8, 3 / 8)
    assert [each.wrong.n for each in found.terciles] == [0, 5, 3]
    assert found.terciles[1].wrong.estimate.value == 0
    assert found.terciles[2].wrong.estimate is None


def test_terciles_are_by_the_alphas_that_were_tried() -> None:
    found = by_tercile([curve(0.1, alpha=alpha) for alpha in (0.0, 32.0, 0.2, 1.0, 8.0, 0.1, 4.0, 0.5, 2.0)])
    assert [name for name, _ in found] == ["alpha 0 to 0.2", "alpha 0.5 to 2", "alpha 4 to 32"]
    assert by_tercile([curve(0.1, alpha=alpha) for alpha in (0.0, 1.0, 1.0, 0.0)]) == []


def test_nothing_run_is_an_empty_audit() -> None:
    found = audit_pruning([], "asha", 0.1, (40,))
    assert (found.groups, found.terciles) == ((), ())


@pytest.mark.parametrize(("state", "last_epoch", "would", "end", "stop", "is_audited"), [
    (FINISHED, 4, None, 0.4, None, False), (FINISHED, 4, 2, 0.4, 2, True), (PRUNED, 2, None, None, 2, False),
    (FAILED, 2, None, math.inf, None, False), (FAILED, 3, 2, math.inf, 2, True), (RUNNING, 2, None, None, None, False),
    (RUNNING, 3, 2, None, 2, True)])
def test_curves_say_how_a_trial_ended_and_where_it_was_stopped(
        state: str, last_epoch: int, would: int | None, end: float | None, stop: int | None, is_audited: bool) -> None:
    record = trial(7, stage=SEARCH, state=state, last_epoch=last_epoch, config={"alpha": 2.0, "epochs": 4})
    decisions = [Decision(id=1, trial_id=7, kind=WOULD_PRUNE, at=0.0, detail={"epoch": would, "value": 0.2})] if would else []
    rows = {7: [row(epoch, val__error=0.1 * epoch) for epoch in range(1, last_epoch + 1)]}
    found, = curves_of([record, trial(8)], rows, decisions, "val/error")
    assert (found.end, found.stop_epoch, found.audited) == (end, stop, is_audited)
    assert (found.alpha, found.epochs, found.values[1]) == (2.0, 4, 0.1)


def test_a_replay_is_judged_against_the_known_ends() -> None:
    curves = [curve(value / 10) for value in range(1, 10)]
    found = assess(curves, [4, None, 6, *[None] * 5, 8])
    assert (found.num_stopped, found.num_wrong) == (3, 2)
    assert found.saved_share == pytest.approx((6 + 4 + 2) / 90)
    assert found.regret == pytest.approx(0.1)
    assert assess(curves, [None] * 9).regret == 0


def test_a_replay_of_a_pruned_search_is_refused() -> None:
    with pytest.raises(ValueError, match="prune: none"):
        assess([curve(0.1), stopped()], [None, None])
