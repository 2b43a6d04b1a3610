"""The registry of datasets: names, what is known without reading, and what a wrong name gets to hear."""

import dataclasses

import numpy as np
import pytest

from trainable import data
from trainable.data import facts, load, names
from trainable.data.source import Raw
from trainable.errors import DataError


def test_the_names():
    assert names() == ("digits", "fashion_mnist", "cifar10", "cifar100", "image_folder")
    assert all(facts(name).help for name in names())


@pytest.mark.parametrize("ask", [facts, load])
@pytest.mark.parametrize(("name", "text"), [
    ("digit", "did you mean digits?"),
    ("cifar", "did you mean cifar10"),
    ("nothing_like_it", "must be one of digits, fashion_mnist, cifar10, cifar100, image_folder$"),
    ("", "must be one of"),
    ("digits:8", "image_folder alone takes a size"),
    ("image_folder:", "in \\[8, 1024\\] pixels"),
    ("image_folder:7", "in \\[8, 1024\\] pixels"),
    ("image_folder:1025", "in \\[8, 1024\\] pixels"),
    ("image_folder:6 4", "in \\[8, 1024\\] pixels"),
    ("image_folder:²", "in \\[8, 1024\\] pixels"),
])
def test_a_wrong_name_is_refused_with_what_is_allowed(ask, name, text):
    with pytest.raises(DataError, match=text):
        ask(name)


@pytest.mark.parametrize(("name", "shape"), [
    ("image_folder", (3, 64, 64)), ("image_folder:8", (3, 8, 8)), ("image_folder:1024", (3, 1024, 1024))])
def test_the_name_carries_the_size_of_a_folder_of_pictures(name, shape):
    assert facts(name).shape == shape


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "image_folder"])
def test_a_dataset_that_needs_a_root_says_so(name):
    with pytest.raises(DataError, match=f"{name}: needs a root"):
        load(name)


def test_a_set_of_another_shape_than_the_registry_states_is_refused(monkeypatch):
    images = np.random.default_rng(0).integers(256, size=(4, 1, 27, 28), dtype=np.uint8)
    raw = Raw(place="/data", images_NCHW=images, labels_N=np.arange(4), test_images_NCHW=images,
              test_labels_N=np.arange(4), class_names=tuple("0123456789"))
    monkeypatch.setattr(data, "_read", lambda *_: raw)
    with pytest.raises(DataError, match=r"/data: images have shape \(1, 27, 28\).*must be \(1, 28, 28\)"):
        load("fashion_mnist")
    monkeypatch.setattr(data, "_read", lambda *_: dataclasses.replace(
        raw, images_NCHW=np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 0))),
        test_images_NCHW=np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 0)))))
    assert load("fashion_mnist").shape == (1, 28, 28)
