"""Any torchvision classifier by its name, with untrained weights, adapted to the data and to our random streams.

Owns the adaptation. Refuses pretrained weights (they would have seen other data) and `width` / `depth`: these models
are named with their size. Imports torchvision, so it is imported only for a name that is not one of our families.

Axes: B example, C channel, H height, W width, K class.
"""

from typing import Any

import torch
import torchvision
from torch import nn

from trainable.config import TrialConfig
from trainable.errors import ModelError
from trainable.models.dropout import Dropout, StochasticDepth
from trainable.models.sizes import Shape


def names() -> tuple[str, ...]:
    """The classifiers of the installed torchvision."""
    return tuple(torchvision.models.list_models(module=torchvision.models))


def build(config: TrialConfig, shape: Shape, num_classes: int) -> nn.Module:
    """The classifier `config.model`: images (B, C, H, W) to logits (B, K). Draws its weights from torch's CPU generator.

    Every nn.Dropout in it becomes ours, with p = config.dropout; a model without any gets one before its last linear
    layer. Stochastic depth keeps the model's own rates. Auxiliary heads are left out. For images that do not have three
    channels the first convolution is replaced. Raises ModelError when the model refuses the image size.
    """
    if config.width != 1 or config.depth is not None:
        raise ModelError(f"width = {config.width:g}, depth = {config.depth}: the name of the torchvision model "
                         f"{config.model} fixes its size; leave width at 1 and depth empty, or choose another name")
    try:
        model: nn.Module = torchvision.models.get_model(config.model, weights=None, num_classes=num_classes,
                                                        **_options(config.model, shape))
    except (ValueError, AssertionError) as error:  # the transformers know their image size when they are made
        raise _refusal(config.model, shape, error) from error
    _adapt_stem(model, shape[0])
    _adapt_dropout(model, config.dropout)
    try:
        _probe(model, shape, num_classes)
    except (RuntimeError, ValueError, AssertionError) as error:  # what torch raises when sizes do not fit together
        raise _refusal(config.model, shape, error) from error
    return model


HEADS = ("classifier", "fc", "head", "heads")


def latent_parts(model: nn.Module) -> list[nn.Module]:
    """The model's direct parts that are a chain of layers, its head apart: the four stages of a ResNet, for example."""
    return [part for name, part in model.named_children() if isinstance(part, nn.Sequential) and name not in HEADS]


def _refusal(name: str, shape: Shape, error: Exception) -> ModelError:
    reason = (str(error).splitlines() or ["no reason given"])[0]
    return ModelError(f"model = {name!r}: cannot take images of {shape[0]} x {shape[1]} x {shape[2]}: {reason}")


def _options(name: str, shape: Shape) -> dict[str, Any]:
    """The constructor's own arguments: those that depend on the image size, and no second output."""
    if name.startswith("vit_"):
        return {"image_size": shape[1]}
    if name.startswith("maxvit_"):
        return {"input_size": shape[1:]}
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    return {}


def _adapt_stem(model: nn.Module, num_channels: int) -> None:
    path, stem = next((path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d))
    if num_channels != stem.in_channels:
        model.set_submodule(path, nn.Conv2d(num_channels, stem.out_channels, stem.kernel_size, stem.stride,  # type: ignore[arg-type]
                                            stem.padding, bias=stem.bias is not None))  # type: ignore[arg-type]


def _adapt_dropout(model: nn.Module, p: float) -> None:
    modules = dict(model.named_modules())
    dropouts = [path for path, module in modules.items() if isinstance(module, nn.Dropout)]
    for path in dropouts:
        model.set_submodule(path, Dropout(p))
    for path, module in modules.items():
        if isinstance(module, torchvision.ops.StochasticDepth):
            model.set_submodule(path, StochasticDepth(module.p))
    if not dropouts:
        path = [path for path, module in modules.items() if isinstance(module, nn.Linear)][-1]
        classifier = modules[path]
        model.set_submodule(path, nn.Sequential(Dropout(p), classifier))


def _probe(model: nn.Module, shape: Shape, num_classes: int) -> None:
    """One forward pass on the meta device: shapes are checked, nothing is computed or drawn."""
    state = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    model.eval()
    with torch.no_grad():
        logits_BK = torch.func.functional_call(model, state, torch.empty((2, *shape), device="meta"))
    model.train()
    if logits_BK.shape != (2, num_classes):
        raise ValueError(f"gives an output of shape {tuple(logits_BK.shape)} for two examples of {num_classes} classes")
