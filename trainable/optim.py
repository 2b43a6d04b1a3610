"""The optimiser: which weights decay, and the learning rate as a pure function of the step.

Owns parameter groups and schedules. Refuses to know of epochs, data and losses: a schedule is stretched to the number
of steps that it is told.
"""

import math

import torch
from torch import nn

from trainable.config import TrialConfig

ADAMW_BETA2 = 0.999
STEP_MILESTONES = (0.5, 0.75)
STEP_FACTOR = 0.1


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two groups: weights of two or more axes decay; biases and the scales and shifts of normalisation do not.

    Decaying those buys nothing (they do not set a function's complexity) and makes the best weight decay depend on how
    many of them a model has. The paper's code decays all of them.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [{"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": weight_decay},
            {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0}]


def make_optimizer(model: nn.Module, config: TrialConfig) -> torch.optim.Optimizer:
    """SGD with (heavy-ball) momentum, its decay an L2 term scaled by the learning rate; or AdamW with decoupled decay.

    Fused kernels: one pass over all parameters, no difference in meaning. Make it after the model is on its device.
    """
    groups = [group for group in parameter_groups(model, config.weight_decay) if group["params"]]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, ADAMW_BETA2), fused=True)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


def lr_at(step: int, total_steps: int, config: TrialConfig) -> float:
    """The learning rate of step `step`, counted from 0, of `total_steps`. Depends on nothing else.

    Warm-up: linear over the first ceil(warmup_fraction x total_steps) steps, from one part of that many up to the peak.
    cosine: from the peak toward 0 over what follows warm-up; the last step is small but not 0. step: tenfold down at
    1/2 and 3/4 of all steps, warm-up included (the CIFAR protocol of Zhang et al., arXiv 1710.09412, 100 and 150 of 200
    epochs, stretched). constant: the peak.
    """
    warmup_steps = math.ceil(config.warmup_fraction * total_steps)
    if step < warmup_steps:
        return config.lr * (step + 1) / warmup_steps
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1.0 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))
    if config.schedule == "step":
        return config.lr * STEP_FACTOR ** sum(step >= milestone * total_steps for milestone in STEP_MILESTONES)
    return config.lr


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Makes the optimiser's next step use `lr`, in every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
