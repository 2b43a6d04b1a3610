"""Which examples are mixed, with whom and how much: the draws of one epoch, made at once, and the mixing itself.

Owns order, minibatches, pairings and lambdas (Zhang et al., mixup, arXiv 1710.09412: one loader, the minibatch is mixed
with a permutation of itself). Refuses to know of models, losses and devices: draws are numpy arrays made from streams
that the caller names; only `mix` sees a tensor.

Axes: N training example in the order of this epoch, S step (minibatch), B example of a minibatch, C H W image.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.moments import lam_from_uniform


@dataclass(frozen=True, eq=False)
class Draws:
    """Everything random about one epoch's minibatches, alpha's part apart from the rest.

    order_N: positions in the training split, in the order they are visited (int64). bounds: (start, stop) of each
    minibatch in that order. partner_N: position of each example's partner *within its own minibatch* (int64).
    lam_N: weight of the example itself, 1 - lam_N is the partner's (float64; constant within a minibatch for
    lam_per = batch). lam is not folded: it may lie below 1/2, then the partner dominates.
    """

    order_N: np.ndarray
    bounds: tuple[tuple[int, int], ...]
    partner_N: np.ndarray
    lam_N: np.ndarray

    def partners_in_split(self) -> np.ndarray:
        """Position in the training split of each example's partner, in the order of this epoch (int64)."""
        starts_N = np.repeat([start for start, _ in self.bounds], [stop - start for start, stop in self.bounds])
        return self.order_N[starts_N + self.partner_N]


@dataclass(frozen=True, eq=False)
class Streams:
    """The random streams of one epoch. They are separate so that a change of alpha moves lambda and nothing else."""

    order: np.random.Generator
    pairing: np.random.Generator
    lam: np.random.Generator


def draw_epoch(num_examples: int, config: TrialConfig, streams: Streams) -> Draws:
    """The draws of one epoch over `num_examples` examples.

    Order, pairings and the uniforms behind lambda do not depend on alpha: two alphas under one replicate meet the same
    minibatches and the same pairs, and their lambdas come from the same uniforms by the inverse distribution function.
    """
    order_N = streams.order.permutation(num_examples)
    bounds = batch_bounds(num_examples, config.batch_size)
    sizes_S = [stop - start for start, stop in bounds]
    partner_N = np.concatenate([partners(size, config.pairing, streams.pairing) for size in sizes_S])
    if config.lam_per == "sample":
        lam_N = lam_from_uniform(streams.lam.random(num_examples), config.alpha)
    else:
        lam_N = np.repeat(lam_from_uniform(streams.lam.random(len(bounds)), config.alpha), sizes_S)
    return Draws(order_N, bounds, partner_N, lam_N)


def batch_bounds(num_examples: int, batch_size: int) -> tuple[tuple[int, int], ...]:
    """(start, stop) of each minibatch: as few as `batch_size` allows, and as equal in size as they can be.

    Every example is seen once an epoch. Loaders usually keep a short last minibatch or drop it (1,000 examples at 128:
    seven of 128 and one of 104); here they are eight of 125. A last minibatch of one or two examples would give batch
    normalisation nothing to average and a pairing nobody to pair with.
    """
    num_batches = -(-num_examples // batch_size)
    edges = [num_examples * number // num_batches for number in range(num_batches + 1)]
    return tuple(itertools.pairwise(edges))


def partners(size: int, pairing: str, stream: np.random.Generator) -> np.ndarray:
    """Position of each example's partner within a minibatch of `size`, int64.

    permutation: as in the paper's code; an example meets itself with probability 1/size, and is then not mixed at all
    (one example a minibatch on average: 6 % of them at 16, under 1 % at 128). roll: example b meets b - 1, the first
    meets the last, nobody itself; what torchvision's MixUp does. The order is shuffled anyway, so the pairs are random.
    """
    if pairing == "roll":
        return (np.arange(size) - 1) % size
    return stream.permutation(size)


def mix(images_BCHW: Tensor, partner_B: Tensor, lam: float | Tensor) -> Tensor:
    """lam x_i + (1 - lam) x_j for float images; lam is one number, or one a sample (B,). Gives a new tensor.

    lam = 1 gives the images back, bit for bit.
    """
    if isinstance(lam, Tensor):
        lam = lam.view(-1, *[1] * (images_BCHW.ndim - 1))
    return torch.lerp(images_BCHW.index_select(0, partner_B), images_BCHW, lam)
