"""The whole answer from hand-made records: what goes where, and that a partial study is no accident."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sweeps.analysis.assemble import analyse
from sweeps.records import TrialRecord


def test_a_finished_study_answers_everything(made: SimpleNamespace) -> None:
    found = analyse(made.Study(), made.whole_ladder(), {}, [], made.predictions, made.LABELS_N)
    small, large = found.capacities
    assert (small.capacity, small.num_parameters, small.setting) == ("width=0.25", 10_000, {"dropout": 0.1})
    assert (small.sweet_error.alpha, small.sweet_error.verdict) == (0.1, "bracketed")
    assert (large.sweet_error.alpha, large.sweet_error.verdict) == (1.0, "bracketed")
    assert small.clean_error_slope.value == pytest.approx(0.3, abs=0.02)
    assert found.conjecture.verdict == "supported"
    assert "rises with capacity" in found.conjecture.text
    assert found.counts["FINISHED"] == found.counts["total"] == 32
    assert found.importance == {}
    assert found.provenance == {"code": "abc", "versions.torch": "2.5"}
    assert len(found.notes) == 5  # the randomness, and what pairing saves at each capacity; nothing is missing


def test_a_point_holds_the_means_over_splits_and_the_decompositions(made: SimpleNamespace) -> None:
    trials = made.whole_ladder(seeds=2)
    study = made.Study(measure=made.Measure(seeds=2))
    point = analyse(study, trials, {}, [], made.predictions, made.LABELS_N).capacities[1].point(1.0)
    mine = [trial for trial in trials if trial.capacity == "width=1" and trial.setting["alpha"] == 1.0]
    for field, metric in (("val_error", "val/error"), ("test_loss", "test/loss"), ("gap_error", "gap/error")):
        estimate = getattr(point, field)
        assert estimate.value == pytest.approx(np.mean([trial.metrics[metric] for trial in mine]))
        assert estimate.low < estimate.value < estimate.high
    assert (point.num_trials, point.num_splits, point.missing) == (8, 4, 0)
    p_MNK = np.exp(np.stack([made.predictions(trial) for trial in mine]).astype(float))
    loss = ((p_MNK - np.eye(3)[made.LABELS_N]) ** 2).sum(axis=2).mean()
    assert point.bias2.value + point.variance.value == pytest.approx(loss, rel=1e-3)
    assert point.kl_bias.value + point.kl_variance.value == pytest.approx(
        -np.log(p_MNK[:, np.arange(30), made.LABELS_N]).mean(), rel=1e-3)


def test_error_and_loss_have_their_own_sweet_spot(made: SimpleNamespace) -> None:
    trials = [replace(trial, metrics={**trial.metrics, "val/loss": -trial.metrics["val/loss"]})
              for trial in made.whole_ladder()]
    result = analyse(made.Study(), trials, {}, [], made.predictions, None).capacities[0]
    assert (result.sweet("val/error").alpha, result.sweet("val/loss").alpha) == (0.1, 10.0)


def test_overlapping_splits_widen_every_interval(made: SimpleNamespace) -> None:
    def config(trial: TrialRecord) -> dict[str, object]:
        return {**trial.config, "split_kind": "holdout"}

    disjoint = made.whole_ladder()
    holdout = [replace(trial, config=config(trial)) for trial in disjoint]
    narrow, wide = (analyse(made.Study(), trials, {}, [], made.predictions, made.LABELS_N).capacities[1]
                    for trials in (disjoint, holdout))
    for name in ("val_error", "test_error", "train_clean_loss", "variance", "kl_bias"):
        one, other = (getattr(result.point(1.0), name) for result in (narrow, wide))
        assert (other.high - other.low) / (one.high - one.low) == pytest.approx(2**0.5)
    assert wide.sweet_loss.gain_over_erm.low < narrow.sweet_loss.gain_over_erm.low
    assert wide.clean_error_slope.low < narrow.clean_error_slope.low


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(12))
def test_any_part_of_a_study_can_be_analysed(made: SimpleNamespace, seed: int) -> None:
    stream = np.random.default_rng(seed)
    states = ["FINISHED", "RUNNING", "FAILED", "PENDING", "INTERRUPTED"]
    trials = [replace(trial, state=states[stream.integers(len(states))], num_parameters=None if seed % 2 else 5)
              for trial in made.whole_ladder() if stream.random() < (seed + 1) / 12]

    def load(trial: TrialRecord) -> np.ndarray | None:
        return made.predictions(trial) if trial.id % 3 else None

    found = analyse(made.Study(), trials, {}, [], load, made.LABELS_N)
    assert [result.capacity for result in found.capacities] == ["width=0.25", "width=1"]
    for result in found.capacities:
        assert all(np.isfinite(point.val_error.value) for point in result.points)
        assert result.sweet_error.advice


def test_an_empty_study_says_not_enough_data(made: SimpleNamespace) -> None:
    found = analyse(made.Study(), [], {}, [], made.predictions, None)
    assert [result.sweet_error.verdict for result in found.capacities] == ["not enough data"] * 2
    assert (found.search, found.timeline, found.counts["total"]) == ((), (), 0)
    assert found.conjecture.verdict == "undecided"
    assert found.notes == ("0 of 32 planned trials of the ladder have a result.",)


def test_identical_results_everywhere_are_not_enough_data(made: SimpleNamespace) -> None:
    trials = [replace(trial, metrics=dict.fromkeys(trial.metrics, 0.1)) for trial in made.whole_ladder()]
    found = analyse(made.Study(), trials, {}, [], lambda trial: np.zeros((30, 3), np.float16), made.LABELS_N)
    assert {result.sweet_error.verdict for result in found.capacities} == {"not enough data"}
    assert found.conjecture.verdict == "undecided"
    assert found.capacities[0].points[0].variance.value == pytest.approx(0.0, abs=1e-12)


def test_predictions_that_do_not_fit_cost_the_decomposition_and_are_told(made: SimpleNamespace) -> None:
    def damaged(trial: TrialRecord) -> np.ndarray:
        return np.zeros((7, 3)) if trial.id == 1 else made.predictions(trial)

    found = analyse(made.Study(), made.whole_ladder(), {}, [], damaged, made.LABELS_N)
    first, second = found.capacities[0].points[:2]
    assert first.variance is None
    assert second.variance is not None
    assert any("width=0.25, alpha 0: no bias and variance" in note for note in found.notes)


def test_predictions_that_are_missing_or_refused_are_left_out_and_counted(made: SimpleNamespace) -> None:
    def load(trial: TrialRecord) -> np.ndarray | str | None:
        return {1: None, 2: "of other data", 5: "of other data"}.get(trial.id, made.predictions(trial))

    found = analyse(made.Study(), made.whole_ladder(), {}, [], load, made.LABELS_N)
    first = found.capacities[0].points[0]
    assert [parts.num_models for parts in first.decompositions] == [2, 2]
    assert first.variance is not None
    assert ("width=0.25, alpha 0: predictions of 2 of 4 trials are left out of bias and variance (1 missing, 1 of other data)."
            in found.notes)


def test_redraws_give_all_three_parts_of_the_variance(made: SimpleNamespace) -> None:
    trials = [replace(trial, repeat=max(0, trial.repeat - 1), config={**trial.config, "redraw": int(trial.repeat == 1)})
              for trial in made.whole_ladder(seeds=3)]  # repeats 0 1 2 are now draws 0 and 1 of the first seed, and the second
    study = made.Study(measure=made.Measure(seeds=2, redraws=2))
    found = analyse(study, trials, {}, [], made.predictions, made.LABELS_N)
    for parts in found.capacities[0].points[1].decompositions:
        assert (parts.num_splits, parts.num_seeds, parts.num_models) == (4, 8, 12)
        assert parts.variance.value == pytest.approx(parts.data.value + parts.init.value + parts.mixing.value)
        assert parts.mixing.low < parts.mixing.value < parts.mixing.high


def test_without_test_labels_there_is_no_decomposition(made: SimpleNamespace) -> None:
    found = analyse(made.Study(), made.whole_ladder(), {}, [], made.predictions, None)
    assert all(point.bias2 is None and point.kl_variance is None for point in found.capacities[0].points)


def test_seeds_on_one_split_are_labelled_as_no_variance(made: SimpleNamespace) -> None:
    trials = [trial for trial in made.whole_ladder(seeds=3) if trial.split == 1]
    found = analyse(made.Study(), trials, {}, [], made.predictions, made.LABELS_N)
    assert found.capacities[0].points[0].variance is None
    assert any("seeds alone do not give the variance" in note for note in found.notes)


def test_search_trials_keep_their_order_and_only_finished_ones_a_value(made: SimpleNamespace) -> None:
    trials = [replace(made.trial(3, stage="search", state="PRUNED", metrics={"val/error": 0.5}), number=1),
              replace(made.trial(2, stage="search"), number=0), made.trial(4, stage="measure")]
    found = analyse(made.Study(), trials, {2: [made.row(1, val__error=0.25)], 3: [made.row(1, val__error=0.4)]}, [],
                    made.predictions, None).search
    assert [(one.number, one.state, one.value) for one in found] == [(0, "FINISHED", 0.25), (1, "PRUNED", None)]


def test_the_timeline_shows_attempts_with_the_state_that_a_reader_wants(made: SimpleNamespace) -> None:
    trials = [made.trial(1, state="PRUNED"), made.trial(2, state="RUNNING")]
    attempts = [made.attempt(2, 2, state="RUNNING", started_at=30.0, ended_at=None), made.attempt(1, 1),
                made.attempt(3, 2, state="LOST", started_at=12.0, ended_at=14.0), made.attempt(4, 77)]
    found = analyse(made.Study(), trials, {2: [made.row(1, at=35.0)]}, attempts, made.predictions, None).timeline
    assert [(bar.key, bar.state, bar.start, bar.end) for bar in found] == [
        ("key1", "PRUNED", 10.0, 20.0), ("key2", "LOST", 12.0, 14.0), ("key2", "RUNNING", 30.0, 35.0)]


def test_mixed_versions_reach_the_notes(made: SimpleNamespace) -> None:
    trials = made.whole_ladder()
    trials[0] = replace(trials[0], provenance={"code": "xyz"})
    found = analyse(made.Study(), trials, {}, [], made.predictions, None)
    assert found.provenance["code"] == ["abc", "xyz"]
    assert any("differ in code" in note for note in found.notes)


def test_a_capacity_that_left_the_study_file_keeps_its_results(made: SimpleNamespace) -> None:
    study = made.Study(capacities=(made.Capacity("width=1"),))
    found = analyse(study, made.whole_ladder(), {}, [], made.predictions, None)
    assert [result.capacity for result in found.capacities] == ["width=1", "width=0.25"]
