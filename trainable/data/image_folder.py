"""A folder of pictures: root/train/<class>/*.png|jpg and root/test/<class>/... (or root/val), decoded into memory.

Owns finding, decoding and squaring the pictures. Refuses sets whose decoded pictures would not fit the stated bound:
streaming from disk is not offered, since every trial and worker reads one array in shared memory.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from trainable.data.source import Raw
from trainable.errors import DataError

DEFAULT_SIZE = 64
SIZES = (8, 1024)
"""Smallest and largest side, in pixels, that may be asked for."""
MAX_BYTES = 4 * 2**30
"""Bound on the decoded pool and test pictures together: they are held as uint8 in memory, once a node."""
ENDINGS = (".png", ".jpg", ".jpeg")


def read(root: str | None, size: int = DEFAULT_SIZE, max_bytes: int = MAX_BYTES) -> Raw:
    """Every picture as (3, size, size) uint8: its central square, scaled (bilinear); RGB.

    The dataset's name gives the size: `image_folder` is 64 pixels, `image_folder:96` is 96. Classes are the sorted
    folder names under train; hidden files and those without an image ending are passed over. Augmentation is crop_flip.
    Raises DataError naming the folder or file that is missing, empty or damaged, and when the decoded pictures would
    take more than `max_bytes` (4 GiB).
    """
    if root is None:
        raise DataError("image_folder: needs a root, the folder that holds train/<class>/ and test/<class>/")
    train_folder, test_folder = Path(root) / "train", _test_folder(Path(root))
    class_names = _class_names(train_folder)
    if unknown := sorted(set(_class_names(test_folder)) - set(class_names)):
        raise DataError(f"{test_folder / unknown[0]}: there is no class of that name in {train_folder}")
    pool, test = _pictures(train_folder, class_names), _pictures(test_folder, class_names)
    num_pictures = len(pool) + len(test)
    num_bytes = num_pictures * 3 * size**2
    if num_bytes > max_bytes:
        raise DataError(f"{root}: {num_pictures} pictures of {size} x {size} pixels take {num_bytes:,} bytes decoded, "
                        f"must be at most {max_bytes:,}; use a smaller size, image_folder:<pixels>")
    return Raw(place=str(root), class_names=class_names, augment="crop_flip",
               images_NCHW=_decode_all([path for path, _ in pool], size),
               labels_N=np.array([label for _, label in pool], np.int64),
               test_images_NCHW=_decode_all([path for path, _ in test], size),
               test_labels_N=np.array([label for _, label in test], np.int64))


def decode(path: Path, size: int) -> np.ndarray:
    """One picture, (3, size, size) uint8. Raises DataError naming the file when it is damaged or not of 8 bits."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(("I", "F")):  # converting these to RGB would cut off values above 255
                raise DataError(f"{path}: has {picture.mode} pixels, must have 8 bits a channel")
            rgb = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: PIL's "broken PNG"
        raise DataError(f"{path}: cannot be decoded, the file is damaged or truncated: {error}") from error
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    square = rgb.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(square).transpose(2, 0, 1)


def _decode_all(paths: Sequence[Path], size: int) -> np.ndarray:
    images_NCHW = np.empty((len(paths), 3, size, size), np.uint8)

    def fill(index: int) -> None:
        images_NCHW[index] = decode(paths[index], size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # PIL decodes without the interpreter's lock
        for _ in pool.map(fill, range(len(paths))):
            pass
    return images_NCHW


def _test_folder(root: Path) -> Path:
    for folder in (root / "test", root / "val"):
        if folder.is_dir():
            return folder
    raise DataError(f"{root}: holds neither test nor val, which must hold a folder a class")


def _class_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"{folder}: does not exist; it must hold a folder a class")
    names = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    if not names:
        raise DataError(f"{folder}: is empty; it must hold a folder a class")
    return names


def _pictures(folder: Path, class_names: Sequence[str]) -> list[tuple[Path, int]]:
    found = []
    for label, class_name in enumerate(class_names):
        paths = sorted(path for path in (folder / class_name).glob("*")
                       if path.suffix.lower() in ENDINGS and not path.name.startswith("."))
        if not paths and folder.name == "train":
            raise DataError(f"{folder / class_name}: holds no picture ({', '.join(ENDINGS)})")
        found += [(path, label) for path in paths]
    return found
