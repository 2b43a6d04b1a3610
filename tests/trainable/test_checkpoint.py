"""Checkpoints are whole or passed over, never trusted, and never stop a trial."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from trainable import checkpoint
from trainable.checkpoint import MAGIC, CheckpointSlot, dumps, loads
from trainable.errors import CheckpointError

KEY = "0123456789abcdef"


class Malicious:
    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return (os.mkdir, (str(self.proof),))


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def state(epoch=1):
    return {"epoch": epoch, "rows": [{"metrics": {"a": 0.1}}], "weights": {"w": torch.arange(3.0) * epoch}}


def slot(tmp_path, key=KEY, **settings):
    return CheckpointSlot(str(tmp_path / "trial"), key, **settings)


def same(found, expected):
    return (found is not None and found["epoch"] == expected["epoch"] and found["rows"] == expected["rows"]
            and torch.equal(found["weights"]["w"], expected["weights"]["w"]))


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]


DAMAGES = {
    "empty": lambda data: b"",
    "truncated in the header": lambda data: data[:len(MAGIC) + 4],
    "truncated in the digest": lambda data: data[:len(MAGIC) + len(KEY) + 9],
    "truncated by one byte": lambda data: data[:-1],
    "truncated to a half": lambda data: data[:len(data) // 2],
    "lengthened": lambda data: data + b"\0",
    "a bit of the magic": lambda data: flipped(data, 3),
    "a bit of the key": lambda data: flipped(data, len(MAGIC) + 2),
    "a bit of the digest": lambda data: flipped(data, len(MAGIC) + len(KEY) + 5),
    "a bit of the payload": lambda data: flipped(data, len(data) - 100),
    "the last bit": lambda data: flipped(data, len(data) - 1),
    "another file": lambda data: b"\x89PNG" + data,
    "another trial": lambda data: dumps(state(7), "fedcba9876543210"),
    "a pickle": lambda data: pickle.dumps(state(7)),
}


def test_a_state_comes_back_as_it_was():
    assert same(loads(dumps(state(), KEY), KEY), state())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_of_any_kind_is_an_error(damage):
    with pytest.raises(CheckpointError):
        loads(damage(dumps(state(), KEY)), KEY)


def test_another_trials_checkpoint_is_refused_by_name():
    with pytest.raises(CheckpointError, match=f"of trial other: must be of trial {KEY}"):
        loads(dumps(state(), "other"), KEY)


def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path):
    proof = tmp_path / "code_ran"
    data = dumps({"epoch": Malicious(proof)}, KEY)  # with a digest that is right: only the loader can refuse it
    with pytest.raises(CheckpointError, match="refused: holds more than tensors and plain values"):
        loads(data, KEY)
    assert not proof.exists()
    pickle.loads(pickle.dumps(Malicious(proof)))
    assert proof.exists(), "else this test could not fail"


@pytest.mark.parametrize("url", ["{}/a/b", "file://{}/a/b", "memory://{}/a/b"])
def test_what_was_saved_is_loaded_by_the_next_slot_at_any_kind_of_url(tmp_path, url):
    place = url.format(tmp_path)
    assert CheckpointSlot(place, KEY).load() is None
    for epoch in (1, 2, 3):
        assert CheckpointSlot(place, KEY).save(state(epoch))
    reader = CheckpointSlot(place, KEY)
    assert same(reader.load(), state(3))
    assert reader.notes == []
    reader.clear()
    assert CheckpointSlot(place, KEY).load() is None


@pytest.mark.parametrize("url", ["{}/a", "memory://{}/a"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_latest_falls_back_to_the_previous_and_says_so(tmp_path, url, damage):
    writer = CheckpointSlot(url.format(tmp_path), KEY)
    writer.save(state(1))
    writer.save(state(2))
    files = writer._filesystem
    files.pipe_file(writer.latest, damage(files.cat_file(writer.latest)))
    reader = CheckpointSlot(url.format(tmp_path), KEY)
    assert same(reader.load(), state(1))
    assert len(reader.notes) == 1
    assert "latest passed over" in reader.notes[0]
    reader.save(state(3))  # must not make the damaged one the previous
    files.rm(reader.latest)
    assert same(CheckpointSlot(url.format(tmp_path), KEY).load(), state(1))


def test_both_damaged_is_a_fresh_start(tmp_path):
    writer = slot(tmp_path)
    writer.save(state(1))
    writer.save(state(2))
    for path in (writer.latest, writer.previous):
        Path(path).write_bytes(b"")
    reader = slot(tmp_path)
    assert reader.load() is None
    assert len(reader.notes) == 2


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_crash_at_any_call_leaves_a_whole_checkpoint(tmp_path, monkeypatch, name, calls):
    writer = slot(tmp_path)
    writer.save(state(1))
    writer.save(state(2))
    owner = os if name == "fsync" else Path
    original, left = getattr(owner, name), [calls]

    def dies(*arguments):
        if left[0] == 0:
            raise KeyboardInterrupt  # not an OSError: nothing in save may catch it
        left[0] -= 1
        return original(*arguments)

    monkeypatch.setattr(owner, name, dies)
    try:
        writer.save(state(3))
    except KeyboardInterrupt:
        monkeypatch.undo()
    monkeypatch.undo()
    found = slot(tmp_path).load()
    assert same(found, state(2)) or same(found, state(3))


def test_a_full_disk_leaves_the_last_checkpoint_and_no_litter_and_is_noted(tmp_path, monkeypatch):
    writer = slot(tmp_path)
    writer.save(state(1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert writer.save(state(2)) is False
    monkeypatch.undo()
    assert "No space left" in writer.notes[0]
    assert sorted(path.name for path in (tmp_path / "trial").iterdir()) == ["latest"]
    assert same(slot(tmp_path).load(), state(1))
    assert writer.save(state(3))
    assert same(slot(tmp_path).load(), state(3))


def test_a_place_that_cannot_be_written_is_noted_not_raised(tmp_path):
    (tmp_path / "trial").write_text("a file where the folder should be")
    writer = slot(tmp_path)
    assert writer.load() is None
    assert writer.save(state()) is False
    writer.clear()
    assert writer.notes


@pytest.mark.parametrize(("seconds", "due"), [(29.9, False), (30.0, True), (31.0, True)])
def test_a_save_is_due_when_its_time_has_passed(tmp_path, seconds, due):
    clock = Clock()
    writer = slot(tmp_path, every_seconds=30.0, clock=clock)
    clock.now = seconds
    assert writer.due() is due
    writer.save(state())
    assert not writer.due()
    clock.now += 30.0
    assert writer.due()


@pytest.mark.parametrize(("pause", "due"), [(39.9, False), (40.0, True)])
def test_slow_storage_is_not_given_more_than_a_twentieth_of_the_time(tmp_path, monkeypatch, pause, due):
    clock = Clock()
    writer = slot(tmp_path, every_seconds=1.0, clock=clock)

    def slow(*arguments, **settings):
        clock.now += 2.0

    monkeypatch.setattr(checkpoint, "_replace_locally", slow)
    writer.save(state())
    clock.now += pause
    assert writer.due() is due


def test_a_discarded_slot_is_empty_and_never_due(tmp_path):
    writer = slot(tmp_path, every_seconds=0.0)
    writer.save(state())
    writer.discard()
    assert writer.discarded
    assert not writer.due()
    assert not (tmp_path / "trial").exists()


def test_clearing_what_is_not_there_is_no_error(tmp_path):
    empty = slot(tmp_path)
    empty.clear()
    assert empty.notes == []
