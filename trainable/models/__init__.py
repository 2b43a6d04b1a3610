"""The registry of models: name -> module, its initial weights drawn from a stream of the trial's own.

Owns the names and the initialisation's randomness. Refuses to know of data and training. Imports torch only when a
model is built, and torchvision only for a name that is not one of our families.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from trainable.config import TrialConfig, nearest
from trainable.errors import ModelError
from trainable.models.sizes import Shape, Size, size

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FAMILIES", "Size", "build", "check", "latent_parts", "names", "size", "validate_name"]

FAMILIES = {
    "mlp": "depth hidden layers (2) of 256 x width units",
    "convnet": "3 convolutions of 32, 48, 64 channels x width, for small images",
    "preact_resnet": "pre-activation residual net of depth 18 or 34, 64 channels x width, for small images",
}
"""Our own families, which take `width`, each with a line of help. Any torchvision classifier goes by its own name."""


def names() -> tuple[str, ...]:
    """Our own families."""
    return tuple(FAMILIES)


def validate_name(name: str) -> None:
    """Raises ModelError, offering the nearest name, unless `name` is a family or a torchvision classifier.

    Imports torchvision when the name is not one of our families.
    """
    if name in FAMILIES:
        return
    from trainable.models import torchvision_zoo

    known = (*names(), *torchvision_zoo.names())
    if name not in known:
        raise ModelError(f"model = {name!r}: must be one of {', '.join(names())} or a torchvision classifier"
                         f"{nearest(name, known)}")


def check(config: TrialConfig, shape: Shape, num_classes: int) -> Size | None:
    """The model's size, if `build` can make it of these arguments; raises ModelError if not.

    Needs no torch for our own families. A torchvision model is built to find out, and its size is None.
    """
    found = size(config, shape, num_classes)
    if found is None:
        build(config, shape, num_classes)
    return found


def build(config: TrialConfig, shape: Shape, num_classes: int) -> "nn.Module":
    """The model, on the CPU, in float32 and training mode: images (B, C, H, W) to logits (B, K).

    Its initial weights (torch's defaults) are a function of (seed, split, repeat) and the architecture alone: torch's
    global CPU generator is set for the time of the build and put back as it was, CUDA's generators are not touched.
    With dropout, call `dropout.attach_generator` before training. Raises ModelError when there is no such model, or
    when it cannot be built this wide, this deep or for this image size.
    """
    validate_name(config.model)
    import torch

    from trainable.seeding import stream_seed

    make = _maker(config.model)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(config.seed, "init", config.split, config.repeat))
        return make(config, shape, num_classes)


def latent_parts(model: "nn.Module") -> "list[nn.Module]":
    """The parts of a model made by `build` whose outputs may be mixed, from input to output."""
    if callable(own := getattr(model, "latent_parts", None)):
        return list(own())
    from trainable.models import torchvision_zoo
    return torchvision_zoo.latent_parts(model)


def _maker(name: str) -> "Callable[[TrialConfig, Shape, int], nn.Module]":
    if name == "mlp":
        from trainable.models.mlp import MLP
        return MLP
    if name == "convnet":
        from trainable.models.convnet import ConvNet
        return ConvNet
    if name == "preact_resnet":
        from trainable.models.preact_resnet import PreactResNet
        return PreactResNet
    from trainable.models import torchvision_zoo
    return torchvision_zoo.build
