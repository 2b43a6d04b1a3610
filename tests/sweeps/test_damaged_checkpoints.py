"""Checkpoints that somebody damaged or made up, met by the trial that is resumed: none is trusted, and each is told of."""

import pickle
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.answer import results_of
from sweeps.attempt import Attempt, Place
from sweeps.brain import Brain
from sweeps.ledger import Ledger
from sweeps.records import FINISHED, NOTED, RUNNING
from sweeps.sweep import Sweep, run_locally
from trainable.checkpoint import CheckpointSlot, dumps

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_slow = runpy.run_path(str(Path(__file__).parents[1] / "cluster" / "drive.py"))["make_slow"]
DIGEST = "0" * 16


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = str(proof)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.proof, "w")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]


HARMS: dict[str, tuple[Callable[[bytes, str, Path], bytes], str]] = {
    "truncated": (lambda data, key, proof: data[:len(data) // 2], "the digest does not match"),
    "empty": (lambda data, key, proof: b"", "no checkpoint of this format"),
    "a bit flipped": (lambda data, key, proof: flipped(data, len(data) // 2), "the digest does not match"),
    "of another trial": (lambda data, key, proof: dumps({"epoch": 3}, "another"), "of trial another"),
    "a bare pickle": (lambda data, key, proof: pickle.dumps(Malicious(proof)), "no checkpoint of this format"),
    "code under a right digest": (lambda data, key, proof: dumps({"epoch": Malicious(proof)}, key), "more than tensors"),
}


class Interrupted:
    """A trial of the small study whose driver died after epoch 3, with checkpoints of epochs 2 and 3 in the storage."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.study = folder, SMALL["make_study"](max_trials=2, capacities=(0.5,))
        self.ledger = Ledger.open(folder / "ledger.db")
        self.record = self.ledger.register_study(self.study.name, self.study.identity(), self.study.to_dict(), 0.0)
        self.place = Place(storage=str(folder), study="small", slice_seconds=60.0, checkpoint_seconds=1000.0)
        self.runner = make_slow(SMALL["value_of"], 0.0)
        sweep = self.new_sweep()
        spec = sweep.next_trial()
        assert spec
        self.key = spec.key
        # kept, else it would save once more when it is collected
        self.cut_off = Attempt(spec, SMALL["make_data"](), self.place, (3,), self.runner)
        assert not sweep.record(self.cut_off.report())
        slot = CheckpointSlot(f"{folder}/checkpoints/small/{self.key}", self.key)
        slot.save({"epoch": 2})
        slot.save({"epoch": 3})
        self.latest, self.previous = Path(slot.latest), Path(slot.previous)

    def new_sweep(self) -> Sweep:
        return Sweep(self.study, self.ledger, self.record, Brain(self.study), DIGEST, time.time)

    def resume(self) -> Sweep:
        sweep = self.new_sweep()
        run_locally(sweep, SMALL["make_data"](), self.place, self.runner)
        return sweep

    def noted(self) -> list[str]:
        return [decision.detail["text"] for decision in self.ledger.decisions(self.record.id, NOTED)]

    def resumed_from(self) -> float:
        trial = self.ledger.trial(self.record.id, self.key)
        assert trial.state == FINISHED
        assert [row.epoch for row in self.ledger.rows(self.record.id)[trial.id]] == list(range(1, trial.config["epochs"] + 1))
        return trial.metrics["resumed"]


@pytest.fixture
def interrupted(tmp_path: Path) -> Interrupted:
    found = Interrupted(tmp_path)
    assert found.ledger.trial(found.record.id, found.key).state == RUNNING
    return found


def test_a_sound_checkpoint_is_gone_on_from_and_nothing_is_noted(interrupted: Interrupted) -> None:
    sweep = interrupted.resume()
    assert interrupted.resumed_from() == 3
    assert interrupted.noted() == sweep.notes == []


@pytest.mark.parametrize(("harm", "says"), HARMS.values(), ids=HARMS)
def test_a_bad_latest_is_passed_over_for_the_previous_and_noted(interrupted: Interrupted, tmp_path: Path, harm: Any,
                                                               says: str) -> None:
    proof = tmp_path / "code ran"
    interrupted.latest.write_bytes(harm(interrupted.latest.read_bytes(), interrupted.key, proof))
    sweep = interrupted.resume()
    assert interrupted.resumed_from() == 2
    assert not proof.exists()
    (noted,) = interrupted.noted()
    assert "latest passed over" in noted
    assert says in noted
    assert sweep.notes == [f"trial {interrupted.key}: {noted}"]


@pytest.mark.parametrize(("harm", "says"), HARMS.values(), ids=HARMS)
def test_where_both_are_bad_the_trial_starts_over_and_both_are_noted(interrupted: Interrupted, tmp_path: Path, harm: Any,
                                                                    says: str) -> None:
    proof = tmp_path / "code ran"
    for path in (interrupted.latest, interrupted.previous):
        path.write_bytes(harm(path.read_bytes(), interrupted.key, proof))
    interrupted.resume()
    assert interrupted.resumed_from() == 0
    assert not proof.exists()
    assert [text for text in interrupted.noted() if says in text] == interrupted.noted()
    assert len(interrupted.noted()) == 2


def test_the_proof_of_code_that_ran_would_be_there(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malicious(tmp_path / "code ran"))).close()
    assert (tmp_path / "code ran").exists(), "else the tests above could not fail"


def test_the_report_tells_what_was_passed_over(interrupted: Interrupted) -> None:
    interrupted.latest.write_bytes(b"")
    interrupted.resume()
    results = results_of(interrupted.ledger, interrupted.record, interrupted.place.storage)
    assert any(f"trial {interrupted.key}: checkpoint" in note and "passed over" in note for note in results.notes)


def test_a_checkpoint_of_a_real_trial_that_does_not_fit_is_noted_and_the_trial_starts_over(tmp_path: Path) -> None:
    from dataclasses import replace

    from sweeps.records import TrialSpec
    from trainable.trial import run_trial
    config = replace(SMALL["make_study"]().base, epochs=1)
    spec = TrialSpec(key=config.trial_key(DIGEST), stage="search", number=0, capacity="width=1", arm_key="a", split=0, repeat=0,
                     config=config.to_dict(), setting={}, origin="sampler")
    path = tmp_path / "checkpoints" / "small" / spec.key / "latest"
    path.parent.mkdir(parents=True)
    path.write_bytes(dumps({"rows": [], "learner": {"model": {"w": torch.zeros(2)}}}, spec.key))
    report = Attempt(spec, SMALL["make_data"](), Place(storage=str(tmp_path), study="small"), (), run_trial).report()
    assert report.end is not None
    assert report.end.state == FINISHED, report.end
    assert len(report.notes) == 1
    assert "checkpoint does not fit, starting over" in report.notes[0]
