"""One try of a trial: how its rows are cut into reports, and what is said of every way to end."""

import errno
import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sweeps.attempt import Attempt, Order, Place, failure
from sweeps.records import FAILED, FINISHED, Report, TrialSpec
from sweeps.storage import read_array
from trainable.config import TrialConfig
from trainable.errors import DataError, Diverged

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_data, runner = SMALL["make_data"], SMALL["runner"]


def make_spec(epochs: int = 6, **fields: Any) -> TrialSpec:
    config = TrialConfig(epochs=epochs, **fields)
    return TrialSpec(key=config.trial_key("0"), stage="search", number=0, capacity="width=1", arm_key=config.arm_key(), split=0,
                     repeat=0, config=config.to_dict(), setting={}, origin="sampler")


def make_attempt(folder: Path, run: Any = runner, *, rungs: tuple[int, ...] = (), slice_seconds: float = 60.0,
                 **fields: Any) -> Attempt:
    place = Place(storage=str(folder), study="small", slice_seconds=slice_seconds)
    return Attempt(make_spec(**fields), make_data(), place, rungs, run)


def epochs(report: Report) -> list[int]:
    return [row.epoch for row in report.rows]


def test_a_short_trial_is_one_report(tmp_path: Path) -> None:
    report = make_attempt(tmp_path).report()
    assert epochs(report) == [1, 2, 3, 4, 5, 6]
    assert report.end is not None
    assert (report.end.state, report.end.num_parameters) == (FINISHED, 10)


def test_a_slice_ends_when_its_time_is_over_but_never_between_the_last_epoch_and_the_end(tmp_path: Path) -> None:
    attempt = make_attempt(tmp_path, slice_seconds=0.0, epochs=3)
    reports = [attempt.report() for _ in range(3)]
    assert [epochs(report) for report in reports] == [[1], [2], [3]]
    assert [report.end is not None for report in reports] == [False, False, True]


def test_a_slice_ends_at_a_rung(tmp_path: Path) -> None:
    attempt = make_attempt(tmp_path, rungs=(2, 5, 6))
    assert [epochs(attempt.report()) for _ in range(3)] == [[1, 2], [3, 4, 5], [6]]


def test_reports_of_one_try_bear_one_token_and_those_of_another_a_different_one(tmp_path: Path) -> None:
    first, second = (make_attempt(tmp_path, rungs=(2,)) for _ in range(2))
    tokens = [first.report().token, first.report().token, second.report().token]
    assert tokens[0] == tokens[1] != tokens[2]


def test_predictions_are_in_the_storage_before_the_end_is_reported(tmp_path: Path) -> None:
    end = make_attempt(tmp_path).report().end
    assert end is not None
    assert end.predictions_path == f"predictions/small/{make_spec().key}.npy"
    found = read_array(str(tmp_path), end.predictions_path, end.predictions_digest)
    assert found is not None
    assert (found.dtype, found.shape) == (np.float16, (10, 2))
    assert {"python", "torch", "numpy", "mixup-sweeps", "device"} <= set(end.provenance)


def test_a_report_is_json_and_back(tmp_path: Path) -> None:
    report = make_attempt(tmp_path).report()
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_an_order_is_json_and_back() -> None:
    order = Order(spec=make_spec(), rungs=(2, 5), dropped=("a", "b"))
    assert Order.from_json(order.to_json()) == order


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(("error", "failure_class", "text"), [
    (Diverged("train loss is nan at epoch 3"), "DIVERGED", "train loss is nan at epoch 3"),
    (MemoryError("no room"), "OOM", "no room"), (OutOfMemoryError("CUDA out of memory"), "OOM", "CUDA out of memory"),
    (OSError(errno.ENOSPC, "No space left on device"), "DISK", "No space left"),
    (OSError(errno.EACCES, "Permission denied"), "CRASHED", "Permission denied"),
    (ZeroDivisionError("division by zero"), "CRASHED", "division by zero"), (DataError("too small"), "CRASHED", "too small"),
    (RuntimeError("generator raised StopIteration"), "CRASHED", "StopIteration")])
