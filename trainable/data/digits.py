"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels with values 0..16, shipped with the library.

Owns how they are divided into a pool and a test set (the source defines none). Refuses to know of splits of the pool.
"""

import numpy as np

from trainable.data.source import Raw
from trainable.seeding import numpy_stream

NUM_EXAMPLES, NUM_TEST = 1797, 500


def read(seed: int) -> Raw:
    """The digits, 500 of them set apart for testing by a permutation drawn from `seed`; the other 1,297 are the pool.

    One seed, one test set: it is the same for every split, capacity and arm, so predictions on it can be compared.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images_NCHW = bunch.images.astype(np.uint8)[:, None]
    order_N = numpy_stream(seed, "data", "digits", "test").permutation(len(images_NCHW))
    test_N, pool_N = order_N[:NUM_TEST], order_N[NUM_TEST:]
    return Raw(place="scikit-learn's digits", images_NCHW=images_NCHW[pool_N], labels_N=bunch.target[pool_N],
               test_images_NCHW=images_NCHW[test_N], test_labels_N=bunch.target[test_N],
               class_names=tuple(str(name) for name in bunch.target_names), scale=16.0)
