"""From trial records to cells and tables."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from sweeps.analysis.ladder import build_ladder, final_metric, overlap_ratio


def test_cells_hold_finished_trials_of_the_capacity_only(made: SimpleNamespace) -> None:
    trials = [made.rung(1, "width=1", 0.1, 1), made.rung(2, "width=1", 0.1, 2, state="RUNNING"),
              made.rung(3, "width=0.25", 0.1, 1), made.rung(4, "width=1", 0.1, 1, stage="search")]
    ladder = build_ladder("width=1", trials, made.Measure())
    assert [trial.id for trial in ladder.trials(0.1)] == [1]
    assert ladder.splits == (1,)
    assert ladder.alphas == made.ALPHAS
    assert (ladder.missing(0.1), ladder.missing(10.0)) == (3, 4)
    assert (ladder.setting, ladder.num_parameters) == ({"dropout": 0.1}, 150_000)


def test_the_table_averages_repeats_within_a_split_and_leaves_gaps_as_nan(made: SimpleNamespace) -> None:
    trials = [made.rung(1, "width=1", 0.0, 1, metrics={"val/error": 0.1}),
              made.rung(2, "width=1", 0.0, 1, repeat=1, metrics={"val/error": 0.3}),
              made.rung(3, "width=1", 1.0, 2, metrics={"val/error": 0.5}),
              made.rung(4, "width=1", 0.1, 2, metrics={"val/error": math.nan})]
    table_SA = build_ladder("width=1", trials, made.Measure(seeds=2)).table({}, "val/error")
    expected = [[0.2, np.nan, np.nan, np.nan], [np.nan, np.nan, 0.5, np.nan]]
    assert table_SA == pytest.approx(np.array(expected), nan_ok=True)


def test_redraws_count_within_their_seed_and_are_no_duplicates(made: SimpleNamespace) -> None:
    def config(redraw: int) -> dict[str, object]:
        return {"alpha": 0.0, "split_kind": "disjoint", "redraw": redraw}
    trials = [made.rung(1, "width=1", 0.0, 1, metrics={"val/error": 0.5}, repeat=1, config=config(0)),
              made.rung(2, "width=1", 0.0, 1, metrics={"val/error": 0.3}, config=config(1)),
              made.rung(3, "width=1", 0.0, 1, metrics={"val/error": 0.1})]
    ladder = build_ladder("width=1", trials, made.Measure(splits=1, seeds=2, redraws=2))
    assert [str(trial.replicate) for trial in ladder.trials(0.0)] == ["1.0", "1.0.1", "1.1"]
    assert ladder.table({}, "val/error")[0, 0] == pytest.approx((0.2 + 0.5) / 2)
    assert (ladder.missing(0.0), ladder.missing(1.0)) == (0, 3)


def test_rungs_measured_but_no_longer_planned_stay(made: SimpleNamespace) -> None:
    trials = [made.rung(1, "width=1", 10.0, 1)]
    assert build_ladder("width=1", trials, made.Measure(alphas=(0.0,))).alphas == (0.0, 10.0)


def test_a_metric_comes_from_the_final_ones_or_the_last_epoch(made: SimpleNamespace) -> None:
    record = made.trial(1, metrics={"test/error": 0.2})
    rows = {1: [made.row(2, val__error=0.3, test__error=0.9), made.row(1, val__error=0.4)]}
    assert final_metric(record, rows, "test/error") == 0.2
    assert final_metric(record, rows, "val/error") == 0.3
    assert final_metric(record, rows, "val/loss") is None
    assert final_metric(record, {}, "val/error") is None
    assert final_metric(made.trial(1, metrics={"val/error": math.inf}), rows, "val/error") is None


def test_trials_at_a_setting_that_fewer_share_are_strays(made: SimpleNamespace) -> None:
    trials = [made.rung(number, "width=1", 0.1, number) for number in (1, 2, 3)]
    trials.append(made.rung(4, "width=1", 0.1, 4, setting={"alpha": 0.1, "dropout": 0.5}))
    ladder = build_ladder("width=1", trials, made.Measure())
    assert ladder.setting == {"dropout": 0.1}
    assert (len(ladder.trials(0.1)), ladder.strays, ladder.missing(0.1)) == (3, 1, 1)


def test_of_two_ladders_of_one_length_the_newer_counts(made: SimpleNamespace) -> None:
    """More search found a better setting, and a whole second ladder was run at it."""
    trials = [made.rung(1, "width=1", 0.1, 1), made.rung(2, "width=1", 0.1, 1, setting={"alpha": 0.1, "dropout": 0.5})]
    for shown in (trials, trials[::-1]):
        assert build_ladder("width=1", shown, made.Measure()).setting == {"dropout": 0.5}


def test_a_ladder_without_results_knows_its_setting(made: SimpleNamespace) -> None:
    pending = made.rung(1, "width=1", 0.1, 1, state="PENDING", num_parameters=None)
    ladder = build_ladder("width=1", [pending], made.Measure())
    assert (ladder.setting, ladder.num_parameters, ladder.splits) == ({"dropout": 0.1}, None, ())
    assert build_ladder("none", [], made.Measure()).setting == {}


@pytest.mark.parametrize(("config", "provenance", "ratio"), [
    ({"split_kind": "disjoint", "train_size": 100, "val_size": 50}, {}, 0.0),
    ({"split_kind": "holdout", "train_size": 100, "val_size": 50}, {}, 0.5),
    ({"split_kind": "holdout", "train_size": None, "val_size": None}, {}, 0.25),
    ({"split_kind": "holdout", "train_size": 100, "val_size": None}, {}, 0.25),
    ({"split_kind": "holdout", "train_size": 100, "val_size": None}, {"train_size": 100, "val_size": 30}, 0.3),
    ({}, {}, 0.25),
])
def test_the_overlap_is_the_ratio_of_validation_to_training_examples(
    made: SimpleNamespace, config: dict[str, object], provenance: dict[str, object], ratio: float,
) -> None:
    assert overlap_ratio(made.trial(1, config=config, provenance=provenance)) == ratio


def test_an_axis_that_exists_only_above_alpha_0_leaves_the_baseline_on_the_ladder(made: SimpleNamespace) -> None:
    beside = {"dropout": 0.1, "lam_per": "sample"}
    for order in ((0.0, 1.0), (1.0, 0.0)):
        trials = [made.rung(number, "width=1", alpha, split, setting={"alpha": alpha, **(beside if alpha else {"dropout": 0.1})})
                  for number, (alpha, split) in enumerate(((alpha, split) for alpha in order for split in (1, 2)), start=1)]
        ladder = build_ladder("width=1", trials, made.Measure(alphas=(0.0, 1.0), splits=2))
        assert (ladder.missing(0.0), ladder.missing(1.0), ladder.strays, ladder.setting) == (0, 0, 0, beside)


def test_trials_of_arms_are_neither_rungs_nor_strays(made: SimpleNamespace) -> None:
    trials = [made.rung(1, "width=1", 0.1, 1), *(made.rung(number, "width=1", 0.1, number, origin="arm: a", setting={
        "alpha": 0.1, "dropout": 0.7}, config={"alpha": 0.1, "dropout": 0.7, "split_kind": "disjoint"}) for number in range(2, 9))]
    ladder = build_ladder("width=1", trials, made.Measure())
    assert ([trial.id for trial in ladder.trials(0.1)], ladder.strays, ladder.setting) == ([1], 0, {"dropout": 0.1})
