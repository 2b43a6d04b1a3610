"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour images of 32 x 32 pixels, as Python pickles in torchvision's layout.

Owns the layout. torchvision's own reader refuses files whose checksum it does not know, and unpickles without
restriction; this one reads any file of the right form, from any stranger, through our own pickle reader. torchvision is
imported for a download alone, where its checksums are what makes the download trustworthy.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainable.data.array_pickle import read_pickle
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
    batch = read_pickle(path)
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
    class_names = _entry(read_pickle(path), layout.names_key, path)
    if not isinstance(class_names, list) or len(class_names) != layout.num_classes:
        raise DataError(f"{path}: {layout.names_key} must be a list of {layout.num_classes} names")
    return tuple(str(class_name) for class_name in class_names)


def _entry(batch: dict[Any, Any], key: str, path: Path) -> Any:
    if key not in batch:
        raise DataError(f"{path}: holds no entry {key!r}")
    return batch[key]


def _download(layout: Layout, root: str) -> None:
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, layout.torchvision_name)(root, download=True)
    except (OSError, RuntimeError) as error:  # no network, no space, a checksum that does not match
        raise DataError(f"{root}: the download of {layout.torchvision_name} failed: {error}") from error
