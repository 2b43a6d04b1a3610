"""fashion_mnist: the IDX files in each layout, and what is said when one of them is missing or damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from trainable.data import load
from trainable.data.fashion_mnist import SYSTEM_ROOT
from trainable.data.idx import read_idx
from trainable.errors import DataError

TRAIN, TEST = (20, 28, 28), (10, 28, 28)


def idx(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_set(folder, *, compressed=False, **changes):
    """A small set in the true form. `changes` replaces the bytes of a file, named by its first letters; None removes it."""
    stream = np.random.default_rng(0)
    content = {
        "train_images": ("train-images-idx3-ubyte", idx(stream.integers(256, size=TRAIN, dtype=np.uint8))),
        "train_labels": ("train-labels-idx1-ubyte", idx((np.arange(20) % 10).astype(np.uint8))),
        "t10k_images": ("t10k-images-idx3-ubyte", idx(stream.integers(256, size=TEST, dtype=np.uint8))),
        "t10k_labels": ("t10k-labels-idx1-ubyte", idx((np.arange(10) % 10).astype(np.uint8)))}
    folder.mkdir(parents=True, exist_ok=True)
    for key, (name, sound) in content.items():
        chosen = changes.get(key, sound)
        if chosen is not None:
            (folder / (name + ".gz" * compressed)).write_bytes(gzip.compress(chosen) if compressed else chosen)


@pytest.mark.parametrize("below", ["FashionMNIST/raw", "."])
@pytest.mark.parametrize("compressed", [False, True])
def test_every_layout_gives_the_same_images(tmp_path, below, compressed):
    write_set(tmp_path / below, compressed=compressed)
    source = load("fashion_mnist", root=str(tmp_path))
    assert source.images.shape == (20, 1, 28, 28)
    assert np.array_equal(source.images[:, 0], np.random.default_rng(0).integers(256, size=TRAIN, dtype=np.uint8))
    assert source.labels.tolist() == [*range(10), *range(10)]
    assert (source.scale, source.augment, source.class_names[9]) == (255.0, "none", "Ankle boot")


DAMAGE = {
    "missing file": ({"t10k_labels": None}, "t10k-labels-idx1-ubyte.*does not exist"),
    "empty file": ({"train_labels": b""}, "train-labels.*begins with nothing"),
    "no IDX": ({"train_images": b"<html>404</html>"}, "train-images.*begins with 3c68746d"),
    "header cut": ({"train_images": idx(np.zeros(TRAIN, np.uint8))[:15]}, "train-images.*begins with"),
    "values cut": ({"train_images": idx(np.zeros(TRAIN, np.uint8))[:-1]}, "announces 20 x 28 x 28 = 15680.*holds 15679"),
    "values too many": ({"train_images": idx(np.zeros(TRAIN, np.uint8)) + b"0"}, "15680 values, the file holds 15681"),
    "labels for images": ({"t10k_images": idx(np.arange(10, dtype=np.uint8))}, "must be an IDX file of bytes with 3 axes"),
    "another shape": ({"train_images": idx(np.ones((20, 27, 28), np.uint8) * np.arange(28, dtype=np.uint8))},
                      "shape"),
    "label out of range": ({"train_labels": idx(np.arange(20, dtype=np.uint8))}, r"label 19, must be in \[0, 9\]"),
    "a label too few": ({"train_labels": idx((np.arange(19) % 10).astype(np.uint8))}, r"shape is \(19,\)"),
    "one class": ({"train_labels": idx(np.full(20, 3, np.uint8))}, "every label is 3"),
    "no examples": ({"train_images": idx(np.zeros((0, 28, 28), np.uint8))}, "there are none"),
}


@pytest.mark.parametrize(("changes", "text"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_with_its_path(tmp_path, changes, text):
    write_set(tmp_path, **changes)
    with pytest.raises(DataError, match=text) as caught:
        load("fashion_mnist", root=str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_a_truncated_or_flipped_gzip_file_is_named(tmp_path):
    write_set(tmp_path, compressed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    sound = path.read_bytes()
    for damaged in (sound[:-5], sound[:100], sound[:5000] + bytes([sound[5000] ^ 255]) + sound[5001:], b"no gzip"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
            read_idx(path, 3)


def test_an_empty_root_is_named_with_the_ways_out(tmp_path):
    with pytest.raises(DataError, match=r"no Fashion-MNIST here.*dataset-fashion-mnist") as caught:
        load("fashion_mnist", root=str(tmp_path / "absent"))
    assert str(tmp_path / "absent") in str(caught.value)


def test_nothing_is_fetched_unless_asked(tmp_path, monkeypatch):
    import trainable.data.fashion_mnist as reader

    monkeypatch.setattr(reader, "_download", lambda root: pytest.fail("downloaded"))
    with pytest.raises(DataError):
        load("fashion_mnist", root=str(tmp_path))


@pytest.mark.parametrize("missing", ["all", "t10k-labels-idx1-ubyte", None])
def test_a_permitted_download_happens_iff_a_file_is_missing(tmp_path, monkeypatch, missing):
    import trainable.data.fashion_mnist as reader

    calls, raw = [], tmp_path / "FashionMNIST" / "raw"

    def fetch(root):
        calls.append(root)
        write_set(raw)
        return raw

    monkeypatch.setattr(reader, "_download", fetch)
    if missing != "all":
        write_set(raw)
        (raw / str(missing)).unlink(missing_ok=True)
    assert len(load("fashion_mnist", root=str(tmp_path), download=True).labels) == 20
    assert calls == ([str(tmp_path)] if missing else [])


def test_a_download_without_a_root_is_refused(monkeypatch):
    import trainable.data.fashion_mnist as reader

    monkeypatch.setattr(reader, "SYSTEM_ROOT", "/nowhere")
    with pytest.raises(DataError, match="a download needs a root"):
        load("fashion_mnist", download=True)


@pytest.mark.skipif(not Path(SYSTEM_ROOT).is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_files_of_the_debian_package_are_read_without_a_root():
    source = load("fashion_mnist")
    assert (len(source.labels), len(source.test_labels)) == (60_000, 10_000)
    assert source.mean == pytest.approx((0.2860,), abs=1e-4)  # the figures everyone normalises this set with
    assert source.std == pytest.approx((0.3530,), abs=1e-4)
    assert np.bincount(source.labels).tolist() == [6000] * 10
