"""Source: one dataset as arrays in memory, checked before anything may use it.

Owns what every dataset must satisfy, the per-channel statistics and the digest. Refuses to know where a dataset comes
from, how it is split, or what torch is: plain numpy arrays travel through a process boundary or shared memory uncopied.

Axes: N example, C channel, H height, W width.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from trainable.errors import DataError

AUGMENTS = ("none", "crop_flip")
_CHUNK = 1024  # examples a step of the streaming passes: their scratch memory stays at some tens of MB


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a reader of one dataset hands over: arrays as they were found, not checked yet.

    `place` is the file or folder that a user would have to look at; it heads every error text.
    """

    place: str
    images_NCHW: np.ndarray
    labels_N: np.ndarray
    test_images_NCHW: np.ndarray
    test_labels_N: np.ndarray
    class_names: tuple[str, ...]
    scale: float = 255.0
    augment: str = "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A checked dataset: a pool, from which training and validation splits are drawn, and a test set.

    images and test_images are (N, C, H, W), uint8 (float32 where the values are no pixels); labels are (N,) int64 in
    [0, num_classes). `scale` is the stored value that stands for 1.0; `mean` and `std` are per channel, of the pool's
    images / scale. `augment` is what the setting `auto` means for this dataset. `digest` is 16 hex digits over every
    byte that can change a trial's numbers. The arrays are read-only, and may be shared with other processes.
    """

    name: str
    images: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    num_classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: str
    digest: str
    class_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one example."""
        num_channels, height, width = self.images.shape[1:]
        return num_channels, height, width


def make_source(name: str, raw: Raw) -> Source:
    """The Source of what a reader found. Raises DataError, naming the place and the array, when it is damaged.

    Damaged: no examples, a wrong shape or type, NaN or infinite values, labels that do not match the images in number
    or lie outside the classes, a pool or test set of one class only, a channel that never varies.
    """
    num_classes = len(raw.class_names)
    check_images(raw.images_NCHW, f"{raw.place}: pool images")
    check_images(raw.test_images_NCHW, f"{raw.place}: test images")
    if raw.images_NCHW.shape[1:] != raw.test_images_NCHW.shape[1:]:
        raise DataError(f"{raw.place}: test images have shape {raw.test_images_NCHW.shape[1:]} (channels, height, "
                        f"width), pool images {raw.images_NCHW.shape[1:]}; they must agree")
    check_labels(raw.labels_N, len(raw.images_NCHW), num_classes, f"{raw.place}: pool labels")
    check_labels(raw.test_labels_N, len(raw.test_images_NCHW), num_classes, f"{raw.place}: test labels")
    mean, std = channel_statistics(raw.images_NCHW, raw.scale)
    if min(std) == 0:
        raise DataError(f"{raw.place}: pool images: channel {std.index(0)} has the same value in every pixel")
    arrays = {"images": raw.images_NCHW, "labels": raw.labels_N.astype(np.int64),
              "test_images": raw.test_images_NCHW, "test_labels": raw.test_labels_N.astype(np.int64)}
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    for array in arrays.values():  # as they are in shared memory, so that a stray write fails in a plain loop too
        array.setflags(write=False)
    return Source(name=name, num_classes=num_classes, scale=raw.scale, mean=mean, std=std, augment=raw.augment,
                  digest=_digest(arrays, f"{num_classes} {raw.scale} {raw.augment}"), class_names=raw.class_names,
                  **arrays)


def check_images(images_NCHW: np.ndarray, place: str) -> None:
    """Raises DataError unless the array is (N, C, H, W) with N >= 1, uint8 or finite float32."""
    if images_NCHW.ndim != 4 or 0 in images_NCHW.shape[1:]:
        raise DataError(f"{place}: shape is {images_NCHW.shape}, must be (examples, channels, height, width)")
    if not len(images_NCHW):
        raise DataError(f"{place}: there are none")
    if images_NCHW.dtype not in (np.uint8, np.float32):
        raise DataError(f"{place}: type is {images_NCHW.dtype}, must be uint8 or float32")
    if images_NCHW.dtype == np.float32:
        for start, chunk in _chunks(images_NCHW):
            bad_N = ~np.isfinite(chunk).all(axis=(1, 2, 3))
            if bad_N.any():
                raise DataError(f"{place}: example {start + int(bad_N.argmax())} holds NaN or infinite values")


def check_labels(labels_N: np.ndarray, num_examples: int, num_classes: int, place: str) -> None:
    """Raises DataError unless each example has one whole-number label in [0, num_classes) and two classes occur."""
    if labels_N.shape != (num_examples,):
        raise DataError(f"{place}: shape is {labels_N.shape}, must be ({num_examples},), one label an image")
    if not np.issubdtype(labels_N.dtype, np.integer):
        raise DataError(f"{place}: type is {labels_N.dtype}, must be whole numbers")
    low, high = int(labels_N.min()), int(labels_N.max())
    if low < 0 or high >= num_classes:
        wrong = low if low < 0 else high
        raise DataError(f"{place}: example {int((labels_N == wrong).argmax())} has label {wrong}, "
                        f"must be in [0, {num_classes - 1}]")
    if low == high:
        raise DataError(f"{place}: every label is {low}; at least two classes must occur")


def channel_statistics(images_NCHW: np.ndarray, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and (population) standard deviation of images / scale per channel. uint8 goes through exact histograms."""
    num_channels = images_NCHW.shape[1]
    if images_NCHW.dtype == np.uint8:
        counts_CV = np.zeros((num_channels, 256), np.int64)
        for _, chunk in _chunks(images_NCHW):
            for channel in range(num_channels):
                counts_CV[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
        values_V = np.arange(256) / scale
        share_CV = counts_CV / counts_CV.sum(axis=1, keepdims=True)
        mean_C = share_CV @ values_V
        variance_C = (share_CV * (values_V - mean_C[:, None]) ** 2).sum(axis=1)
    else:  # two passes: the one-pass formula loses everything when the mean is far from zero
        count = images_NCHW.size / num_channels
        mean_C = sum(chunk.sum(axis=(0, 2, 3), dtype=np.float64) for _, chunk in _chunks(images_NCHW)) / count / scale
        variance_C = sum((((chunk / scale).astype(np.float64) - mean_C[:, None, None]) ** 2).sum(axis=(0, 2, 3))
                         for _, chunk in _chunks(images_NCHW)) / count
    return tuple(map(float, mean_C)), tuple(map(float, np.sqrt(variance_C)))


def _chunks(images_NCHW: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(images_NCHW), _CHUNK):
        yield start, images_NCHW[start:start + _CHUNK]


def _digest(arrays: dict[str, np.ndarray], settings: str) -> str:
    state = hashlib.blake2b(settings.encode(), digest_size=8)
    for key, array in arrays.items():
        state.update(f"{key} {array.dtype.str} {array.shape}".encode())
        state.update(array.reshape(-1).view(np.uint8).data)
    return state.hexdigest()
