"""How strongly a network reacts to its input, and how mixup's risk splits into what it asks of that reaction.

Owns the norm of the input Jacobian, and the terms R1 to R4 of the second-order expansion (Carratino et al., On Mixup
Regularization, arXiv 2006.06049) of any trained network. Refuses to train, and to form anything of size inputs x
inputs: covariances live in the span of the examples.

Axes: M example of the audit, B example of a batch, V evaluated example, X all axes of one input, R direction of the
span, K class.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.device import Images
from trainable.diagnostics import Findings
from trainable.evaluation import batch_size
from trainable.learner import Learner
from trainable.moments import gamma2, sigma2, theta_bar
from trainable.objective import spread_of, target_rows
from trainable.second_order import CrossEntropy, Curvature
from trainable.seeding import numpy_stream

NUM_NORMED = 500
"""Training examples, and test examples, whose Jacobian norm is taken: at most."""
NUM_AUDITED = 256
"""Training examples that are the whole of the data for R1 to R4: at most."""
MOST_APART = 1e8
"""R1 beyond so many times the sum R1 + R4 has lost half the digits of the sum, and is left out."""
MAX_ROWS = 100
"""With more classes a norm comes from this many random projections, not from each row: within 14 % (one standard
deviation, at worst) for one example, and the mean over 500 within 1 %."""

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Measure:
    """The examples of an audit in coordinates of their span: input = mean_X + coefficients_R @ basis_RX.

    basis_RX are principal directions, scaled so that their squares add up to the covariance Sxx of the M examples.
    targets_MK and coefficients_MR are float64, mean and basis in the precision of the network.
    """

    mean_X: Tensor
    basis_RX: Tensor
    coefficients_MR: Tensor
    targets_MK: Tensor


@dataclass(frozen=True)
class Audit:
    """The parts of mixup's risk to second order: base + R1 + R2 + R3 + R4, means over examples, in the loss's unit.

    `R1_plus_R4` is computed as such, without the pseudo-inverse that makes the two huge and nearly equal.
    """

    base: float
    R1: float
    R2: float
    R3: float
    R4: float
    R1_plus_R4: float

    @property
    def risk(self) -> float:
        """The sum of all terms."""
        return self.base + self.R1_plus_R4 + self.R2 + self.R3

    @property
    def is_apart(self) -> bool:
        """Whether R1 and R4 still say something one by one: they are numbers, and their sum is not lost beside them."""
        bound = MOST_APART * max(abs(self.R1_plus_R4), 1.0)
        return math.isfinite(self.R4) and bound >= self.R1


@dataclass(frozen=True, eq=False)
class _Part:
    """Some examples of a measure: x' and y', and what lies between each example and the means."""

    inputs_BX: Tensor
    targets_BK: Tensor
    own_BR: Tensor
    label_BK: Tensor


def diagnose(learner: Learner) -> Findings:
    """Norms and R1 to R4 of the network in eval mode and float32, at the arm's alpha, whatever its method.

    jacobian/train_norm, jacobian/test_norm: mean over examples of the Frobenius norm of the derivative of the logits in
    the normalised input (logits per standard deviation of a channel), at up to 500 training and 500 test examples as
    they are, neither mixed nor augmented; from every row up to 100 classes, else from 100 random projections.
    jacobian/base, R1_plus_R4, R2, R3, in nats: the `audit` of up to 256 of these training examples with the labels trained
    on, smoothed by label_smoothing (a share taken from alpha is mixup's own, and part of the audit). All but base are 0 at
    alpha = 0. jacobian/R1 and R4 apart are there while they say something: certain predictions drive both beyond bounds.
    The examples follow from seed and split alone: arms meet the same ones. How many: jacobian/num.
    """
    learner.model.eval()
    config, source = learner.config, learner.source
    train_index = _some(learner.split.train_index, learner, "train")
    labels_T = _some(learner.split.train_labels, learner, "train")[:NUM_AUDITED]
    test_index = _some(np.arange(len(source.test_labels)), learner, "test")
    train_BX = _inputs(learner, learner.images, train_index)
    test_BX = _inputs(learner, learner.place.place_images(source.test_images), test_index)
    size = batch_size(learner.images, config.batch_size)
    spread_K = spread_of(config, learner.split.train_labels, source.num_classes)
    rows_KK = target_rows(source.num_classes, config.label_smoothing, train_BX.device, spread_K).double()
    measure = make_measure(train_BX[:NUM_AUDITED], rows_KK[learner.place.upload(labels_T)])
    found = audit(learner.model, measure, CrossEntropy(), alpha=config.alpha, size=size)
    return Findings(
        values={"jacobian/train_norm": norms(learner.model, train_BX.split(size)).mean().item(),
                "jacobian/test_norm": norms(learner.model, test_BX.split(size)).mean().item()}
        | {f"jacobian/{name}": value for name, value in vars(found).items() if found.is_apart or name not in ("R1", "R4")},
        curves={"jacobian/num": {"train": len(train_index), "test": len(test_index), "audit": len(labels_T),
                                 "classes": source.num_classes, "rows": min(source.num_classes, MAX_ROWS)}})


def norms(model: Model, batches: Iterable[Tensor]) -> Tensor:
    """Frobenius norm of the derivative of the logits at each input, float64 (V,). The model must be in eval mode.

    Beyond 100 classes from 100 projections on random signs, whose mean square is the sum over the rows (Hutchinson);
    the root of an estimate is low by at most a quarter of a percent.
    """
    stream = torch.Generator().manual_seed(0)
    found = []
    for batch_BX in batches:
        inputs_BX = batch_BX.detach().requires_grad_()
        logits_BK = model(inputs_BX)
        num_classes = logits_BK.shape[1]
        if num_classes <= MAX_ROWS:
            signs_PK, share = torch.eye(num_classes), 1.0
        else:
            signs_PK, share = torch.randint(2, (MAX_ROWS, num_classes), generator=stream) * 2.0 - 1.0, 1.0 / MAX_ROWS
        squares = [row_BX.flatten(start_dim=1).double().square().sum(dim=1)
                   for row_BX in _pull(logits_BK, inputs_BX, signs_PK)]
        found.append(share * torch.stack(squares).sum(dim=0))
    return torch.cat(found).sqrt()


def make_measure(inputs_MX: Tensor, targets_MK: Tensor) -> Measure:
    """The examples as the data of an audit: the means and covariances are theirs, to the rounding of float64.

    Directions in which they do not vary are left out, as a pseudo-inverse leaves them out.
    """
    flat_MX = inputs_MX.detach().flatten(start_dim=1).double()
    mean_X = flat_MX.mean(dim=0)
    centred_MX = flat_MX - mean_X
    values_M, vectors_MM = torch.linalg.eigh(centred_MX @ centred_MX.T)
    varies_M = values_M > values_M[-1] * max(centred_MX.shape) * torch.finfo(torch.float64).eps
    coefficients_MR = vectors_MM[:, varies_M] * len(flat_MX) ** 0.5
    basis_RX = coefficients_MR.T @ centred_MX / len(flat_MX)
    shape, dtype = inputs_MX.shape[1:], inputs_MX.dtype
    return Measure(mean_X.view(shape).to(dtype), basis_RX.view(-1, *shape).to(dtype), coefficients_MR, targets_MK)


def audit(model: Model, measure: Measure, loss: Curvature, *, alpha: float, size: int) -> Audit:
    """base + R1 + R2 + R3 + R4 = mixup's risk to second order when `measure` is all of the data: exactly, no draws.

    base is the loss on shrunk examples. R1 = 1/2 mean ||(J - J*) Sxx^1/2||_H^2 pulls the Jacobian J to the local linear
    model J* = -pinv(H) (d2 loss/du dy) Syx pinv(Sxx); R2 weighs the network's own second derivative by the loss's slope
    (0 for ReLUs and max pooling, which are piecewise linear in eval mode); R3 = 1/2 mean <Syy, d2 loss/dy2>; R4 = -1/2
    mean ||J* Sxx^1/2||_H^2. With fewer examples than input numbers J* fits each label of the subset: R1 and R4 then
    speak of this subset. Both grow like 1/S where the probability S of a class is small, and nearly cancel: their sum is
    taken directly, as 1/2 tr(H J Sxx J^T) + <Syx, d2 loss/du dy J>. Costs K reverse passes an example,
    and one for each direction of the span where R2 is not zero.
    `size` examples at once; the model must be in eval mode.
    """
    noise = (sigma2(alpha), gamma2(alpha))
    parts = [_audit_part(model, measure, part, loss, noise) for part in _parts(measure, theta_bar(alpha), size)]
    return Audit(*torch.cat(parts, dim=1).mean(dim=1).tolist())


def _parts(measure: Measure, theta: float, size: int) -> Iterator[_Part]:
    mean_K = measure.targets_MK.mean(dim=0)
    label_MK = measure.targets_MK - mean_K
    for own_BR, label_BK in zip(measure.coefficients_MR.split(size), label_MK.split(size), strict=True):
        inputs_BX = measure.mean_X + theta * _place(own_BR, measure)
        yield _Part(inputs_BX.requires_grad_(), mean_K + theta * label_BK, own_BR, label_BK)


def _place(weights_BR: Tensor, measure: Measure) -> Tensor:
    """Coordinates as differences of inputs, (B, X)."""
    return torch.tensordot(weights_BR.to(measure.basis_RX), measure.basis_RX, dims=1)


def _audit_part(model: Model, measure: Measure, part: _Part, loss: Curvature, noise: tuple[float, float]) -> Tensor:
    """base, R1, R2, R3, R4, R1 + R4 of each example, float64 (6, B). In coordinates J is J basis^T, and Sxx_i is
    gamma2 I + sigma2 c c^T with c the example's own: c is `own_BR`."""
    own2, data2 = noise
    logits_BK = model(part.inputs_BX)
    exact_BK = logits_BK.detach().double()
    base_B = loss.value(part.targets_BK, exact_BK)
    if data2 == 0:  # alpha = 0: no noise
        return torch.stack([base_B, *torch.zeros_like(base_B).expand(5, -1)])
    label_MK = measure.targets_MK - measure.targets_MK.mean(dim=0)
    data_RK = measure.coefficients_MR.T @ label_MK / len(label_MK)
    syx_BRK = data2 * data_RK + own2 * part.own_BR[:, :, None] * part.label_BK[:, None, :]
    best_BRK = loss.solve(exact_BK[:, None], _local_linear(syx_BRK, part, noise))
    jacobian_BRK = _in_basis(logits_BK, part.inputs_BX, measure)

    def square(map_BRK: Tensor) -> Tensor:
        own_BK = torch.einsum("br,brk->bk", part.own_BR, map_BRK)
        return data2 * loss.squared_norm(exact_BK[:, None], map_BRK).sum(dim=1) + own2 * loss.squared_norm(exact_BK, own_BK)

    slope_BK = loss.gradient(part.targets_BK, exact_BK).to(logits_BK.dtype)
    bend_B = _bend(torch.autograd.grad(logits_BK, part.inputs_BX, slope_BK, create_graph=True)[0], part, measure, noise)
    labels_B = data2 * loss.label(label_MK).mean() + own2 * loss.label(part.label_BK)
    together_B = 0.5 * square(jacobian_BRK) + loss.cross(syx_BRK, jacobian_BRK).sum(dim=1)
    return torch.stack([base_B, 0.5 * square(jacobian_BRK - best_BRK), 0.5 * bend_B, 0.5 * labels_B, -0.5 * square(best_BRK),
                        together_B])


def _local_linear(syx_BRK: Tensor, part: _Part, noise: tuple[float, float]) -> Tensor:
    """pinv(Sxx_i) Sxy_i in coordinates, (B, R, K), by the formula of Sherman and Morrison."""
    (own2, data2), own_BR = noise, part.own_BR
    share_BK = own2 / (data2 + own2 * own_BR.square().sum(dim=1, keepdim=True)) * torch.einsum("br,brk->bk", own_BR, syx_BRK)
    return (syx_BRK - own_BR[:, :, None] * share_BK[:, None, :]) / data2


def _pull(logits_BK: Tensor, inputs_BX: Tensor, rows_PK: Tensor) -> Iterator[Tensor]:
    """J^T a of each example for each row a, (B, X): examples of a batch are apart in eval mode only."""
    for row_K in rows_PK.to(logits_BK):
        yield torch.autograd.grad(logits_BK, inputs_BX, row_K.expand_as(logits_BK), retain_graph=True)[0]


def _in_basis(logits_BK: Tensor, inputs_BX: Tensor, measure: Measure) -> Tensor:
    """The Jacobian along each direction of the basis, float64 (B, R, K): every row of it, no draws."""
    basis_XR = measure.basis_RX.flatten(start_dim=1).T
    rows = _pull(logits_BK, inputs_BX, torch.eye(logits_BK.shape[1]))
    return torch.stack([(row_BX.flatten(start_dim=1) @ basis_XR).double() for row_BX in rows], dim=2)


def _bend(pulled_BX: Tensor, part: _Part, measure: Measure, noise: tuple[float, float]) -> Tensor:
    """<Sxx_i, d2 of slope x logits> of each example, float64 (B,); `pulled_BX` is J^T slope, to be differentiated.

    One random direction is tried first: where the product with it is exactly zero, so is the whole second derivative
    (but for an accident of chance 0), and a network of ReLUs is spared the others.
    """
    def bent(direction: Tensor) -> Tensor:
        (product_BX,) = torch.autograd.grad((pulled_BX * direction).sum(), part.inputs_BX, retain_graph=True,
                                            materialize_grads=True)
        return product_BX

    def twice_along(direction: Tensor) -> Tensor:
        return (bent(direction) * direction).flatten(start_dim=1).double().sum(dim=1)

    random_R = torch.randn(len(measure.basis_RX), generator=torch.Generator().manual_seed(0))
    if not bent(_place(random_R[None], measure)).any():
        return torch.zeros_like(part.own_BR[:, 0])
    own2, data2 = noise
    along_data_B = torch.stack([twice_along(direction_X) for direction_X in measure.basis_RX]).sum(dim=0)
    return own2 * twice_along(_place(part.own_BR, measure)) + data2 * along_data_B


def _some(values_N: np.ndarray, learner: Learner, kind: str) -> np.ndarray:
    """Up to NUM_NORMED of the values, in random order; the same positions whatever the arm and repeat."""
    order_N = numpy_stream(learner.config.seed, "jacobian", kind, learner.config.split).permutation(len(values_N))
    return values_N[order_N[:NUM_NORMED]]


def _inputs(learner: Learner, images: Images, index_N: np.ndarray) -> Tensor:
    """What the network sees of these images, (N, X)."""
    return learner.normalise(images.gather(images.index(index_N)))
