"""run_trial: same key same numbers, however it is driven, cut or shared; and nothing leaks out of it."""

import dataclasses
import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from trainable import learner
from trainable.checkpoint import CheckpointSlot
from trainable.config import TrialConfig
from trainable.data import load
from trainable.errors import DataError, Diverged, InfrastructureError, ModelError
from trainable.trial import run_trial

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=100, val_size=60, batch_size=25, epochs=5, alpha=0.5, label_noise=0.2)
VARIANTS = [
    {}, {"alpha": 0.0}, {"optimizer": "adamw", "lr": 0.01}, {"dropout": 0.3}, {"lam_per": "sample"},
    {"pairing": "roll", "label_smoothing": 0.1}, {"augment": "crop_flip", "schedule": "step"}, {"label_noise": 0.0},
]
ROW_NAMES = ["train/loss", "train/excess_loss", "train_clean/error", "train_clean/loss", "val/error", "val/loss",
             "gap/error", "gap/loss"]


def finish(config=CONFIG, *, slot=None):
    """All rows as (epoch, metrics), and the outcome."""
    rows, trial = [], run_trial(config, SOURCE, slot=slot)
    while True:
        try:
            row = next(trial)
        except StopIteration as stop:
            return rows, stop.value
        rows.append((row.epoch, row.metrics))


def lasting(outcome):
    """What of an outcome does not depend on the clock."""
    metrics = {name: value for name, value in outcome.metrics.items()
               if name not in ("cost/seconds", "cost/eval_share")}
    return metrics, outcome.num_parameters, outcome.predictions.tobytes()


def same(one, other):
    return one[0] == other[0] and lasting(one[1]) == lasting(other[1])


@pytest.fixture(scope="module")
def whole():
    return finish()


def test_a_row_an_epoch_with_the_metrics_of_an_epoch(whole):
    rows, _ = whole
    assert [epoch for epoch, _ in rows] == [1, 2, 3, 4, 5]
    for _, metrics in rows:
        assert sorted(metrics) == sorted([*ROW_NAMES, "train_real/error", "train_corrupt/error"])
        assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_the_outcome_has_the_metrics_of_the_end(whole):
    rows, outcome = whole
    values = [metrics["val/error"] for _, metrics in rows]
    assert outcome.metrics["best/val_error"] == min(values)
    assert outcome.metrics["best/epoch"] == 1 + values.index(min(values))
    assert outcome.metrics["cost/epochs"] == 5
    assert 0 < outcome.metrics["cost/eval_share"] < 1
    assert outcome.metrics["noise/realised"] == pytest.approx(0.2 * 0.9, abs=0.04)
    assert outcome.metrics["train_corrupt/error"] == rows[-1][1]["train_corrupt/error"]
    assert outcome.predictions.shape == (500, 10)
    assert outcome.num_parameters == sum(p.numel() for p in learner.build(CONFIG, SOURCE.shape, 10).parameters())


def test_excess_loss_is_below_the_loss_with_mixing_and_equal_to_it_without(whole):
    assert all(metrics["train/excess_loss"] < metrics["train/loss"] for _, metrics in whole[0])
    rows, _ = finish(dataclasses.replace(CONFIG, alpha=0.0, epochs=2))
    assert all(metrics["train/excess_loss"] == metrics["train/loss"] for _, metrics in rows)


def test_time_is_accounted_for():
    rows = list(run_trial(CONFIG, SOURCE))
    assert all(0 < row.eval_seconds < row.seconds for row in rows)
    assert [row.at for row in rows] == sorted(row.at for row in rows)


def test_the_same_trial_gives_the_same_rows_again(whole):
    assert same(finish(), whole)


@pytest.mark.parametrize("changes", [{"seed": 1}, {"split": 1}, {"repeat": 1}])
def test_another_replicate_gives_other_rows(whole, changes):
    assert finish(dataclasses.replace(CONFIG, **changes))[0] != whole[0]


def test_two_trials_in_one_process_give_the_same_rows_in_either_order_or_interleaved(whole):
    other = dataclasses.replace(CONFIG, alpha=8.0, dropout=0.4, optimizer="adamw", lr=0.01)
    alone = finish(other)
    assert same(finish(), whole)
    one, two = run_trial(CONFIG, SOURCE), run_trial(other, SOURCE)
    together = list(zip(one, two, strict=True))
    assert [(a.epoch, a.metrics) for a, _ in together] == whole[0]
    assert [(b.epoch, b.metrics) for _, b in together] == alone[0]


def test_another_process_gives_the_same_rows(whole):
    code = ("import torch; from trainable.config import TrialConfig; from trainable.data import load;"
            "from trainable.trial import run_trial;"
            f"torch.set_num_threads({torch.get_num_threads()});"
            f"print([(r.epoch, r.metrics) for r in run_trial(TrialConfig(**{CONFIG.to_dict()!r}), load('digits'))])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == f"{whole[0]}\n"


def test_global_generators_and_switches_are_untouched_whenever_a_row_is_out():
    def everything():
        return (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(),
                torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"),
                torch.get_num_threads(), torch.get_float32_matmul_precision(),
                torch.are_deterministic_algorithms_enabled())

    before = everything()
    for _ in run_trial(dataclasses.replace(CONFIG, dropout=0.5, precision="bfloat16", epochs=2), SOURCE):
        assert everything() == before
    assert everything() == before


def test_global_generators_do_not_matter(whole):
    torch.manual_seed(123)
    np.random.seed(123)
    assert same(finish(), whole)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_a_trial_cut_anywhere_and_continued_is_bit_equal_to_one_that_was_not(tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    expected = finish(config)
    for cut in (1, 4, 5):
        place = str(tmp_path / str(cut))
        trial = run_trial(config, SOURCE, slot=CheckpointSlot(place, "key"))
        for _ in range(cut):
            next(trial)
        trial.close()
        resumed = CheckpointSlot(place, "key")
        assert len(resumed.load()["rows"]) == cut
        assert same(finish(config, slot=resumed), expected)


def test_a_trial_cut_after_every_epoch_ends_as_one_that_was_not(tmp_path, whole):
    for number in range(1, 6):
        trial = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "key"))
        assert [next(trial).epoch for _ in range(number)] == list(range(1, number + 1))
        trial.close()
    assert same(finish(slot=CheckpointSlot(str(tmp_path), "key")), whole)


