"""image_folder: pictures become squares of bytes; what cannot be read, or would not fit, is refused by name."""

import numpy as np
import pytest
from PIL import Image

from trainable.data import load
from trainable.data.image_folder import decode, read
from trainable.errors import DataError


def save(path, colour=None, *, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(list(path.name.encode())).integers(256, size=(10, 10, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels) if colour is None else Image.new("RGB", (10, 10), colour)
    picture.convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for class_name in ("cat", "ant"):
            for number in range(count):
                save(tmp_path / part / class_name / f"{number}.png")
    return tmp_path


def test_classes_are_the_sorted_folders_and_every_picture_is_there_once(folder):
    source = load("image_folder:16", root=str(folder))
    assert source.images.shape == (6, 3, 16, 16)
    assert source.test_images.shape == (4, 3, 16, 16)
    assert source.class_names == ("ant", "cat")
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (source.augment, source.scale) == ("crop_flip", 255.0)


def test_a_picture_of_the_asked_size_is_kept_bit_for_bit(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(decode(tmp_path / "a.png", 16), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("upright", [False, True])
def test_the_central_square_is_cut_out_not_squeezed(tmp_path, upright):
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16, 0] = 200  # a red square in the middle of a black strip
    Image.fromarray(pixels.transpose(1, 0, 2) if upright else pixels).save(tmp_path / "a.png")
    image = decode(tmp_path / "a.png", 8)
    assert (image[0] == 200).all()
    assert (image[1:] == 0).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA"])
def test_every_8_bit_mode_becomes_rgb(tmp_path, mode):
    save(tmp_path / "a.png", mode=mode)
    assert decode(tmp_path / "a.png", 8).shape == (3, 8, 8)


def test_a_16_bit_picture_is_refused_since_conversion_would_cut_it_off(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: has I;16 pixels, must have 8 bits"):
        decode(tmp_path / "a.png", 8)


def test_jpeg_and_capital_endings_count_and_other_files_do_not(folder):
    save(folder / "train/cat/9.JPG")
    save(folder / "train/cat/8.jpeg")
    (folder / "train/cat/notes.txt").write_text("no picture")
    (folder / "train/cat/.hidden.png").write_text("no picture")
    (folder / "train/.cache").mkdir()
    assert len(load("image_folder:8", root=str(folder)).labels) == 8


def test_val_serves_as_test_where_there_is_no_test(folder):
    (folder / "test").rename(folder / "val")
    assert len(load("image_folder:8", root=str(folder)).test_labels) == 4


DAMAGE = {
    "no train": (lambda root: (root / "train").rename(root / "training"), r"train: does not exist"),
    "no test": (lambda root: (root / "test").rename(root / "testing"), r"holds neither test nor val"),
    "empty class": (lambda root: (root / "train/bee").mkdir(), r"train/bee: holds no picture"),
    "stranger in test": (lambda root: save(root / "test/dog/1.png"), r"test/dog: there is no class of that name in .*train"),
    "truncated picture": (lambda root: (root / "train/cat/1.png").write_bytes((root / "train/cat/1.png").read_bytes()[:150]),
                          r"train/cat/1\.png: cannot be decoded"),
    "empty picture": (lambda root: (root / "test/ant/0.png").write_bytes(b""), r"test/ant/0\.png: cannot be decoded"),
    "no picture inside": (lambda root: (root / "train/cat/1.png").write_text("<html>"), r"1\.png: cannot be decoded"),
    "one class": (lambda root: [(root / part / "cat").rename(root / f"{part}-cat") for part in ("train", "test")],
                  "every label is 0; at least two classes"),
    "one colour": (lambda root: [save(path, "red") for path in (root / "train").glob("*/*.png")],
                   "channel 0 has the same value in every pixel"),
}


@pytest.mark.parametrize(("harm", "text"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_with_its_path(folder, harm, text):
    harm(folder)
    with pytest.raises(DataError, match=text) as caught:
        load("image_folder:8", root=str(folder))
    assert str(folder) in str(caught.value)


def test_more_than_the_bound_is_refused_before_anything_is_decoded(folder, monkeypatch):
    import trainable.data.image_folder as reader

    needed = 10 * 3 * 8 * 8
    assert len(read(str(folder), 8, max_bytes=needed).labels_N) == 6
    monkeypatch.setattr(reader, "decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="10 pictures of 8 x 8 pixels take 1,920 bytes decoded, must be at most 1,919"):
        read(str(folder), 8, max_bytes=needed - 1)
