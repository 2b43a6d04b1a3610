"""Pickles that hold arrays of bytes, lists and names, read without trusting whoever wrote them.

Owns a reader for the dialect of the published CIFAR files. What a pickle may ask for is five names, and each of them is
answered by a class of this module, never by numpy's own: numpy fills an array from a damaged pickle without checking,
which crashes the process (seen when flipping bytes at random). For the same reason the reader is the standard library's
slower one, written in Python. Refuses to know what the arrays mean.
"""

import io
import math
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np

from trainable.errors import DataError

_DAMAGE = (pickle.UnpicklingError, struct.error, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
           MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What the reader raises on bytes that are no pickle, or half of one."""


def read_pickle(path: Path) -> dict[Any, Any]:
    """The dict in the file: its values plain Python values, or read-only uint8 arrays.

    Raises DataError naming the file when it is missing, damaged, truncated, no dict, asks for anything that could run
    code, or holds an array of another type.
    """
    if not path.is_file():
        raise DataError(f"{path}: does not exist")
    try:
        # latin1 maps each byte to the character of the same number: the published files were written by Python 2, whose
        # bytes and text are one type
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"holds no dict but {type(content).__name__}")
        return {key: value.to_numpy() if isinstance(value, _Array) else value for key, value in content.items()}
    except _DAMAGE as error:
        raise DataError(f"{path}: cannot be read, it is damaged, truncated or of another kind: {error!r}") from error


class _Dtype:
    """Stands in for numpy.dtype: keeps its code, u1 for bytes."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code

    def restore(self, state: Any) -> None:
        """Byte order and the like, which mean nothing for bytes."""


class _Array:
    """Stands in for numpy.ndarray: keeps shape, type and content apart until all of them are there to be checked."""

    def __init__(self, *_: object) -> None:
        self.parts: tuple[Any, Any, Any, Any] | None = None

    def restore(self, state: Any) -> None:
        _, *parts = state  # the first is a version
        shape, dtype, is_fortran, content = parts
        self.parts = (shape, dtype, is_fortran, content)

    def to_numpy(self) -> np.ndarray:
        shape, dtype, is_fortran, content = self.parts or ((), None, None, b"")
        if not (isinstance(dtype, _Dtype) and dtype.code == "u1"):
            raise TypeError(f"an array of {getattr(dtype, 'code', dtype)!r}, must be of bytes, u1")
        if isinstance(content, str):  # from Python 2
            content = content.encode("latin1")
        if not all(type(extent) is int and extent >= 0 for extent in shape) or len(content) != math.prod(shape):
            raise ValueError(f"an array of shape {shape} with {len(content)} values")
        return np.frombuffer(bytes(content), np.uint8).reshape(shape, order="F" if is_fortran else "C")


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.parts = (shape, dtype, order == "F", content)
    return array


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"asks for the encoding {encoding!r}; refused")
    return bytes(text.encode("latin1"))


# numpy pickles an array as "make an empty one, then fill it from these bytes" (protocol 5: "view these bytes"), and
# Python 3 writes bytes in the old protocols as text to encode.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype, ("_codecs", "encode"): _encode}
for _package in ("numpy.core", "numpy._core"):  # before numpy 2, and since
    _ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _Array
    _ALLOWED[f"{_package}.numeric", "_frombuffer"] = _frombuffer


class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which a file of arrays has no use for; refused")
        return _ALLOWED[module, name]

    def load_build(self) -> None:
        """Restores a state to our stand-ins alone; the inherited way sets attributes on anything, functions included."""
        state, target = self.stack.pop(), self.stack[-1]  # type: ignore[attr-defined]
        if not isinstance(target, _Array | _Dtype):
            raise pickle.UnpicklingError(f"sets the state of a {type(target).__name__}; refused")
        target.restore(state)

    def load_bytearray(self) -> None:
        """Reads what is there; the inherited way first clears as much memory as a damaged length asks for."""
        (size,) = struct.unpack("<Q", self.read(8))  # type: ignore[attr-defined]
        self.append(self.read(size))  # type: ignore[attr-defined]

    dispatch = {**pickle._Unpickler.dispatch,  # noqa: RUF012
                pickle.BUILD[0]: load_build, pickle.BYTEARRAY8[0]: load_bytearray}  # type: ignore[dict-item]
