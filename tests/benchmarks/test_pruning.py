"""The replay of pruning rules on recorded curves: what a rule stops, and how its cost is told."""

import pytest

from benchmarks.pruning import correlation_table, costs_of, grace_table, paired_table, replay
from sweeps.analysis.pruning import Curve
from sweeps.optuna_study import stop_epochs
from sweeps.study import Prune

LENGTHS = [10, 20, 10, 10]
FALLING = [{epoch: level + 1 / epoch for epoch in range(1, epochs + 1)}
           for level, epochs in zip((0.3, 0.2, 0.4, 0.1), LENGTHS, strict=True)]


def curves(crossing: bool) -> list[Curve]:
    """Nine trials of 10 epochs; `crossing`: the order at the start is the reverse of that at the end."""
    ends = [0.1 * number for number in range(1, 10)]
    return [Curve(capacity="w", alpha=float(number), epochs=10, end=end,
                  values={epoch: (1 - end if crossing and epoch < 6 else end) + 1 / epoch for epoch in range(1, 11)})
            for number, end in enumerate(ends)]


@pytest.mark.parametrize(("prune", "expected"), [
    (Prune(rule="none", grace=0.4, reduction=2), [None] * 4),
    # asha: at 40 % the second is the best of two, in the lower half; the third is behind; the fourth is the best again
    (Prune(rule="asha", grace=0.4, reduction=2), [None, None, 4, None]),
    (Prune(rule="asha", grace=0.9, reduction=2), [None, None, 9, None]),
    (Prune(rule="median", grace=0.4, reduction=2), [None] * 4)])  # the median rule begins after five trials
def test_a_rule_stops_recorded_trials_at_their_own_rungs(prune: Prune, expected: list[int | None]) -> None:
    assert stop_epochs(prune, LENGTHS, FALLING) == expected


def test_the_median_rule_stops_what_is_worse_than_half() -> None:
    level = [dict.fromkeys(range(1, 11), value) for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.2)]
    assert stop_epochs(Prune(rule="median", grace=0.4, reduction=2), [10] * 7, level) == [*[None] * 5, 4, None]


def test_a_trial_that_never_came_to_its_rung_is_not_stopped() -> None:
    assert stop_epochs(Prune(rule="asha", grace=0.4, reduction=2), [10, 10], [{1: 0.1, 2: 0.1}, {1: 0.9}]) == [None, None]


def test_before_the_curves_cross_good_trials_are_lost_and_after_it_the_best_is_kept() -> None:
    early, late = (replay(curves(crossing=True), Prune(rule="asha", grace=grace, reduction=2), 5) for grace in (0.3, 0.7))
    assert sum(one.num_wrong for one in early) > sum(one.num_wrong for one in late)
    assert any(one.regret > 0 for one in early)
    assert all(one.regret == 0 for one in late)
    assert early[0].saved_share > late[0].saved_share > 0


def test_equal_searches_replay_equally() -> None:
    prune = Prune(rule="asha", grace=0.4, reduction=2)
    assert replay(curves(crossing=False), prune, 4) == replay(curves(crossing=False), prune, 4)


def test_the_tables_have_a_row_a_grace_and_a_row_a_percentage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.pruning.NUM_ORDERS", 2)
    monkeypatch.setattr("benchmarks.pruning.GRACES", (0.4, 0.8))
    found = {"one": curves(crossing=False), "two": curves(crossing=True)}
    costs = costs_of(found)
    assert [row[:2] for row in grace_table(costs).rows] == [
        ("asha", "0.4"), ("asha", "0.8"), ("median", "0.4"), ("median", "0.8")]
    paired = paired_table(costs)
    assert [row[:2] for row in paired.rows] == [("asha", "0.8"), ("median", "0.8")]
    assert paired.rows[0][paired.columns.index("epochs saved (%)")].startswith("-")
    table = correlation_table(found)
    assert [row[0] for row in table.rows] == [str(percent) for percent in range(10, 100, 10)]
    assert table.rows[-1][1] == "1.00, n = 18"
