"""Who is paired with whom, against counting and against scikit-learn's neighbours."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from trainable.errors import DataError
from trainable.methods import MAX_KNN_EXAMPLES, check_neighbors
from trainable.pairing import nearest_neighbors, one_neighbor, partners, same_class
from trainable.seeding import numpy_stream


@pytest.mark.parametrize("size", [2, 3, 16])
def test_a_roll_pairs_nobody_with_itself(size):
    assert (partners(size, "roll", numpy_stream(0)) != np.arange(size)).all()


@pytest.mark.parametrize("size", [2, 16, 128])
def test_a_permutation_pairs_one_in_its_size_with_itself(size):
    stream = numpy_stream(0, "self pairs")
    met = np.mean([(partners(size, "permutation", stream) == np.arange(size)).mean() for _ in range(4000)])
    assert met == pytest.approx(1 / size, abs=5 / size / np.sqrt(4000))  # the number of self pairs has variance 1


def test_a_partner_of_the_same_class_is_another_example_and_each_alike():
    labels = np.array([2, 0, 1, 0, 2, 0, 1])
    counts = np.zeros((7, 7))
    stream = numpy_stream(0, "same class")
    for _ in range(6000):
        counts[np.arange(7), same_class(labels, stream)] += 1
    allowed = (labels[:, None] == labels) & ~np.eye(7, dtype=bool)
    assert (counts[~allowed] == 0).all()
    expected = 6000 * allowed / allowed.sum(axis=1, keepdims=True)
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 0, 1], r"1 classes have one training example only \(1\)"), ([3, 1, 1, 2], r"2 classes .* \(2, 3\)"),
])
def test_a_class_of_one_example_has_no_partner(labels, message):
    with pytest.raises(DataError, match=message):
        same_class(np.array(labels), numpy_stream(0))


@pytest.mark.parametrize(("num_examples", "k"), [(40, 1), (40, 7), (1500, 10), (3, 2)])
def test_neighbours_are_scikit_learns(num_examples, k):
    inputs = np.random.default_rng(1).normal(size=(num_examples, 6))
    found = nearest_neighbors(torch.from_numpy(inputs), k).numpy()
    expected = NearestNeighbors(n_neighbors=k).fit(inputs).kneighbors(return_distance=False)
    np.testing.assert_array_equal(found, expected)


def test_an_equal_example_is_a_neighbour_and_the_example_itself_is_not():
    inputs = torch.tensor([[0.0, 0.0], [0.0, 0.0], [5.0, 5.0], [5.0, 6.0]])
    assert nearest_neighbors(inputs, 1).flatten().tolist() == [1, 0, 3, 2]


def test_one_neighbour_is_one_of_the_k_and_each_alike():
    neighbors = np.array([[1, 2], [2, 0], [0, 1]])
    stream = numpy_stream(0, "neighbours")
    drawn = np.array([one_neighbor(neighbors, stream) for _ in range(4000)])
    for example in range(3):
        assert set(drawn[:, example]) == set(neighbors[example])
        assert (drawn[:, example] == neighbors[example, 0]).mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize(("num_examples", "k", "message"), [
    (MAX_KNN_EXAMPLES, 10, None), (MAX_KNN_EXAMPLES + 1, 10, "must be at most 20000"), (11, 10, None),
    (10, 10, "num_neighbors = 10: must be below 10"),
])
def test_neighbours_among_too_many_or_too_few_are_refused(num_examples, k, message):
    if message is None:
        check_neighbors(num_examples, k)
        return
    with pytest.raises(DataError, match=message):
        check_neighbors(num_examples, k)
