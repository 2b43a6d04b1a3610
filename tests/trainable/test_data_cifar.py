"""CIFAR: files generated in the form of the real ones, read without trusting what is pickled in them."""

import pickle
import shutil

import numpy as np
import pytest

from trainable.data import load
from trainable.data.cifar import LAYOUTS
from trainable.errors import DataError

FINE = {"cifar10": 10, "cifar100": 100}


def batch(name, *, num_examples=20, seed=0, **changes):
    stream = np.random.default_rng(seed)
    entries = {"data": stream.integers(256, size=(num_examples, 3072), dtype=np.uint8),
               LAYOUTS[name].label_key: [int(label) for label in np.arange(num_examples) % FINE[name]]}
    return {**entries, **changes}


def write_set(root, name, *, protocol=2, batches=None):
    """All files of the set, five pool batches of 20 for CIFAR-10. `batches` replaces what is pickled in one of them."""
    layout = LAYOUTS[name]
    folder = root / layout.folder
    folder.mkdir(parents=True)
    content = {file: batch(name, seed=seed, num_examples=20 if name == "cifar10" else 100)
               for seed, file in enumerate((*layout.pool_files, layout.test_file))}
    content[layout.meta_file] = {layout.names_key: [f"class {index}" for index in range(layout.num_classes)]}
    for file, value in {**content, **(batches or {})}.items():
        (folder / file).write_bytes(pickle.dumps(value, protocol=protocol))
    return folder


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_files_of_every_pickle_protocol_are_read(tmp_path, name, protocol):
    write_set(tmp_path, name, protocol=protocol)
    source = load(name, root=str(tmp_path))
    layout = LAYOUTS[name]
    expected = np.concatenate([batch(name, seed=seed, num_examples=20 if name == "cifar10" else 100)["data"]
                               for seed in range(len(layout.pool_files))])
    assert np.array_equal(source.images.reshape(len(expected), -1), expected)  # planes of red, green, blue
    assert source.shape == (3, 32, 32)
    assert (source.num_classes, source.augment, source.scale) == (FINE[name], "crop_flip", 255.0)
    assert source.class_names[3] == "class 3"


def python2_pickle(array, labels):
    """The bytes that Python 2 wrote, opcode by opcode: str where Python 3 has bytes, as in the published files."""
    data = array.tobytes()
    return (b"\x80\x02}(U\x04data" + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            + b"(K\x01K" + bytes((array.shape[0],)) + b"M" + array.shape[1].to_bytes(2, "little") + b"\x86"
            + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            + b"\x89T" + len(data).to_bytes(4, "little") + data + b"tb"
            + b"U\x06labels](" + b"".join(b"K" + bytes((label,)) for label in labels) + b"eu.")


def test_files_as_python_2_wrote_them_are_read(tmp_path):
    folder = write_set(tmp_path, "cifar10")
    array = np.random.default_rng(9).integers(256, size=(20, 3072), dtype=np.uint8)
    (folder / "test_batch").write_bytes(python2_pickle(array, [label % 10 for label in range(20)]))
    source = load("cifar10", root=str(tmp_path))
    assert np.array_equal(source.test_images.reshape(20, -1), array)
    assert source.test_labels.tolist() == [label % 10 for label in range(20)]


DAMAGE = {
    "no dict": ([1, 2], "data_batch_2: cannot be read.*holds no dict but list"),
    "no data": ({"labels": [0]}, "data_batch_2: holds no entry 'data'"),
    "no labels": ({"data": np.zeros((20, 3072), np.uint8)}, "data_batch_2: holds no entry 'labels'"),
    "a column too few": (batch("cifar10", data=np.zeros((20, 3071), np.uint8)), r"uint8 of shape \(20, 3071\), must be"),
    "one axis": (batch("cifar10", data=np.zeros(3072, np.uint8)), r"shape \(3072,\), must be"),
    "floats": (batch("cifar10", data=np.full((20, 3072), np.nan)), "an array of 'f8', must be of bytes"),
    "objects": (batch("cifar10", data=np.full((20, 3072), None)), "an array of 'O8', must be of bytes"),
    "no array": (batch("cifar10", data=[0] * 3072), "data is list"),
    "labels of text": (batch("cifar10", labels=["cat"] * 20), "labels must be a list of whole numbers"),
    "labels too few": (batch("cifar10", labels=[0, 1]), "20 images but 2 labels"),
    "label out of range": (batch("cifar10", labels=[10, *range(10), *range(9)]), r"label 10, must be in \[0, 9\]"),
    "label beyond int64": (batch("cifar10", labels=[2**70] * 20), r"labels must be in \[0, 9\]"),
}


@pytest.mark.parametrize(("value", "text"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_with_its_file(tmp_path, value, text):
    folder = write_set(tmp_path, "cifar10", batches={"data_batch_2": value})
    with pytest.raises(DataError, match=text) as caught:
        load("cifar10", root=str(tmp_path))
    assert str(folder) in str(caught.value)


def test_one_class_only_is_refused(tmp_path):
    one = {f"data_batch_{number}": batch("cifar10", labels=[4] * 20) for number in range(1, 6)}
    write_set(tmp_path, "cifar10", batches=one)
    with pytest.raises(DataError, match="pool labels: every label is 4"):
        load("cifar10", root=str(tmp_path))


def test_wrong_class_names_are_refused(tmp_path):
    write_set(tmp_path, "cifar10", batches={"batches.meta": {"label_names": ["cat"]}})
    with pytest.raises(DataError, match=r"batches\.meta: label_names must be a list of 10 names"):
        load("cifar10", root=str(tmp_path))


@pytest.mark.parametrize("file", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_a_missing_file_is_named(tmp_path, file):
    (write_set(tmp_path, "cifar10") / file).unlink()
    with pytest.raises(DataError, match=f"{file}: does not exist"):
        load("cifar10", root=str(tmp_path))


def test_a_file_cut_anywhere_is_named(tmp_path):
    path = write_set(tmp_path, "cifar10") / "test_batch"
    sound = path.read_bytes()
    for length in (0, 1, 2, 10, 40, 100, 150, len(sound) // 2, len(sound) - 50, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(DataError, match="test_batch: cannot be read, it is damaged, truncated"):
            load("cifar10", root=str(tmp_path))


@pytest.mark.parametrize("missing", ["all", "data_batch_4", None])
def test_a_permitted_download_happens_iff_a_file_is_missing(tmp_path, monkeypatch, missing):
    import trainable.data.cifar as reader

    calls = []

    def fetch(layout, root):
        calls.append(root)
        write_set(tmp_path / "fetched", "cifar10")
        (tmp_path / "fetched" / layout.folder).rename(tmp_path / "fetched" / "set")
        shutil.copytree(tmp_path / "fetched" / "set", tmp_path / "root" / layout.folder, dirs_exist_ok=True)

    monkeypatch.setattr(reader, "_download", fetch)
    if missing != "all":
        folder = write_set(tmp_path / "root", "cifar10")
        (folder / str(missing)).unlink(missing_ok=True)
    assert len(load("cifar10", root=str(tmp_path / "root"), download=True).labels) == 100
    assert calls == ([str(tmp_path / "root")] if missing else [])


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_absent_folder_is_named_and_nothing_fetched_unless_asked(tmp_path, name, monkeypatch):
    import trainable.data.cifar as reader

    monkeypatch.setattr(reader, "_download", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(DataError, match=f"{LAYOUTS[name].folder}: does not exist.*allow the download"):
        load(name, root=str(tmp_path))