def test_rows_yielded_again_keep_their_times(tmp_path):
    trial = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "key"))
    first = [next(trial), next(trial)]
    trial.close()
    again = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "key"))
    assert [next(again), next(again)] == first


def test_closing_while_rows_are_yielded_again_keeps_the_checkpoint(tmp_path, whole):
    trial = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "key"))
    for _ in range(3):
        next(trial)
    trial.close()
    again = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "key"))
    next(again)
    again.close()
    slot = CheckpointSlot(str(tmp_path), "key")
    assert len(slot.load()["rows"]) == 3
    assert same(finish(slot=slot), whole)


def test_a_killed_trial_continues_from_the_save_that_was_due(tmp_path, whole):
    killed = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "key", every_seconds=0.0))
    for _ in range(3):
        next(killed)  # and never closed
    slot = CheckpointSlot(str(tmp_path), "key")
    assert len(slot.load()["rows"]) >= 1
    assert same(finish(slot=slot), whole)


def test_a_pruned_trial_leaves_nothing(tmp_path):
    slot = CheckpointSlot(str(tmp_path / "a"), "key")
    trial = run_trial(CONFIG, SOURCE, slot=slot)
    next(trial)
    slot.save({})
    slot.discard()
    trial.close()
    assert not (tmp_path / "a").exists()


def test_another_trials_checkpoint_is_noted_and_not_used(tmp_path, whole):
    trial = run_trial(CONFIG, SOURCE, slot=CheckpointSlot(str(tmp_path), "other"))
    next(trial)
    trial.close()
    slot = CheckpointSlot(str(tmp_path), "key")
    assert same(finish(slot=slot), whole)
    assert "of trial other" in slot.notes[0]


@pytest.mark.parametrize("wrong", [{}, {"rows": [{"epoch": 1}], "learner": {}}, {"rows": [], "learner": {"model": {}}}])
def test_a_state_of_another_version_is_noted_and_not_used(tmp_path, whole, wrong):
    slot = CheckpointSlot(str(tmp_path), "key")
    slot.save(wrong)
    assert same(finish(slot=slot), whole)
    assert "starting over" in slot.notes[0]


def test_a_disk_that_refuses_checkpoints_does_not_stop_the_trial(tmp_path, whole):
    (tmp_path / "file").write_text("")
    slot = CheckpointSlot(str(tmp_path / "file"), "key", every_seconds=0.0)
    assert same(finish(slot=slot), whole)
    assert slot.notes


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30, 1e308])
def test_a_loss_that_is_not_finite_stops_the_trial_at_its_epoch(monkeypatch, epoch, value):
    def poisoned(self, number, train=learner.Learner.train_epoch):
        found = train(self, number)
        return dataclasses.replace(found, sums={"loss": found.sums["loss"] * value}) if number == epoch else found

    monkeypatch.setattr(learner.Learner, "train_epoch", poisoned)
    rows = []
    with pytest.raises(Diverged, match=f"epoch {epoch}: train/loss"):
        rows.extend(run_trial(CONFIG, SOURCE))
    trial = run_trial(CONFIG, SOURCE)
    with pytest.raises(Diverged):
        rows.extend(row.epoch for row in trial)
    assert rows[-1:] == ([epoch - 1] if epoch > 1 else [])


def test_a_learning_rate_out_of_all_reason_diverges():
    config = dataclasses.replace(CONFIG, lr=1000.0, momentum=0.99, weight_decay=10.0, schedule="constant", epochs=30)
    with pytest.raises(Diverged, match=r"epoch \d+: "):
        list(run_trial(config, SOURCE))


@pytest.mark.parametrize(("changes", "device", "error"), [
    ({"train_size": 5000}, "cpu", DataError), ({"batch_size": 101}, "cpu", DataError),
    ({"model": "no_such_model"}, "cpu", ModelError), ({}, "cuda:63", InfrastructureError),
    ({}, "tpu", InfrastructureError),
])
def test_what_does_not_fit_together_is_refused_before_the_first_epoch(changes, device, error):
    with pytest.raises(error):
        next(run_trial(dataclasses.replace(CONFIG, **changes), SOURCE, device))


def test_the_test_set_is_read_once_and_only_after_the_last_row(monkeypatch):
    calls, found = [], ({"test/error": 0.0}, np.zeros(1))
    monkeypatch.setattr("trainable.trial.measure_test", lambda made: calls.append(1) or found)
    trial = run_trial(CONFIG, SOURCE)
    for _ in range(5):
        next(trial)
        assert not calls
    with pytest.raises(StopIteration):
        next(trial)
    assert calls == [1]


def test_one_epoch_and_one_minibatch_are_enough():
    rows, outcome = finish(dataclasses.replace(CONFIG, epochs=1, batch_size=100))
    assert len(rows) == 1
    assert outcome.metrics["best/epoch"] == 1
