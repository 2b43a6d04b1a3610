"""What a learner is worth: on validation and on unmixed training data after each epoch, on the test set once.

Owns which examples are judged when, and the names of the metrics. Refuses to train, and to choose anything.

Axes: T training example, V evaluated example, B example of a batch, C channel, H height, W width, K class.
"""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from trainable.device import Images
from trainable.diagnostics import calibration
from trainable.learner import Learner
from trainable.metrics import fetch, predict, score
from trainable.seeding import numpy_stream

SMALL_IMAGES_BATCH = 512
BATCH_NUMBERS = 2**22
"""Numbers of input in a batch of small images, at most: 512 of 3 x 32 x 32 and somewhat more."""
FLOAT16_LOW = float(np.finfo(np.float16).min)


def measure_epoch(learner: Learner, epoch: int) -> dict[str, float]:
    """Errors (fractions) and losses (nats) on unmixed images, in eval mode, after epoch `epoch`.

    train_clean is measured against the labels trained on, on a fixed part of the training split as large as the
    validation set, so that evaluation stays a small share of a trial; after the last epoch on the whole split. With
    label noise train_real and train_corrupt are its errors on kept and on replaced labels (as in Zhang et al., arXiv
    1710.09412, table 2: a low train_corrupt/error is memorisation); absent while the part holds no such label.
    """
    split = learner.split
    clean_T = _clean_part(learner, whole=epoch == learner.config.epochs)
    index_V = np.concatenate([split.val_index, split.train_index[clean_T]])
    labels_V = np.concatenate([learner.source.labels[split.val_index], split.train_labels[clean_T]])
    learner.model.eval()
    with learner.place.autocast(learner.config.precision):
        loss_V, error_V = score(learner.model, _labelled(learner, index_V, labels_V))
    num_val = len(split.val_index)
    error_V, loss_V = error_V.double(), loss_V.double()
    values = {"train_clean/error": error_V[num_val:].mean(), "train_clean/loss": loss_V[num_val:].mean(),
              "val/error": error_V[:num_val].mean(), "val/loss": loss_V[:num_val].mean()}
    if learner.config.label_noise > 0:
        values |= _by_label(learner, error_V[num_val:], split.corrupted[clean_T])
    found = fetch(values)
    gaps = {f"gap/{kind}": found[f"val/{kind}"] - found[f"train_clean/{kind}"] for kind in ("error", "loss")}
    return found | gaps


def measure_test(learner: Learner) -> tuple[dict[str, float], np.ndarray]:
    """Metrics on the test set, and its predictions: log-probabilities, float16 (V, K), -65504 where they are lower."""
    images = learner.test_images
    labels_V = learner.source.test_labels
    index = images.index(np.arange(len(labels_V)))
    size = batch_size(images, learner.config.batch_size)
    learner.model.eval()
    with learner.place.autocast(learner.config.precision):
        batches = (learner.normalise(images.gather(index_B)) for index_B in index.split(size))
        log_probabilities_VK = predict(learner.model, batches).cpu().numpy()
    of_truth_V = log_probabilities_VK[np.arange(len(labels_V)), labels_V]
    metrics = {"test/error": float(np.mean(log_probabilities_VK.argmax(axis=1) != labels_V)),
               "test/loss": float(-of_truth_V.mean(dtype=np.float64)),
               "test/brier": calibration.brier(log_probabilities_VK, labels_V),
               "test/ece": calibration.ece(log_probabilities_VK, labels_V),
               "test/entropy": calibration.entropy(log_probabilities_VK)}
    return metrics, np.maximum(log_probabilities_VK, FLOAT16_LOW).astype(np.float16)


def batch_size(images: Images, training_batch: int) -> int:
    """Examples judged at once: as many as are trained on at once (what fits with gradients fits without), more if small.

    A function of the config and the image size alone: what memory is free must not change the last bits of a result.
    """
    return max(training_batch, min(SMALL_IMAGES_BATCH, BATCH_NUMBERS // images.numbers_per_image))


def _clean_part(learner: Learner, *, whole: bool) -> np.ndarray:
    """Positions in the training split, in order; the part is the same for every arm, repeat and epoch of a split."""
    num_train = len(learner.split.train_index)
    if whole:
        return np.arange(num_train)
    stream = numpy_stream(learner.config.seed, "clean_part", learner.config.split)
    return np.sort(stream.permutation(num_train)[:len(learner.split.val_index)])


def _labelled(learner: Learner, index_V: np.ndarray, labels_V: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
    size = batch_size(learner.images, learner.config.batch_size)
    index, labels = learner.images.index(index_V).split(size), learner.place.upload(labels_V).split(size)
    for index_B, labels_B in zip(index, labels, strict=True):
        yield learner.normalise(learner.images.gather(index_B)), labels_B


def _by_label(learner: Learner, error_T: Tensor, corrupted_T: np.ndarray) -> dict[str, Tensor]:
    """Mean error on kept and on replaced labels, those of the two that occur."""
    masks = {"train_real/error": ~corrupted_T, "train_corrupt/error": corrupted_T}
    return {name: (error_T * learner.place.upload(mask_T)).sum() / int(mask_T.sum())
            for name, mask_T in masks.items() if mask_T.any()}
