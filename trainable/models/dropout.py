"""Dropout and stochastic depth that draw from a random stream of their own.

Owns every random draw inside a forward pass. Refuses the global generator: with that, anything else that draws would
change the masks, and two trials in one process would not be independent.

Axes: B example; `...` any further ones.
"""

import torch
from torch import Tensor, nn


class _Masking(nn.Module):
    """Zeroes with probability p while training and divides what is kept by 1 - p; nothing otherwise.

    A value is kept iff its uniform u >= p. The uniforms come from `generator`, which must live on the input's device,
    and are float32 whatever the input is, so models that differ in p only see the same u: raising p drops the same
    units and more. With p = 0 nothing is drawn.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def mask_shape(self, shape: torch.Size) -> tuple[int, ...]:
        """The shape of the uniforms for an input of this shape; it must broadcast to it."""
        raise NotImplementedError

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return values
        assert self.generator is not None, "attach_generator(model, generator) before training with dropout"
        uniforms = torch.rand(self.mask_shape(values.shape), generator=self.generator, device=values.device)
        return values * (uniforms >= self.p) / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Masking):
    """Drops single values (Srivastava et al. 2014); p is the probability of *dropping*, in [0, 1)."""

    def mask_shape(self, shape: torch.Size) -> tuple[int, ...]:
        return tuple(shape)


class StochasticDepth(_Masking):
    """Drops a residual branch, values (B, ...), for whole examples (Huang et al. 2016): torchvision's mode "row"."""

    def mask_shape(self, shape: torch.Size) -> tuple[int, ...]:
        return (shape[0],) + (1,) * (len(shape) - 1)


def attach_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Makes every Dropout and StochasticDepth in the model draw from this one stream, in the order of their use."""
    for module in model.modules():
        if isinstance(module, _Masking):
            module.generator = generator
