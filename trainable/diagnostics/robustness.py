"""Robustness: the error on test images that were changed, by the model's own gradients, to be mistaken.

Owns which images are attacked, how strongly, and the range that their pixels may take. Refuses to know how an attack
works, and to compare models: a ratio of two is their reader's.

Axes: V attacked example, B example of a batch, C channel, H height, W width, A attack, E epsilon.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from trainable.augment import Normalise
from trainable.config import TrialConfig
from trainable.data import Source
from trainable.device import Device
from trainable.diagnostics import Findings
from trainable.diagnostics.attacks import PIXEL_STEP, Attack, Model, fgsm, ifgsm, in_eval_mode, pgd, transfer
from trainable.errors import DataError
from trainable.learner import Learner
from trainable.metrics import score
from trainable.seeding import numpy_stream

SUBSET = 1000
"""Test examples attacked, at most. An error of 50 % on 1,000 has a standard error of 1.6 points."""
EPSILONS = (1, 2, 4, 8, 16)
"""In 1/255 of the pixels' range. 4 is that of Zhang et al.; one grey level of scikit-learn's digits is 16."""
REPORTED = (4, 16)
"""The epsilons whose errors are values; all are in the curve."""
ATTACKS = ("fgsm", "ifgsm", "pgd")
SMALLEST_SHARE = 0.1
"""Of the range of all channels that each channel must fill, where the data are no pixels."""


def diagnose(learner: Learner) -> Findings:
    """White-box errors, fractions in [0, 1], on SUBSET test examples, in eval mode, against their true labels.

    `robustness/<attack>_error_<epsilon>` at each of REPORTED; the curve has them at every epsilon, 0 being no attack,
    and says on how many examples. Which examples, and where PGD starts, follow from seed and split: they are the same
    for every arm. It costs 94 gradients an example, as much as two epochs of 50,000. Raises DataError where `pixel_range`
    does.
    """
    config, source, place = learner.config, learner.source, learner.place
    span, index_V = pixel_range(source), draw_subset(config, source)
    model = on_pixels(learner.model, learner.normalise, span)
    with in_eval_mode(learner.model):
        error_of = white_box(model, batches(config, source, place, index_V, span))
    values = {f"robustness/{attack}_error_{epsilon}": error_of[attack][EPSILONS.index(epsilon) + 1]
              for attack in ATTACKS for epsilon in REPORTED}
    curve = {"epsilon_255": [0, *EPSILONS], **error_of, "num_examples": len(index_V), "pixel_range": list(span)}
    return Findings(values=values, curves={"robustness/error": curve})


def white_box(model: Model, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> dict[str, list[float]]:
    """Of each attack: the error without it, then at each of EPSILONS. Batches are (images, labels, PGD's start)."""
    wrong = []
    for images_BCHW, labels_B, start_BCHW in batches:
        attacks: tuple[Attack, ...] = (fgsm, ifgsm, partial(pgd, start_BCHW=start_BCHW))
        rows = [score(model, [(images_BCHW, labels_B)])[1]]
        rows += [transfer(model, [model], images_BCHW, labels_B, epsilon * PIXEL_STEP, attack)[0]
                 for attack in attacks for epsilon in EPSILONS]
        wrong.append(torch.stack(rows))  # stays on the device: it is fetched once, after the last batch
    clean, *attacked = torch.cat(wrong, dim=1).double().mean(dim=1).tolist()
    attacked_AE = np.array(attacked).reshape(len(ATTACKS), len(EPSILONS)).tolist()
    return {attack: [clean, *attacked_E] for attack, attacked_E in zip(ATTACKS, attacked_AE, strict=True)}


def on_pixels(module: nn.Module, normalise: Normalise, span: tuple[float, float]) -> Model:
    """A network as a callable on images in [0, 1], which stand for the stored values `span`; in the mode it is in.

    In float32 whatever it was trained in: what bfloat16 rounds away of a gradient's sign would pass for robustness.
    """
    low, high = span

    def model(images_BCHW: Tensor) -> Tensor:
        logits_BK: Tensor = module(normalise(low + (high - low) * images_BCHW))
        return logits_BK
    return model


def pixel_range(source: Source) -> tuple[float, float]:
    """The stored values (low, high) that are 0 and 1 to an attack: its box, and the unit of its epsilon.

    Pixels (uint8): 0 and `source.scale`. Other data (float32): the least and greatest value of all images, test
    images included, since clipping alone would change one outside of the box. Raises DataError when test
    pixels exceed the scale, or when a channel fills less than SMALLEST_SHARE of that range: channels of different
    units have no common epsilon.
    """
    if source.images.dtype == np.uint8:
        if (top := int(source.test_images.max())) > source.scale:
            raise DataError(f"robustness: {source.name} has a test pixel of {top}, beyond the {source.scale:g} that stands for 1")
        return 0.0, source.scale
    both = (source.images, source.test_images)
    low_C = np.min([images.min(axis=(0, 2, 3)) for images in both], axis=0).astype(np.float64)
    high_C = np.max([images.max(axis=(0, 2, 3)) for images in both], axis=0).astype(np.float64)
    low, high = float(low_C.min()), float(high_C.max())
    narrowest = int((high_C - low_C).argmin())
    if high_C[narrowest] - low_C[narrowest] < SMALLEST_SHARE * (high - low):
        raise DataError(f"robustness: {source.name} holds values that are no pixels, and channel {narrowest} spans "
                        f"[{low_C[narrowest]:g}, {high_C[narrowest]:g}] of [{low:g}, {high:g}]: one epsilon for all channels "
                        f"needs each to span {SMALLEST_SHARE:.0%} of it; scale them alike, or leave out this diagnostic")
    return low, high


def draw_subset(config: TrialConfig, source: Source) -> np.ndarray:
    """Positions in the test set, in order: SUBSET of them, or all; the same for every arm and repeat of a split."""
    stream = numpy_stream(config.seed, "robustness_subset", config.split)
    return np.sort(stream.permutation(len(source.test_labels))[:SUBSET])


def batches(config: TrialConfig, source: Source, place: Device, index_V: np.ndarray,
            span: tuple[float, float]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images in [0, 1], labels, and a start of PGD, of the indexed test examples, on the device.

    As many at once as in training, because gradients must fit. The starts come from one stream of seed and split, read on
    and on, so that no batch size moves an example's.
    """
    stream, (low, high) = numpy_stream(config.seed, "robustness_start", config.split), span
    images, size = place.place_images(source.test_images), config.batch_size
    labels = place.upload(source.test_labels[index_V]).split(size)
    for index_B, labels_B in zip(images.index(index_V).split(size), labels, strict=True):
        images_BCHW = (images.gather(index_B).float() - low) / (high - low)
        start_BCHW = stream.random(tuple(images_BCHW.shape), dtype=np.float32) * 2 - 1
        yield images_BCHW, labels_B, place.upload(start_BCHW)