def test_what_a_trial_raises_is_its_end_with_a_class(tmp_path: Path, error: Exception, failure_class: str, text: str) -> None:
    def raising(config: TrialConfig, source: Any, device: str, *, slot: Any) -> Any:
        yield from zip_first(runner(config, source, device, slot=slot), 2)
        raise error

    report = make_attempt(tmp_path, raising).report()
    assert epochs(report) == [1, 2]
    assert report.end is not None
    assert (report.end.state, report.end.failure_class) == (FAILED, failure_class)
    assert text in (report.end.failure_text or "")
    assert ("Traceback" in (report.end.failure_text or "")) == (failure_class != "DIVERGED")


def zip_first(rows: Any, count: int) -> Any:
    for _ in range(count):
        yield next(rows)


def test_torch_s_own_memory_error_is_known() -> None:
    import torch
    assert failure(torch.OutOfMemoryError("CUDA out of memory")).failure_class == "OOM"


def test_a_trial_that_cannot_even_begin_fails_by_name(tmp_path: Path) -> None:
    spec = make_spec()
    broken = TrialSpec(**{**vars(spec), "config": {**spec.config, "alpha": -1.0}})
    end = Attempt(broken, make_data(), Place(storage=str(tmp_path), study="small"), (), runner).report().end
    assert end is not None
    assert end.failure_class == "CRASHED"
    assert "alpha = -1.0" in (end.failure_text or "")


