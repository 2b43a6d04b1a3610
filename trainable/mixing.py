"""What happens to a minibatch's inputs, on the device: blend, paste, shrink, noise; and the same to hidden values.

Owns the arithmetic. Refuses to know who is paired, how much, and why: partners, weights and boxes arrive as tensors.
Nothing here writes to its arguments or waits for the device.

Axes: B example of a minibatch, C channel, H height, W width, X any further axes of an input.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from trainable.config import TrialConfig
from trainable.methods import METHODS


@dataclass(frozen=True, eq=False)
class Pairs:
    """The other half of a minibatch. `partner_B`: positions within it, or None where `images_BX`, the partners' own
    images, come from elsewhere. `lam`: weight of the example in its input, one number or one a sample (B,). `box_B4`: as
    in vicinity.Draws. `layer`: 0 for the input, else the part of the model whose output is mixed."""

    lam: float | Tensor
    partner_B: Tensor | None = None
    images_BX: Tensor | None = None
    box_B4: Tensor | None = None
    layer: int = 0

    def of(self, values_BX: Tensor) -> Tensor:
        """The partners' values, new memory or their own; never `values_BX`'s."""
        if self.partner_B is not None:
            return values_BX.index_select(0, self.partner_B)
        assert self.images_BX is not None
        return self.images_BX


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What inputs are moved toward or by: the mean input (1, C, H, W) where a method needs it, theta_bar of the trial's
    alpha, and a generator on the device for noise."""

    mean_1CHW: Tensor | None
    theta_bar: float
    generator: torch.Generator


T = TypeVar("T")
Move = Callable[[Tensor, Pairs | None], Tensor]


def mover(config: TrialConfig, around: Surroundings) -> Move:
    """What the config's method does to a minibatch of inputs that is not plain."""
    moves: dict[str, Move] = {
        "nothing": lambda images_BX, _: images_BX,
        "blend": lambda images_BX, pairs: blend(images_BX, _given(pairs)) if _given(pairs).layer == 0 else images_BX,
        "paste": lambda images_BX, pairs: paste(images_BX, _given(pairs)),
        "shrink": lambda images_BX, _: shrink(images_BX, _given(around.mean_1CHW), around.theta_bar),
        "noise": lambda images_BX, _: add_noise(images_BX, config.noise_std, around.generator),
    }
    return moves[METHODS[config.method].moves]


def blend(values_BX: Tensor, pairs: Pairs) -> Tensor:
    """lam x_i + (1 - lam) x_j for floating values. lam = 1 gives the values back, bit for bit."""
    lam = pairs.lam
    if isinstance(lam, Tensor):
        lam = lam.view(-1, *[1] * (values_BX.ndim - 1))
        if values_BX.dtype != lam.dtype:  # lambda keeps its digits where hidden values have few
            return torch.lerp(pairs.of(values_BX).to(lam.dtype), values_BX.to(lam.dtype), lam).to(values_BX.dtype)
    return torch.lerp(pairs.of(values_BX), values_BX, lam)


def mix(values_BX: Tensor, partner_B: Tensor, lam: float | Tensor) -> Tensor:
    """`blend` with partners within the minibatch."""
    return blend(values_BX, Pairs(lam, partner_B))


def paste(images_BCHW: Tensor, pairs: Pairs) -> Tensor:
    """The partner's pixels inside the box (top, bottom, left, right; half open), the example's own outside it."""
    assert pairs.box_B4 is not None
    top_B11, bottom_B11, left_B11, right_B11 = pairs.box_B4.view(-1, 4, 1, 1).unbind(1)
    rows_H1 = torch.arange(images_BCHW.shape[2], device=images_BCHW.device).view(-1, 1)
    columns_1W = torch.arange(images_BCHW.shape[3], device=images_BCHW.device).view(1, -1)
    inside_BHW = (rows_H1 >= top_B11) & (rows_H1 < bottom_B11) & (columns_1W >= left_B11) & (columns_1W < right_B11)
    return torch.where(inside_BHW.unsqueeze(1), pairs.of(images_BCHW), images_BCHW)


def shrink(images_BX: Tensor, mean_1X: Tensor, factor: float) -> Tensor:
    """mean + factor (x - mean): the x' of Carratino et al. (arXiv 2006.06049, theorem 1) at factor theta_bar."""
    return torch.lerp(mean_1X, images_BX, factor)


def add_noise(images_BX: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Independent normal noise on every value. Raising `std` scales the same draws."""
    noise_BX = torch.empty_like(images_BX).normal_(generator=generator)
    return images_BX + std * noise_BX


@contextlib.contextmanager
def mixed_output(part: nn.Module, pairs: Pairs) -> Iterator[None]:
    """Within it, what `part` of a model gives is blended with what it gives for the partners."""
    def mixed(_: nn.Module, __: tuple[Tensor, ...], values_BX: Tensor) -> Tensor:
        return blend(values_BX, pairs)
    handle = part.register_forward_hook(mixed)
    try:
        yield
    finally:
        handle.remove()


def _given(value: T | None) -> T:
    assert value is not None, "what this method needs was not drawn"
    return value
