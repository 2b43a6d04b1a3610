"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour images of 32 x 32 pixels, as Python pickles in torchvision's layout.

Owns the layout and a pickle reader that can build numpy arrays and plain containers and nothing else. torchvision's own
reader refuses files whose checksum it does not know and unpickles the others without restriction; this one reads any
file of the right form, from any stranger, without running what is in it. torchvision is imported for a download alone,
where its checksum test is what makes the download trustworthy.
"""

import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct
from numpy._core.numeric import _frombuffer  # type: ignore[attr-defined]

from trainable.data.source import Raw
from trainable.errors import DataError

_SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Layout:
    """Where one of the two lies under a root, and under which keys its labels and class names stand."""

    folder: str
    pool_files: tuple[str, ...]
    test_file: str
    label_key: str
    meta_file: str
    names_key: str
    num_classes: int
    torchvision_name: str


LAYOUTS = {
    "cifar10": Layout("cifar-10-batches-py", tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch",
                      "labels", "batches.meta", "label_names", 10, "CIFAR10"),
    "cifar100": Layout("cifar-100-python", ("train",), "test",
                       "fine_labels", "meta", "fine_label_names", 100, "CIFAR100"),
}



def _encode_latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"asks for the encoding {encoding!r}; refused")
    return text.encode("latin1")


# numpy pickles an array as "make an empty one, then fill it from these bytes" (protocol 5: "view these bytes"), and
# Python 3 writes bytes in the old protocols as text to encode. Each of these makes a value; none opens or runs anything.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _encode_latin1}
for _package in ("numpy.core", "numpy._core"):  # before numpy 2, and since
    _ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[f"{_package}.numeric", "_frombuffer"] = _frombuffer
_DAMAGE = (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError,
           OverflowError, MemoryError, RuntimeError)
"""What `pickle` and numpy's __setstate__ raise on bytes that are no pickle, or half of one."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which a file of images has no use for; refused")
        return _ALLOWED[module, name]


def read(name: str, root: str | None, download: bool = False) -> Raw:
    """CIFAR-10 or CIFAR-100 from the folder that torchvision uses under `root`. crop_flip is its standard augmentation.

    With `download`, torchvision fetches and verifies the files first where any is missing. Raises DataError naming the
    file that is missing, damaged, of the wrong shape, or would run code.
    """
    layout = LAYOUTS[name]
    if root is None:
        raise DataError(f"{name}: needs a root, the folder that holds {layout.folder}")
    folder = Path(root) / layout.folder
    files = (*layout.pool_files, layout.test_file, layout.meta_file)
    if download and not all((folder / file).is_file() for file in files):
        _download(layout, root)
    if not folder.is_dir():
        raise DataError(f"{folder}: does not exist; give the root that holds {layout.folder}, or allow the download")
    pool = [_read_batch(folder / file, layout) for file in layout.pool_files]
    test_images_NCHW, test_labels_N = _read_batch(folder / layout.test_file, layout)
    return Raw(place=str(folder), class_names=_class_names(folder / layout.meta_file, layout), augment="crop_flip",
               images_NCHW=np.concatenate([images for images, _ in pool]),
               labels_N=np.concatenate([labels for _, labels in pool]),
               test_images_NCHW=test_images_NCHW, test_labels_N=test_labels_N)


def _read_batch(path: Path, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    batch = _unpickle(path)
    images, labels = _entry(batch, "data", path), _entry(batch, layout.label_key, path)
    found = f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
    if not (isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.shape[1:] == (math.prod(_SHAPE),)):
        raise DataError(f"{path}: data is {found}, must be uint8 of shape (examples, {math.prod(_SHAPE)})")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: {layout.label_key} must be a list of whole numbers")
    if len(labels) != len(images):
        raise DataError(f"{path}: {len(images)} images but {len(labels)} {layout.label_key}")
    try:
        return images.reshape(-1, *_SHAPE), np.array(labels, np.int64)
    except OverflowError as error:
        raise DataError(f"{path}: {layout.label_key} must be in [0, {layout.num_classes - 1}]: {error}") from error


def _class_names(path: Path, layout: Layout) -> tuple[str, ...]:
    class_names = _entry(_unpickle(path), layout.names_key, path)
    if not isinstance(class_names, list) or len(class_names) != layout.num_classes:
        raise DataError(f"{path}: {layout.names_key} must be a list of {layout.num_classes} names")
    return tuple(str(class_name) for class_name in class_names)


def _unpickle(path: Path) -> object:
    if not path.is_file():
        raise DataError(f"{path}: does not exist")
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()  # the originals were written by Python 2
    except _DAMAGE as error:
        raise DataError(f"{path}: cannot be read, the file is damaged or truncated: {error!r}") from error


def _entry(batch: object, key: str, path: Path) -> Any:
    if not isinstance(batch, dict) or key not in batch:
        raise DataError(f"{path}: holds no entry {key!r}")
    return batch[key]


def _download(layout: Layout, root: str) -> None:
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, layout.torchvision_name)(root, download=True)
    except (OSError, RuntimeError) as error:  # no network, no space, a checksum that does not match
        raise DataError(f"{root}: the download of {layout.torchvision_name} failed: {error}") from error
