"""Sizes: parameters and multiply-adds of our own families, by arithmetic alone.

Owns the architecture constants and the rule that turns a width multiplier into channels; the modules read them from
here. Refuses to know of torch, so that a plan can print a model ladder at once. A test compares it with the modules.
"""

from collections.abc import Callable
from dataclasses import dataclass

from trainable.config import TrialConfig
from trainable.errors import ModelError

Shape = tuple[int, int, int]
"""(channels, height, width) of one example."""

MLP_UNITS, MLP_DEPTH = 256, 2
CONVNET_CHANNELS = (32, 48, 64)
POOL_FROM = 8  # the convnet halves a map of at least this many pixels a side: 8 x 8 once, 28 x 28 and 32 x 32 twice
RESNET_CHANNELS = (64, 128, 256, 512)
RESNET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


@dataclass(frozen=True)
class Size:
    """Trainable numbers of a model, and its multiply-adds for one example, forward only.

    As is usual, multiply-adds are those of convolutions and linear maps, without biases.
    """

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Size") -> "Size":
        return Size(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def size(config: TrialConfig, shape: Shape, num_classes: int) -> Size | None:
    """The size of the model that `build` makes of the same arguments; None for a torchvision model.

    Raises ModelError when the family cannot be built this deep or this narrow.
    """
    family = _FAMILIES.get(config.model)
    return None if family is None else family(config, shape, num_classes)


def num_latent(config: TrialConfig) -> int | None:
    """How many hidden layers of the model may be mixed, after `latent_parts` of its module; None for a torchvision model."""
    if config.model == "mlp":
        return len(mlp_units(config))
    return {"convnet": len(CONVNET_CHANNELS), "preact_resnet": len(RESNET_CHANNELS)}.get(config.model)


def channels(units: int, config: TrialConfig) -> int:
    """`units` x width to the nearest whole number. Raises ModelError when nothing would be left."""
    scaled = round(units * config.width)
    if scaled < 1:
        raise ModelError(f"width = {config.width:g}: leaves {config.model} nothing of a layer of {units} units; "
                         f"must be above {0.5 / units:g}")
    return scaled


def mlp_units(config: TrialConfig) -> tuple[int, ...]:
    """Units of each hidden layer."""
    return (channels(MLP_UNITS, config),) * (MLP_DEPTH if config.depth is None else config.depth)


def convnet_channels(config: TrialConfig) -> tuple[int, ...]:
    """Channels of the three layers. Raises ModelError for another depth."""
    if config.depth not in (None, len(CONVNET_CHANNELS)):
        raise ModelError(f"depth = {config.depth}: convnet always has {len(CONVNET_CHANNELS)} layers; "
                         "leave depth empty and use width")
    return tuple(channels(units, config) for units in CONVNET_CHANNELS)


def resnet_blocks(config: TrialConfig) -> tuple[int, ...]:
    """Residual blocks in each of the four stages. Raises ModelError for a depth that is not in the table."""
    depth = min(RESNET_BLOCKS) if config.depth is None else config.depth
    if depth not in RESNET_BLOCKS:
        raise ModelError(f"depth = {depth}: preact_resnet comes in {' and '.join(map(str, RESNET_BLOCKS))}")
    return RESNET_BLOCKS[depth]


def pooled(height: int, width: int) -> bool:
    """Whether the convnet halves a map of this many pixels after one of its first two layers."""
    return min(height, width) >= POOL_FROM


def _linear(num_in: int, num_out: int) -> Size:
    return Size(num_in * num_out + num_out, num_in * num_out)


def _conv(num_in: int, num_out: int, kernel: int, pixels: int) -> Size:
    weights = num_in * num_out * kernel**2  # no bias: normalisation follows and would cancel it
    return Size(weights, weights * pixels)


def _norm(num_channels: int) -> Size:
    return Size(2 * num_channels, 0)


def _mlp(config: TrialConfig, shape: Shape, num_classes: int) -> Size:
    total, num_in = Size(0, 0), shape[0] * shape[1] * shape[2]
    for num_out in (*mlp_units(config), num_classes):
        total, num_in = total + _linear(num_in, num_out), num_out
    return total


def _convnet(config: TrialConfig, shape: Shape, num_classes: int) -> Size:
    num_in, height, width = shape
    total = Size(0, 0)
    for index, num_out in enumerate(convnet_channels(config)):
        total += _conv(num_in, num_out, 3, height * width) + _norm(num_out)
        if index < 2 and pooled(height, width):
            height, width = height // 2, width // 2
        num_in = num_out
    return total + _linear(num_in, num_classes)


def _preact_resnet(config: TrialConfig, shape: Shape, num_classes: int) -> Size:
    height, width = shape[1:]
    num_in = channels(RESNET_CHANNELS[0], config)
    total = _conv(shape[0], num_in, 3, height * width)
    for stage, (units, num_blocks) in enumerate(zip(RESNET_CHANNELS, resnet_blocks(config), strict=True)):
        for block in range(num_blocks):
            halves = stage > 0 and block == 0
            if halves:
                height, width = (height + 1) // 2, (width + 1) // 2
            num_out, pixels = channels(units, config), height * width
            total += _norm(num_in) + _conv(num_in, num_out, 3, pixels)
            total += _norm(num_out) + _conv(num_out, num_out, 3, pixels)
            if halves or num_in != num_out:
                total += _conv(num_in, num_out, 1, pixels)
            num_in = num_out
    return total + _norm(num_in) + _linear(num_in, num_classes)


_FAMILIES: dict[str, Callable[[TrialConfig, Shape, int], Size]] = {
    "mlp": _mlp, "convnet": _convnet, "preact_resnet": _preact_resnet}
