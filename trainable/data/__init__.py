"""The registry of datasets: name -> Source.

Owns the names, what is known of each without reading it, and which reader serves it. Refuses to know of torch: a reader
is imported when its dataset is asked for, and gives numpy arrays.
"""

from dataclasses import dataclass, replace

from trainable.config import nearest
from trainable.data.source import Raw, Source, make_source
from trainable.errors import DataError

__all__ = ["DATASETS", "Facts", "Source", "facts", "load", "names"]


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset before it is read; None where only the files can tell."""

    pool_size: int | None
    test_size: int | None
    shape: tuple[int, int, int] | None
    num_classes: int | None
    help: str


DATASETS = {
    "digits": Facts(1297, 500, (1, 8, 8), 10, "scikit-learn's handwritten digits; comes with the library"),
    "fashion_mnist": Facts(60_000, 10_000, (1, 28, 28), 10, "from a root, or from Debian's dataset-fashion-mnist"),
    "cifar10": Facts(50_000, 10_000, (3, 32, 32), 10, "from a root in torchvision's layout"),
    "cifar100": Facts(50_000, 10_000, (3, 32, 32), 100, "from a root in torchvision's layout"),
    "image_folder": Facts(None, None, (3, 64, 64), None,
                          "root/train/<class>/*.png|jpg and root/test/<class>/; image_folder:96 is 96 pixels a side"),
}


def names() -> tuple[str, ...]:
    """Every dataset's name."""
    return tuple(DATASETS)


def facts(name: str) -> Facts:
    """What is known of a dataset by its name alone. Raises DataError, offering the nearest name, when there is none."""
    family, size = _parse(name)
    return DATASETS[family] if size is None else replace(DATASETS[family], shape=(3, size, size))


def load(name: str, *, root: str | None = None, seed: int = 0, download: bool = False) -> Source:
    """The dataset, read and checked. `root` is the folder it lies under, for those that need one.

    `seed` draws the test set of digits, and nothing else. `download` permits fetching what is missing. Raises
    DataError for a name that does not exist, and, naming the path and what is wrong, for files that are missing or
    damaged, images of another shape than the dataset's, labels out of range, one class only.
    """
    family, size = _parse(name)
    raw = _read(family, size, root, seed, download)
    source, expected = make_source(name, raw), facts(name).shape
    if source.shape != expected:
        raise DataError(f"{raw.place}: images have shape {source.shape} (channels, height, width), must be {expected}")
    return source


def _read(family: str, size: int | None, root: str | None, seed: int, download: bool) -> Raw:
    if family == "digits":
        from trainable.data import digits
        return digits.read(seed)
    if family == "fashion_mnist":
        from trainable.data import fashion_mnist
        return fashion_mnist.read(root, download)
    if family == "image_folder":
        from trainable.data import image_folder
        return image_folder.read(root, image_folder.DEFAULT_SIZE if size is None else size)
    from trainable.data import cifar
    return cifar.read(family, root, download)


def _parse(name: str) -> tuple[str, int | None]:
    """image_folder:96 -> (image_folder, 96)."""
    family, colon, size = name.partition(":")
    if family not in DATASETS:
        raise DataError(f"data = {name!r}: must be one of {', '.join(DATASETS)}{nearest(family, DATASETS)}")
    if not colon:
        return family, None
    from trainable.data.image_folder import SIZES

    if family != "image_folder" or not size.isascii() or not size.isdigit() or not SIZES[0] <= int(size) <= SIZES[1]:
        raise DataError(f"data = {name!r}: image_folder alone takes a size, in [{SIZES[0]}, {SIZES[1]}] pixels, "
                        "as in image_folder:96")
    return family, int(size)
