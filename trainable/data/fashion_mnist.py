"""Fashion-MNIST: 60,000 + 10,000 grey images of clothes, 28 x 28, in IDX files.

Owns where the four files may lie and the names of the classes. Reads with our own numpy reader, so that a driver that
only hands the arrays on need not import torch; torchvision is imported for a download alone.
"""

from pathlib import Path

from trainable.data.idx import read_idx
from trainable.data.source import Raw
from trainable.errors import DataError

SYSTEM_ROOT = "/usr/share/datasets/fashion-mnist"
"""Where Debian's package dataset-fashion-mnist puts the files; read when no root is given."""

CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_FILES = {"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte",
          "test_images": "t10k-images-idx3-ubyte", "test_labels": "t10k-labels-idx1-ubyte"}


def read(root: str | None, download: bool = False) -> Raw:
    """The images and labels under `root`: torchvision's layout (FashionMNIST/raw) or the bare files, plain or .gz.

    Without a root: SYSTEM_ROOT. With `download`, torchvision fetches and verifies them first where any is
    missing. Raises DataError naming the file that is missing or damaged.
    """
    place = SYSTEM_ROOT if root is None else root
    folder = _folder(place)
    if download and (folder is None or not all(_endings(folder, name) for name in _FILES.values())):
        folder = _download(root)
    if folder is None:
        raise DataError(f"{place}: no Fashion-MNIST here: {_FILES['images']}[.gz] is neither in it nor in FashionMNIST/raw "
                        "below it; give another root, allow the download, or install Debian's dataset-fashion-mnist")
    arrays = {key: read_idx(_file(folder, name), 3 if "images" in key else 1) for key, name in _FILES.items()}
    return Raw(place=str(folder), images_NCHW=arrays["images"][:, None], labels_N=arrays["labels"],
               test_images_NCHW=arrays["test_images"][:, None], test_labels_N=arrays["test_labels"],
               class_names=CLASS_NAMES)


def _folder(root: str) -> Path | None:
    for folder in (Path(root) / "FashionMNIST" / "raw", Path(root)):
        if _endings(folder, _FILES["images"]):
            return folder
    return None


def _endings(folder: Path, name: str) -> list[Path]:
    return [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]


def _file(folder: Path, name: str) -> Path:
    if found := _endings(folder, name):
        return found[0]
    raise DataError(f"{folder / name}[.gz]: does not exist, though {_FILES['images']} does")


def _download(root: str | None) -> Path | None:
    if root is None:
        raise DataError("fashion_mnist: a download needs a root to put the files in")
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(root, download=True)
    except (OSError, RuntimeError) as error:  # no network, no space, a checksum that does not match
        raise DataError(f"{root}: the download of Fashion-MNIST failed: {error}") from error
    return _folder(root)