def test_predictions_that_cannot_be_written_are_a_failure(tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("a file where a folder should be")
    end = make_attempt(tmp_path).report().end
    assert end is not None
    assert (end.state, end.failure_class) == (FAILED, "CRASHED")


def test_a_long_text_is_cut_to_its_end() -> None:
    text = failure(ValueError("x" * 10_000 + " the cause")).failure_text or ""
    assert len(text) == 4000
    assert text.endswith("the cause\n")


def test_an_unfinished_try_goes_on_from_its_checkpoint_and_repeats_its_rows(tmp_path: Path) -> None:
    first = make_attempt(tmp_path, rungs=(3,))
    first.report()
    first.close(keep=True)
    assert list(tmp_path.glob("checkpoints/small/*/latest"))
    seen: list[int] = []

    def watching(config: TrialConfig, source: Any, device: str, *, slot: Any) -> Any:
        seen.append((slot.load() or {"epoch": 0})["epoch"])
        return (yield from runner(config, source, device, slot=slot))

    second = make_attempt(tmp_path, watching)
    assert epochs(second.report()) == [1, 2, 3, 4, 5, 6]
    assert seen == [3]
    second.close(keep=True)
    assert not list(tmp_path.glob("checkpoints/small/*"))


@pytest.mark.parametrize("began", [False, True])
def test_a_try_that_is_dropped_leaves_nothing(tmp_path: Path, began: bool) -> None:
    attempt = make_attempt(tmp_path, rungs=(3,))
    if began:
        attempt.report()
    attempt.close(keep=False)
    assert not list(tmp_path.glob("checkpoints/small/*"))


def test_a_checkpoint_stays_until_the_end_has_been_taken_note_of(tmp_path: Path) -> None:
    def saving(config: TrialConfig, source: Any, device: str, *, slot: Any) -> Any:
        slot.save({"epoch": 1})
        yield SimpleNamespace(epoch=1, at=0.0, seconds=0.0, eval_seconds=0.0, metrics={})
        return SimpleNamespace(metrics={}, num_parameters=1, predictions=np.zeros((2, 2), np.float16))

    attempt = make_attempt(tmp_path, saving, epochs=1)
    assert attempt.report().end is not None
    assert list(tmp_path.glob("checkpoints/small/*/latest"))
    attempt.close(keep=True)
    assert not list(tmp_path.glob("checkpoints/small/*"))


def asking(folder: Path, stage: str = "measure", diagnostics: tuple[str, ...] = ("calibration", "transfer"),
           **replicate: int) -> tuple[Any, list[dict[str, Any]]]:
    """The end of an attempt with these diagnostics of the study, and what its runner was asked."""
    asked: list[dict[str, Any]] = []

    def recording(config: TrialConfig, source: Any, device: str, *, slot: Any, **extra: Any) -> Any:
        asked.append(extra)
        outcome = yield from runner(config, source, device, slot=slot)
        return SimpleNamespace(**vars(outcome), curves={"calibration/reliability": {"count": [3]}},
                               weights={"x": np_tensor()} if extra.get("keep_weights") else None)

    spec = TrialSpec(**{**vars(make_spec()), "stage": stage, **{"split": 1, "repeat": 0, **replicate}})
    place = Place(storage=str(folder), study="small", slice_seconds=60.0, diagnostics=diagnostics)
    return Attempt(spec, make_data(), place, (), recording).report().end, asked


def np_tensor() -> Any:
    import torch
    return torch.from_numpy(np.arange(3.0))


def test_a_measure_trial_is_diagnosed_and_its_curves_are_reported(tmp_path: Path) -> None:
    end, asked = asking(tmp_path)
    assert asked == [{"diagnostics": ("calibration",), "keep_weights": True}]
    assert end.findings == {"calibration/reliability": {"count": [3]}}
    from trainable.checkpoint import loads
    kept = loads((tmp_path / "weights" / "small" / make_spec().key).read_bytes(), make_spec().key)
    assert kept["x"].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("replicate", [{"split": 2}, {"repeat": 1}, {"split": 0}])
def test_one_replicate_alone_keeps_its_weights(tmp_path: Path, replicate: dict[str, int]) -> None:
    _, asked = asking(tmp_path, **replicate)
    assert asked == [{"diagnostics": ("calibration",), "keep_weights": False}]
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(("stage", "diagnostics", "split"), [
    ("search", ("calibration", "transfer"), 1), ("measure", (), 1), ("measure", ("transfer",), 2)])
def test_other_trials_are_asked_for_nothing(tmp_path: Path, stage: str, diagnostics: tuple[str, ...], split: int) -> None:
    end, asked = asking(tmp_path, stage, diagnostics, split=split)
    assert asked == [{}]
    assert end.findings == {}


def test_weights_that_cannot_be_written_are_a_failure(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where a folder should be")
    end, _ = asking(tmp_path)
    assert (end.state, end.failure_class) == (FAILED, "CRASHED")


def test_what_the_slot_noted_is_reported_once(tmp_path: Path) -> None:
    def noting(config: TrialConfig, source: Any, device: str, *, slot: Any) -> Any:
        for row in runner(config, source, device, slot=slot):
            slot.notes.append("checkpoint s3://user:hunter2@place not written: no room")
            yield row

    attempt = make_attempt(tmp_path, noting, rungs=(2, 4))
    assert [attempt.report().notes for _ in range(2)] == [("checkpoint s3://***@place not written: no room",), ()]


def test_a_trial_that_found_no_room_keeps_its_checkpoint(tmp_path: Path) -> None:
    def full(config: TrialConfig, source: Any, device: str, *, slot: Any) -> Any:
        slot.save({"epoch": 1})
        yield SimpleNamespace(epoch=1, at=0.0, seconds=0.0, eval_seconds=0.0, metrics={})
        raise OSError(errno.ENOSPC, "No space left on device")

    attempt = make_attempt(tmp_path, full, epochs=1)
    end = attempt.report().end
    assert end is not None
    assert end.failure_class == "DISK"
    attempt.close(keep=True)
    assert list(tmp_path.glob("checkpoints/small/*/latest"))
