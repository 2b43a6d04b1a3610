"""Which examples are mixed, with whom and how much: all draws of one epoch, made at once.

Owns order, minibatches, lambdas, boxes and layers (Zhang et al., mixup, arXiv 1710.09412: one loader, the minibatch is
mixed with a permutation of itself). Refuses to know of models, losses and devices: draws are numpy arrays made from
streams that the caller names.

Axes: N training example in the order of this epoch, T training example in the order of the split, S step (minibatch),
D direction, k neighbour.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainable import pairing
from trainable.config import TrialConfig
from trainable.methods import DISTANT_PAIRINGS, METHODS, is_plain
from trainable.moments import lam_from_uniform, tilted_lam_from_uniform


@dataclass(frozen=True, eq=False)
class Examples:
    """What the draws must know of the training split: its labels, the size of an image, neighbours for pairing knn, and
    the layers that manifold_mixup chooses among (0 is the input)."""

    labels_T: np.ndarray
    height: int = 1
    width: int = 1
    neighbors_Tk: np.ndarray | None = None
    layers: tuple[int, ...] = (0,)


@dataclass(frozen=True, eq=False)
class Draws:
    """Everything random about one epoch's minibatches.

    order_N: positions in the training split, in the order they are visited (int64). bounds: (start, stop) of each
    minibatch in that order. plain: inputs are left as they are.

    partner_N: position *in the split* of each example's partner (int64), itself where there is none. local_N: the
    partner's position within the minibatch, None where the pairing looks beyond. lam_N: weight of the example in its
    input, 1 - lam_N is the partner's (float64; constant within a minibatch for lam_per = batch; it may lie below 1/2,
    then the partner dominates); None without partners. own_N: weight of the example's label in its target (float64);
    None where that is 1. box_N4: the pasted box as (top, bottom, left, right), pixels, half open. layer_S: the layer that
    is mixed. others_DN: positions in the split of the examples that a second-order step looks toward.
    """

    order_N: np.ndarray
    bounds: tuple[tuple[int, int], ...]
    plain: bool
    partner_N: np.ndarray
    local_N: np.ndarray | None = None
    lam_N: np.ndarray | None = None
    own_N: np.ndarray | None = None
    box_N4: np.ndarray | None = None
    layer_S: tuple[int, ...] | None = None
    others_DN: np.ndarray | None = None


Stream = Callable[[str], np.random.Generator]
"""A fresh random stream by name. They are separate so that a change of alpha moves lambda and nothing else."""


def draw_epoch(config: TrialConfig, examples: Examples, epoch: int, stream: Stream) -> Draws:
    """The draws of epoch `epoch` (from 1).

    Order, pairings and the uniforms behind lambda depend on neither alpha nor method: two arms under one replicate meet
    the same minibatches and the same pairs, and their lambdas come from the same uniforms by the inverse distribution
    function.
    """
    num_examples, method = len(examples.labels_T), METHODS[config.method]
    order_N = stream("order").permutation(num_examples)
    bounds = batch_bounds(num_examples, config.batch_size)
    plain = is_plain(config, epoch)
    if plain or method.law == "none":
        shape = (config.num_directions, num_examples)
        others_DN = stream("others").integers(num_examples, size=shape) if method.second_order and not plain else None
        return Draws(order_N, bounds, plain, order_N, others_DN=others_DN)
    partner_N, local_N = _pairs(config, examples, order_N, bounds, stream("pairing"))
    lam_N = _lambdas(config, method.law, bounds, stream("lam"))
    box_N4 = _boxes(lam_N, config, examples, bounds, stream("box")) if method.moves == "paste" else None
    layer_S = _layers(examples.layers, len(bounds), stream("layer")) if method.hidden else None
    own_N = _label_weights(method.learns, lam_N, box_N4, examples)
    return Draws(order_N, bounds, plain, partner_N, local_N, lam_N, own_N, box_N4, layer_S)


def batch_bounds(num_examples: int, batch_size: int) -> tuple[tuple[int, int], ...]:
    """(start, stop) of each minibatch: as few as `batch_size` allows, and as equal in size as they can be.

    Every example is seen once an epoch. Loaders usually keep a short last minibatch or drop it (1,000 examples at 128:
    seven of 128 and one of 104); here they are eight of 125. A last minibatch of one or two examples would give batch
    normalisation nothing to average and a pairing nobody to pair with.
    """
    num_batches = -(-num_examples // batch_size)
    edges = [num_examples * number // num_batches for number in range(num_batches + 1)]
    return tuple(itertools.pairwise(edges))


def _pairs(config: TrialConfig, examples: Examples, order_N: np.ndarray, bounds: tuple[tuple[int, int], ...],
           stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """(partner_N, local_N) of Draws."""
    if config.pairing in DISTANT_PAIRINGS:
        if config.pairing == "same_class":
            partner_T = pairing.same_class(examples.labels_T, stream)
        else:
            assert examples.neighbors_Tk is not None, "pairing knn needs the neighbours of the split"
            partner_T = pairing.one_neighbor(examples.neighbors_Tk, stream)
        return partner_T[order_N], None
    sizes = [stop - start for start, stop in bounds]
    local_N = np.concatenate([pairing.partners(size, config.pairing, stream) for size in sizes])
    return order_N[np.repeat([start for start, _ in bounds], sizes) + local_N], local_N


def _spread(values_S: np.ndarray, bounds: tuple[tuple[int, int], ...]) -> np.ndarray:
    """One value a minibatch as one an example."""
    return np.repeat(values_S, [stop - start for start, stop in bounds], axis=0)


def _lambdas(config: TrialConfig, law: str, bounds: tuple[tuple[int, int], ...], stream: np.random.Generator) -> np.ndarray:
    per_sample = config.lam_per == "sample"
    uniforms = stream.random(bounds[-1][1] if per_sample else len(bounds))
    lams = tilted_lam_from_uniform(uniforms, config.alpha) if law == "tilted" else lam_from_uniform(uniforms, config.alpha)
    if config.lam_range == "upper":
        lams = np.maximum(lams, 1.0 - lams)
    return lams if per_sample else _spread(lams, bounds)


def _boxes(lam_N: np.ndarray, config: TrialConfig, examples: Examples, bounds: tuple[tuple[int, int], ...],
           stream: np.random.Generator) -> np.ndarray:
    """(N, 4) int64: a box of sqrt(1 - lam) of the image's sides about a pixel drawn uniformly, cut at the borders.

    Half a side is rounded down, as in the code of Yun et al. (arXiv 1905.04899) and torchvision's CutMix, so boxes are
    smaller than 1 - lam on average: labels follow the realised area, not lambda.
    """
    per_sample, sides = config.lam_per == "sample", np.array([examples.height, examples.width])
    centre = np.floor(stream.random((bounds[-1][1] if per_sample else len(bounds), 2)) * sides).astype(np.int64)
    centre_N2 = centre if per_sample else _spread(centre, bounds)
    half_N2 = (0.5 * np.sqrt(1.0 - lam_N)[:, None] * sides).astype(np.int64)
    low_N2, high_N2 = np.maximum(centre_N2 - half_N2, 0), np.minimum(centre_N2 + half_N2, sides)
    return np.stack([low_N2[:, 0], high_N2[:, 0], low_N2[:, 1], high_N2[:, 1]], axis=1)


def _label_weights(learns: str, lam_N: np.ndarray, box_N4: np.ndarray | None, examples: Examples) -> np.ndarray | None:
    """own_N of Draws: lambda, 1 for the heavier input (the example's own at 1/2), or the share of the image not pasted over."""
    if learns == "area":
        assert box_N4 is not None
        areas_N = (box_N4[:, 1] - box_N4[:, 0]) * (box_N4[:, 3] - box_N4[:, 2])
        return 1.0 - areas_N / (examples.height * examples.width)
    return {"own": None, "mixed": lam_N, "heavier": (lam_N >= 0.5).astype(np.float64)}[learns]


def _layers(layers: tuple[int, ...], num_steps: int, stream: np.random.Generator) -> tuple[int, ...]:
    return tuple(layers[index] for index in stream.integers(len(layers), size=num_steps))
