"""Checkpoints: the state of an unfinished trial, written so that it is whole or absent, and read without trust.

Owns the file format, the two generations kept, and when to write. Refuses to know what is in a state: a nest of dicts,
lists, numbers, texts and tensors. The random streams need no place in it: each is derived from (seed, name, epoch), so
the number of the last epoch holds them all.
"""

import contextlib
import hashlib
import io
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import torch
from fsspec.implementations.local import LocalFileSystem

from trainable.errors import CheckpointError

MAGIC = b"mixup-sweeps checkpoint 1\n"
DIGEST_BYTES = 32
SAVING_FRACTION = 0.05
"""Most of a trial's time that may go into saving, whatever `every_seconds` asks for."""

State = dict[str, Any]


def dumps(state: State, key: str) -> bytes:
    """The state of the trial `key` as bytes: magic line, key line, blake2b digest of all that matters, payload."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    return MAGIC + key.encode() + b"\n" + _digest(key, payload) + payload


def loads(data: bytes, key: str) -> State:
    """The state in `data`, tensors on the CPU. Runs no code from it: tensors and plain values are all it may hold.

    Raises CheckpointError when it is empty, truncated, altered, of another trial or format, or holds anything else.
    """
    if not data.startswith(MAGIC):
        raise CheckpointError(f"no checkpoint of this format: {len(data)} bytes that do not start with its magic line")
    name, separator, rest = data[len(MAGIC):].partition(b"\n")
    digest, payload = rest[:DIGEST_BYTES], rest[DIGEST_BYTES:]
    if not separator or digest != _digest(name.decode(errors="replace"), payload):
        raise CheckpointError("damaged: the digest does not match its content")
    if name.decode() != key:
        raise CheckpointError(f"of trial {name.decode()}: must be of trial {key}")
    try:
        state: State = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise CheckpointError(f"refused: holds more than tensors and plain values ({type(error).__name__})") from error
    return state


def _digest(key: str, payload: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\n" + payload, digest_size=DIGEST_BYTES).digest()


class CheckpointSlot:
    """The place of one trial's checkpoints: a folder by plain path or any fsspec URL, with `latest` and `previous`.

    A save that fails (disk full, storage away) leaves what was there loadable and does not stop the trial; `notes`
    tells of it, as of every checkpoint that was passed over. `clock` counts seconds and never goes back.
    """

    def __init__(self, url: str, key: str, every_seconds: float = 30.0,
                 clock: Callable[[], float] = time.monotonic) -> None:
        filesystem, path = fsspec.core.url_to_fs(url)
        self._filesystem: Any = filesystem
        self._is_local = isinstance(filesystem, LocalFileSystem)
        self.latest, self.previous = f"{path}/latest", f"{path}/previous"
        self._folder, self._key, self._every_seconds, self._clock = path, key, every_seconds, clock
        self._saved_at, self._saving_seconds = clock(), 0.0
        self._latest_is_whole = True
        self.discarded = False
        self.notes: list[str] = []

    def load(self) -> State | None:
        """The newest state that is whole and of this trial, or None. What was passed over, and why, goes to `notes`."""
        for path in (self.latest, self.previous):
            try:
                return loads(self._filesystem.cat_file(path), self._key)
            except FileNotFoundError:
                continue
            except (CheckpointError, OSError) as error:
                self.notes.append(f"checkpoint {path} passed over: {error}")
                self._latest_is_whole = False
        return None

    def due(self) -> bool:
        """True when `every_seconds` have passed since the last save, and enough that saving stays a small share."""
        pause = max(self._every_seconds, self._saving_seconds / SAVING_FRACTION)
        return not self.discarded and self._clock() - self._saved_at >= pause

    def save(self, state: State) -> bool:
        """Makes `state` the latest, and the latest the previous unless it was seen to be damaged.

        False, with a note, when the storage refused it.
        """
        began = self._clock()
        try:
            data = dumps(state, self._key)
            if self._is_local:
                _replace_locally(Path(self._folder), data, rotate=self._latest_is_whole)
            else:
                self._replace_remotely(data)
            self._latest_is_whole = True
        except OSError as error:
            self.notes.append(f"checkpoint {self.latest} not written: {error}")
            return False
        finally:
            self._saved_at = self._clock()
            self._saving_seconds = self._saved_at - began
        return True

    def clear(self) -> None:
        """Removes both checkpoints and their folder; nothing there is no error."""
        try:
            self._filesystem.rm(self._folder, recursive=True)
        except FileNotFoundError:
            return
        except OSError as error:
            self.notes.append(f"checkpoints {self._folder} not removed: {error}")

    def discard(self) -> None:
        """For a trial that will not be continued (it was pruned): removes its checkpoints, and no more are due."""
        self.discarded = True
        self.clear()

    def _replace_remotely(self, data: bytes) -> None:
        """Object stores write an object whole or not at all; where one does not, the digest tells and `previous` serves."""
        self._filesystem.makedirs(self._folder, exist_ok=True)
        if self._latest_is_whole:
            with contextlib.suppress(FileNotFoundError):  # the first save
                self._filesystem.mv(self.latest, self.previous)
        self._filesystem.pipe_file(self.latest, data)


def _replace_locally(folder: Path, data: bytes, *, rotate: bool) -> None:
    """Written beside and flushed to the disk before it gets its name: a crash at any line leaves a whole checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="new.", dir=folder)  # a name of our own: another attempt may still write
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if rotate and (folder / "latest").exists():
            (folder / "latest").replace(folder / "previous")
        new.replace(folder / "latest")
    finally:
        new.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # else the names may be lost with the power though the content is not
    finally:
        os.close(descriptor)
