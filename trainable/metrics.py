"""Losses and errors of a model, kept on the device until an epoch's numbers are all there.

Owns how examples are scored, the one transfer to the host, and what counts as diverged. Refuses to know of epochs,
splits, optimisers and files.

Axes: V evaluated example, B example of a batch, C channel, H height, W width, K class.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainable.errors import Diverged

LARGEST_LOSS = 1e6
"""Nats. No training comes back from a mean loss of a million; as a number it would swamp whatever averages it."""


@torch.inference_mode()
def score(model: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Loss in nats and error (1.0 where wrong), float32 (V,) each, of a model in whatever mode it is in.

    A row of NaN counts as wrong: its arg max is class 0, which may be right by accident.
    """
    losses, errors = [], []
    for images_BCHW, labels_B in batches:
        logits_BK = model(images_BCHW).float()
        loss_B = F.cross_entropy(logits_BK, labels_B, reduction="none")
        losses.append(loss_B)
        errors.append(((logits_BK.argmax(dim=1) != labels_B) | loss_B.isnan()).float())
    return torch.cat(losses), torch.cat(errors)


@torch.inference_mode()
def predict(model: Callable[[Tensor], Tensor], batches: Iterable[Tensor]) -> Tensor:
    """Log-probabilities, float32 (V, K), of a model in whatever mode it is in."""
    return torch.cat([F.log_softmax(model(images_BCHW).float(), dim=1) for images_BCHW in batches])


def fetch(values: dict[str, Tensor]) -> dict[str, float]:
    """Each value (one number) as a float, in one transfer; on an accelerator this waits for all work given to it."""
    return dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))


def check_finite(metrics: dict[str, float], epoch: int) -> None:
    """Raises Diverged, naming epoch, metric and value, when one is NaN, infinite, or a loss beyond LARGEST_LOSS."""
    for name, value in metrics.items():
        if not math.isfinite(value) or abs(value) > LARGEST_LOSS:
            raise Diverged(f"epoch {epoch}: {name} = {value:g}: must be finite and at most {LARGEST_LOSS:g}")


def count_parameters(model: nn.Module) -> int:
    """Numbers that training may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
