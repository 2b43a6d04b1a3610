"""Splits: which examples of the pool a trial trains and validates on, and which training labels are replaced.

Owns the sizes, the draw and the label noise. Refuses to know of models, alphas or repeats: everything here depends on
the study's seed and the split's number alone, so each arm and each repeat meets the same data on split s.

Axes: T training example, V validation example, P pool example.
"""

from dataclasses import dataclass

import numpy as np

from trainable.config import TrialConfig
from trainable.data.source import Source
from trainable.errors import DataError
from trainable.seeding import numpy_stream

VAL_FRACTION = 5  # one in five examples of the pool validates when no size is given


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Indices into the pool (int64), the training labels after label noise (int64), and what the noise did.

    `corrupted` marks the labels that were replaced, also those whose replacement happened to be the true class;
    `realised_noise` is the share of training labels that are wrong, about (1 - 1/classes) of the nominal share.
    Validation labels are never replaced.
    """

    train_index: np.ndarray
    val_index: np.ndarray
    train_labels: np.ndarray
    corrupted: np.ndarray
    realised_noise: float


def split_sizes(pool_size: int, config: TrialConfig) -> tuple[int, int]:
    """(training, validation) examples of one split, of any pool. Raises DataError when it cannot give them."""
    val_size = pool_size // VAL_FRACTION if config.val_size is None else config.val_size
    train_size = pool_size - val_size if config.train_size is None else config.train_size
    if val_size < 1 or train_size < 2:
        raise DataError(f"a pool of {pool_size} examples leaves train_size = {train_size} and val_size = {val_size}; "
                        "a split needs at least 2 for training and 1 for validation")
    if train_size + val_size > pool_size:
        raise DataError(f"train_size = {train_size} and val_size = {val_size} need {train_size + val_size} examples; "
                        f"the pool of {config.data} has {pool_size}")
    if config.batch_size > train_size:
        raise DataError(f"batch_size = {config.batch_size}: must be at most {train_size}, the training examples of a split")
    return train_size, val_size


def max_splits(pool_size: int, config: TrialConfig) -> int | None:
    """How many splits the pool holds; None when there is no limit (hold-out splits may overlap each other)."""
    return None if config.split_kind == "holdout" else pool_size // sum(split_sizes(pool_size, config))


def make_split(source: Source, config: TrialConfig) -> Split:
    """Split number `config.split` of the source, drawn from (config.seed, config.split).

    holdout: each split permutes the whole pool afresh; its validation part is the head of that permutation, so another
    train_size keeps it. disjoint: one permutation cut into consecutive parts; no example serves two splits.
    Raises DataError when the pool is too small for the sizes or for this split number, or when only one class is drawn.
    """
    pool_size = len(source.labels)
    train_size, val_size = split_sizes(pool_size, config)
    limit = max_splits(pool_size, config)
    if limit is not None and config.split >= limit:
        raise DataError(f"split = {config.split}: the pool of {pool_size} examples holds {limit} disjoint splits of "
                        f"{train_size} + {val_size}, numbered from 0; lower train_size and val_size, or use "
                        "split_kind = holdout")
    if limit is None:
        order_P, start = numpy_stream(config.seed, "split", "holdout", config.split).permutation(pool_size), 0
    else:
        order_P = numpy_stream(config.seed, "split", "disjoint").permutation(pool_size)
        start = config.split * (train_size + val_size)
    val_V = order_P[start:start + val_size]
    train_T = order_P[start + val_size:start + val_size + train_size]
    truth_T = source.labels[train_T]
    if (truth_T == truth_T[0]).all():
        raise DataError(f"{source.name}: all {train_size} training examples of split {config.split} are of class "
                        f"{truth_T[0]}; raise train_size")
    labels_T, corrupted_T = corrupt_labels(truth_T, source.num_classes, config)
    return Split(train_index=train_T.astype(np.int64), val_index=val_V.astype(np.int64), train_labels=labels_T,
                 corrupted=corrupted_T, realised_noise=float((labels_T != truth_T).mean()))


def corrupt_labels(truth_T: np.ndarray, num_classes: int, config: TrialConfig) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a share `config.label_noise` replaced, and which ones; from (config.seed, config.split).

    Exactly round(share x T) labels are replaced, each by a class drawn uniformly from ALL classes, the true one
    included, as in the corrupted-label experiments of Zhang et al. (arXiv 1710.09412, section 3.4); others exclude the
    true class, which makes the same nominal share harder. A larger share replaces the same labels and more.
    """
    stream = numpy_stream(config.seed, "label_noise", config.split)
    rank_T = stream.permutation(len(truth_T))
    random_T = stream.integers(num_classes, size=len(truth_T))
    corrupted_T = rank_T < round(config.label_noise * len(truth_T))
    return np.where(corrupted_T, random_T, truth_T).astype(np.int64), corrupted_T
