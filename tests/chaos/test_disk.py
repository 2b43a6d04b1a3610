"""Disks that fill up under the checkpoints, the storage, the ledger, MLflow and /tmp: what was good stays good."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sweeps.ledger import Ledger
from sweeps.records import FAILED, INTERRUPTED
from sweeps.storage import read_array
from tests.chaos.small_disk import SmallDisk, mounted
from tests.chaos.smoke_run import SmokeRun, assert_whole, trials_in
from trainable.checkpoint import CheckpointSlot
from trainable.errors import LedgerError

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
KEY = "0123456789abcdef"
PATIENT = int(os.environ.get("CHAOS_ROUNDS", "1")) > 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk") as made:
        yield made


def state(epoch: int) -> dict:
    return {"epoch": epoch, "weights": torch.full((250_000,), float(epoch))}


def test_a_checkpoint_that_finds_no_room_leaves_the_last_one_and_takes_none_itself(disk: SmallDisk) -> None:
    slot = CheckpointSlot(str(disk.path / "trial"), KEY)
    assert slot.save(state(1))
    assert slot.save(state(2))
    disk.fill()
    for _ in range(3):
        assert slot.save(state(3)) is False
    assert len(slot.notes) == 3
    assert all("No space left" in note and str(disk.path) in note for note in slot.notes)
    assert sorted(path.name for path in (disk.path / "trial").iterdir()) == ["latest", "previous"]
    reader = CheckpointSlot(str(disk.path / "trial"), KEY)
    found = reader.load()
    assert found is not None
    assert found["epoch"] == 2
    assert reader.notes == []
    disk.free()
    assert slot.save(state(4))
    found = CheckpointSlot(str(disk.path / "trial"), KEY).load()
    assert found is not None
    assert torch.equal(found["weights"], state(4)["weights"])


def test_a_full_storage_ends_the_run_with_its_name_and_the_same_command_goes_on(disk: SmallDisk, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = SmokeRun(home, "--storage", str(disk.path / "store"))
    run.wait_for_trials(1)
    disk.fill()
    assert run.wait() == 4, run.output
    assert "No space left on device" in run.output
    assert str(disk.path / "store" / "predictions") in run.output
    assert "Traceback" not in run.output
    trials = trials_in(home / "ledger.db")
    assert FAILED not in {trial.state for trial in trials}, "a full disk is no trial's fault"
    assert INTERRUPTED in {trial.state for trial in trials}
    again = SmokeRun(home, "--storage", str(disk.path / "store"))
    assert again.wait() == 4, "nothing is trained for a storage that is still full"
    assert f"storage {disk.path / 'store'} cannot be written" in again.output
    disk.free()
    last = SmokeRun(home, "--storage", str(disk.path / "store"))
    assert last.wait() == 0, last.output
    assert_whole(home / "ledger.db")
    for trial in trials_in(home / "ledger.db"):
        assert read_array(str(disk.path / "store"), str(trial.predictions_path), trial.predictions_digest) is not None
    assert not list((disk.path / "store").rglob("*.part"))


def test_a_ledger_and_mlflow_whose_disk_is_full_wait_for_room_and_lose_nothing(disk: SmallDisk, tmp_path: Path) -> None:
    ledger, store = disk.path / "ledger.db", disk.path / "mlflow.db"
    run = SmokeRun(tmp_path / "home", "--ledger", f"sqlite:///{ledger}", "--tracking-uri", f"sqlite:///{store}")
    run.wait_for_trials(1, ledger)
    disk.fill()
    time.sleep(5)
    assert run.process.poll() is None, run.output
    disk.free()
    assert run.wait() == 0, run.output
    assert_whole(ledger)
    with sqlite3.connect(store) as database:
        keys = [key for (key,) in database.execute("SELECT value FROM tags WHERE key = 'sweep.trial_key'")]
    assert sorted(keys) == sorted(trial.key for trial in trials_in(ledger))


@pytest.mark.skipif(not PATIENT, reason="waits out the ledger's patience, three quarters of a minute: CHAOS_ROUNDS=5")
def test_a_ledger_whose_disk_stays_full_ends_the_run_with_its_name(disk: SmallDisk, tmp_path: Path) -> None:
    ledger = disk.path / "ledger.db"
    run = SmokeRun(tmp_path / "home", "--ledger", f"sqlite:///{ledger}", "--tracker", "defer")
    run.wait_for_trials(1, ledger)
    disk.fill()
    assert run.wait() == 4, run.output
    assert f"ledger {ledger}: " in run.output
    assert "full" in run.output
    disk.free()
    again = SmokeRun(tmp_path / "home", "--ledger", f"sqlite:///{ledger}", "--tracker", "defer")
    assert again.wait() == 0, again.output
    assert_whole(ledger)


def test_what_a_full_ledger_refuses_is_named_and_what_it_had_stays(disk: SmallDisk) -> None:
    with Ledger.open(disk.path / "ledger.db", patience_seconds=0.5) as ledger:
        study = ledger.register_study("a", {"seed": 0}, {"trials": 1}, 1.0).id
        disk.fill()
        written = 0

        def write_on() -> None:
            nonlocal written
            while True:
                ledger.decide(study, None, "test", 1.0, {"text": "x" * 20_000})
                written += 1

        with pytest.raises(LedgerError, match=rf"ledger {disk.path / 'ledger.db'}: .*full"):
            write_on()
        assert len(ledger.decisions(study)) == written
        disk.free()
        ledger.decide(study, None, "test", 1.0, {"text": "room"})
        assert len(ledger.decisions(study)) == written + 1
    with sqlite3.connect(disk.path / "ledger.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_folder_for_temporary_files_is_told_and_never_a_hang(tmp_path: Path) -> None:
    # a short path, as the sockets of Ray need
    with tempfile.TemporaryDirectory(prefix="full", dir="/tmp") as short, mounted(Path(short) / "t") as disk:
        disk.fill()
        home = tmp_path / "home"
        places = {"TMPDIR": str(disk.path), "RAY_TMPDIR": str(disk.path)}
        run = SmokeRun(home, **places)
        code = run.wait()
        assert code == 4, run.output
        assert str(disk.path) in run.output
        assert "Traceback" not in run.output
        assert "make room, or name another folder in RAY_TMPDIR" in run.output
        assert trials_in(home / "ledger.db") == []
