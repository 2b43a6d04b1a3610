"""Adversarial images: the small change of each image that a model's loss grows most under.

Owns three gradient attacks in the l_inf ball, and how images made for one model are judged by others. A model is any
callable from pixel images to logits. Refuses to know of learners, datasets, normalisation and random streams.

Every attack climbs z = logsumexp of the wrong logits - the true logit. The cross-entropy is log(1 + exp z), so both
have one direction, and the attacks use no more than its sign; but z keeps it where float32 has no gradient of the
cross-entropy left (a softmax that is 1 to the last bit), so that confidence does not pass for robustness.

Axes: B image, C channel, H height, W width, K class, T target model.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from trainable.metrics import score

Model = Callable[[Tensor], Tensor]
"""From pixel images, float32 (B, C, H, W) in [0, 1], to logits (B, K). In eval mode: each row from its own image alone."""
Attack = Callable[[Model, Tensor, Tensor, float], Tensor]
"""From (model, images, true labels, epsilon in [0, 1]) to adversarial images within epsilon of each pixel and in [0, 1]."""

PIXEL_STEP = 1 / 255
"""One level of a pixel of 8 bits, in the range [0, 1] of images."""
PGD_STEPS = 10
PGD_REACH = 2.5
"""PGD's steps together are this many times epsilon long: enough to reach the ball's border from any start, and to turn."""


class Ball:
    """All images within `epsilon` of each pixel of `images_BCHW`, and in [0, 1]. With epsilon 0, the images themselves."""

    def __init__(self, images_BCHW: Tensor, epsilon: float) -> None:
        self.low_BCHW = (images_BCHW - epsilon).clamp(min=0.0)
        self.high_BCHW = (images_BCHW + epsilon).clamp(max=1.0)

    def clip(self, images_BCHW: Tensor) -> Tensor:
        """The nearest images of the ball."""
        return images_BCHW.clamp(self.low_BCHW, self.high_BCHW)


def fgsm(model: Model, images_BCHW: Tensor, labels_B: Tensor, epsilon: float) -> Tensor:
    """One step of epsilon along the gradient's sign (Goodfellow et al. 2015, arXiv 1412.6572, section 4).

    The worst case in the ball if z is linear in the image (two classes, a linear model). A pixel without gradient stays.
    """
    return _climb(model, images_BCHW, labels_B, Ball(images_BCHW, epsilon), epsilon, 1)


def ifgsm(model: Model, images_BCHW: Tensor, labels_B: Tensor, epsilon: float, *, step_size: float = PIXEL_STEP,
          num_steps: int | None = None) -> Tensor:
    """FGSM in small steps, clipped to the ball after each (Kurakin et al. 2017, arXiv 1607.02533, section 2.2).

    `num_steps` None: theirs, `kurakin_steps`. Zhang et al. (arXiv 1710.09412, section 3.5) take 10 at epsilon 4/255.
    """
    num_steps = kurakin_steps(epsilon) if num_steps is None else num_steps
    return _climb(model, images_BCHW, labels_B, Ball(images_BCHW, epsilon), step_size, num_steps)


def pgd(model: Model, images_BCHW: Tensor, labels_B: Tensor, epsilon: float, *, start_BCHW: Tensor,
        num_steps: int = PGD_STEPS) -> Tensor:
    """Steps of 2.5 epsilon / num_steps from a random point of the ball (Madry et al. 2018, arXiv 1706.06083).

    `start_BCHW` is uniform in [-1, 1], in units of epsilon: one draw serves every epsilon. One start, and the last
    point, not the best on the way: what further starts would find is not looked for.
    """
    ball = Ball(images_BCHW, epsilon)
    start_BCHW = ball.clip(images_BCHW + epsilon * start_BCHW)
    return _climb(model, start_BCHW, labels_B, ball, PGD_REACH * epsilon / num_steps, num_steps)


def kurakin_steps(epsilon: float) -> int:
    """min(e + 4, 1.25 e) steps at e = 255 epsilon, to the nearest whole number, halves up: 1 3 5 10 20 at 1 2 4 8 16."""
    levels = round(epsilon / PIXEL_STEP, 6)  # 2/255 x 255 must be 2, or its half would fall on either side
    return math.floor(min(levels + 4, 1.25 * levels) + 0.5)


def transfer(source_model: Model, target_models: Sequence[Model], images_BCHW: Tensor, labels_B: Tensor,
             epsilon: float, attack: Attack) -> Tensor:
    """One row of a source x target matrix: what each target makes of images attacked by the source's gradients.

    Float32 (T, B), 1.0 where wrong; its mean over B is the error. White box where the target is the source itself,
    black box elsewhere (Zhang et al., arXiv 1710.09412, tables 3 a and b).
    """
    attacked_BCHW = attack(source_model, images_BCHW, labels_B, epsilon)
    return torch.stack([score(model, [(attacked_BCHW, labels_B)])[1] for model in target_models])


@contextlib.contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Every part of the module in eval mode; after it each in the mode it had."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _climb(model: Model, images_BCHW: Tensor, labels_B: Tensor, ball: Ball, step_size: float, num_steps: int) -> Tensor:
    for _ in range(num_steps):
        images_BCHW = ball.clip(images_BCHW + step_size * _gradient(model, images_BCHW, labels_B).sign())
    return images_BCHW


def _gradient(model: Model, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
    """Of z in each image. By `autograd.grad`, which leaves nothing on the parameters."""
    with torch.enable_grad():
        images_BCHW = images_BCHW.detach().requires_grad_()
        logits_BK = model(images_BCHW).float()
        truth_B1 = labels_B.unsqueeze(1)
        z_B = logits_BK.scatter(1, truth_B1, -math.inf).logsumexp(dim=1) - logits_BK.gather(1, truth_B1).squeeze(1)
        (gradient_BCHW,) = torch.autograd.grad(z_B.sum(), images_BCHW)
    return gradient_BCHW
