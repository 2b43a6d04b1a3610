"""Files under the storage of a sweep: a folder, or any fsspec URL that the driver and all workers reach.

Owns the layout (checkpoints, predictions, weights) and that a file is there whole or not at all. Nothing is ever unpickled.
"""

import hashlib
import io
import os
from contextlib import suppress
from typing import Any

import fsspec
import numpy as np

from sweeps.redaction import redact
from trainable.errors import InfrastructureError


def checkpoint_path(study: str, key: str) -> str:
    """Where a running trial keeps its checkpoint, below the storage."""
    return f"checkpoints/{study}/{key}"


def predictions_path(study: str, key: str) -> str:
    """Where a finished trial keeps its predictions on the test set, below the storage."""
    return f"predictions/{study}/{key}.npy"


def labels_path(study: str) -> str:
    """Where the driver keeps the test labels, so that a report needs no dataset."""
    return f"predictions/{study}/labels.npy"


def weights_path(study: str, key: str) -> str:
    """Where a finished trial keeps its weights until other arms have been attacked through it, below the storage."""
    return f"weights/{study}/{key}"


def write_array(storage: str, path: str, array: "np.ndarray[Any, Any]") -> str:
    """Write a .npy file; 16 hex digits of its content. Raises OSError."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(f"{storage}/{path}", buffer.getvalue())
    return _digest(buffer.getvalue())


def read_array(storage: str, path: str, digest: str | None = None) -> "np.ndarray[Any, Any] | None":
    """The array of a .npy file, or None when it is missing, damaged, or not the one that `digest` names."""
    try:
        filesystem, whole = fsspec.url_to_fs(f"{storage}/{path}")
        content = filesystem.cat_file(whole)
        if digest is not None and _digest(content) != digest:
            return None
        loaded: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError, ImportError):
        return None
    return loaded


PROBE_BYTES = 65_536


def check_storage(storage: str) -> None:
    """InfrastructureError, naming the place, where nothing can be written: before a trial has trained for nothing."""
    try:
        for content in (bytes(PROBE_BYTES), b""):  # a full disk still takes an empty file
            write_whole(f"{storage}/.writable", content)
    except (OSError, ValueError, ImportError) as error:
        raise InfrastructureError(f"storage {redact(storage)} cannot be written: {redact(str(error))}") from error


def write_whole(url: str, content: bytes) -> None:
    """Write a file that is either there whole or not at all, at a path or fsspec URL. Raises OSError, which names it."""
    filesystem, path = fsspec.url_to_fs(url)
    filesystem.makedirs(filesystem._parent(path), exist_ok=True)
    if "file" not in filesystem.protocol:
        filesystem.pipe_file(path, content)  # an object store shows an object only when it is complete
        return
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        error.filename = error.filename or path  # a full disk does not say which
        with suppress(OSError):
            os.unlink(part)  # it would take the room that the next one needs
        raise


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
