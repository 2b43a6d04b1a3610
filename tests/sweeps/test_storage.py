"""Files under the storage: whole or absent, by digest, never unpickled."""

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from sweeps.storage import check_storage, read_array, write_array
from trainable.errors import InfrastructureError


def test_an_array_comes_back_as_it_was(tmp_path: Path) -> None:
    array = np.linspace(-9, 0, 12, dtype=np.float16).reshape(3, 4)
    digest = write_array(str(tmp_path), "predictions/s/k.npy", array)
    read = read_array(str(tmp_path), "predictions/s/k.npy", digest)
    assert read is not None
    np.testing.assert_array_equal(read, array)
    assert not list(tmp_path.rglob("*.part"))


def test_missing_damaged_and_foreign_files_are_none(tmp_path: Path) -> None:
    digest = write_array(str(tmp_path), "a.npy", np.zeros(3))
    write_array(str(tmp_path), "b.npy", np.ones(3))
    assert read_array(str(tmp_path), "c.npy") is None
    assert read_array(str(tmp_path), "b.npy", digest) is None
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-3])
    assert read_array(str(tmp_path), "a.npy") is None


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


def test_a_pickle_is_refused_without_running_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "evil.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Bomb()))
    assert read_array(str(tmp_path), "evil.npy") is None
    assert read_array(str(tmp_path), "plain.npy") is None
    assert not (tmp_path / "exploded").exists()


def test_a_memory_url_is_a_storage_too() -> None:
    write_array("memory://bucket", "x/y.npy", np.arange(3))
    assert read_array("memory://bucket", "x/y.npy").tolist() == [0, 1, 2]


@pytest.mark.parametrize("place", ["/proc/nowhere", "nosuch://bucket/x"])
def test_a_place_that_cannot_be_written_is_said_before_anything_runs(place: str) -> None:
    with pytest.raises(InfrastructureError, match="cannot be written"):
        check_storage(place)
    assert read_array(place, "a.npy") is None


def test_a_disk_without_room_is_named_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = write_array(str(tmp_path), "a.npy", np.zeros(3))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/a.npy'"):
        write_array(str(tmp_path), "a.npy", np.ones(3))
    with pytest.raises(InfrastructureError, match=f"storage {tmp_path} cannot be written: .*No space left"):
        check_storage(str(tmp_path))
    assert read_array(str(tmp_path), "a.npy", digest) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"], "the half of a file takes the room of the next"
