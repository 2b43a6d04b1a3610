"""Between samples: what a model does on the straight way from one training example to another.

Owns the pairs, the grid of lambda and the two things measured on it. Refuses to know how the model was trained.

Zhang et al. (arXiv 1710.09412, figure 2) show both against lambda. (a) A miss is a prediction at
x = lam x_i + (1 - lam) x_j that is neither y_i nor y_j. (b) "Norm of the gradients of the model w.r.t. input" does not
say of what. Here it is the cross-entropy against the mixed target lam y_i + (1 - lam) y_j: one number for any count of
classes, at the ends the usual gradient of the loss, and what an attack would follow. It is also what mixup trains: a
model that predicts the mixed target has none. The Jacobian of the logits is the measure that knows of no target.

Axes: N training example, P pair, B pair of a batch, L lambda, C channel, H height, W width, K class.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from trainable.diagnostics import Findings
from trainable.diagnostics.attacks import in_eval_mode
from trainable.learner import Learner
from trainable.metrics import check_finite
from trainable.objective import mixed_cross_entropy, target_rows
from trainable.seeding import numpy_stream

NUM_PAIRS = 500
"""Of each kind, at most. A miss rate of 10 % in 500 pairs has a standard error of 1.3 points."""
LAMBDAS = tuple(step / 10 for step in range(11))
INNER = slice(1, -1)
"""The lambdas that are no ends: there the image is an example of training."""
HALF = LAMBDAS.index(0.5)
KINDS = ("same", "different")


def diagnose(learner: Learner) -> Findings:
    """Miss rate, in [0, 1], and L2 norm of the input gradient, in nats per unit of the network's (normalised) input.

    `between_samples/<miss|gradient_norm>_<same|different>`: the mean over pairs of one kind (same or different class)
    and over the inner lambdas; with `_half` at lambda 1/2. The curve has each lambda and the number of pairs. Images
    are unmixed and unaugmented, the model in eval mode and float32. Examples whose label was replaced by another class
    are left out: to miss a wrong label is no miss. The pairs follow from seed, split and the labels trained on: every
    arm with the same labels meets the same. A kind without a pair has no values. Raises Diverged when a norm is
    infinite or NaN.
    """
    split, config = learner.split, learner.config
    right_N = np.flatnonzero(split.train_labels == learner.source.labels[split.train_index])
    labels_N = split.train_labels[right_N]
    pairs = {kind: draw_pairs(labels_N, same=kind == "same", stream=numpy_stream(config.seed, f"between_{kind}", config.split))
             for kind in KINDS}
    pairs_P2 = np.concatenate(list(pairs.values()))
    if not len(pairs_P2):
        return Findings()
    rows_KK = target_rows(learner.source.num_classes, 0.0, learner.place.torch_device)
    with in_eval_mode(learner.model):
        miss_LP, norm_LP = walk(learner.model, _batches(learner, split.train_index[right_N], labels_N, pairs_P2), rows_KK)
    miss_LP, norm_LP = torch.stack([miss_LP.double(), norm_LP.double()]).cpu().numpy()
    is_same_P = np.arange(len(pairs_P2)) < len(pairs["same"])
    curves = {f"{what}_{kind}": table_LP[:, is_same_P == (kind == "same")].mean(axis=1)
              for what, table_LP in (("miss", miss_LP), ("gradient_norm", norm_LP)) for kind in KINDS if len(pairs[kind])}
    found = _findings(curves, {kind: len(drawn_P2) for kind, drawn_P2 in pairs.items()})
    check_finite(found.values, config.epochs)
    return found


def draw_pairs(labels_N: np.ndarray, *, same: bool, stream: np.random.Generator) -> np.ndarray:
    """int64 (P, 2), P <= NUM_PAIRS: positions of two examples of the same class, or of two classes.

    The first is drawn without replacement from all that have a partner, the second uniformly from its partners; none
    is paired with itself.
    """
    order_N = np.argsort(labels_N, kind="stable")  # each class is one run in it
    classes, start_C, count_C = np.unique(labels_N[order_N], return_index=True, return_counts=True)
    class_N = np.searchsorted(classes, labels_N)
    partners_N = count_C[class_N] - 1 if same else len(labels_N) - count_C[class_N]
    first_P = stream.permutation(np.flatnonzero(partners_N > 0))[:NUM_PAIRS]
    step_P = stream.integers(partners_N[first_P])  # this many on from the first, past those that are no partners
    start_P, count_P = start_C[class_N[first_P]], count_C[class_N[first_P]]
    if same:
        rank_N = np.argsort(order_N)
        place_P = start_P + (rank_N[first_P] - start_P + 1 + step_P) % count_P
    else:
        place_P = (start_P + count_P + step_P) % len(labels_N)
    return np.stack([first_P, order_N[place_P]], axis=1).astype(np.int64)


def walk(model: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor, Tensor, Tensor]],
         rows_KK: Tensor) -> tuple[Tensor, Tensor]:
    """(L, P) each: 1.0 where a prediction is a miss, and the norm of the input gradient, at each of LAMBDAS.

    A batch is x_i, x_j, y_i, y_j of its pairs; `rows_KK` the target of each class. A row of NaN is a miss.
    """
    misses, norms = [], []
    for images_BCHW, partners_BCHW, labels_B, partner_labels_B in batches:
        steps = []
        for lam in LAMBDAS:
            mixed_BCHW = torch.lerp(partners_BCHW, images_BCHW, lam).requires_grad_()
            logits_BK = model(mixed_BCHW).float()
            loss = len(labels_B) * mixed_cross_entropy(logits_BK, rows_KK, labels_B, partner_labels_B, lam)
            (gradient_BCHW,) = torch.autograd.grad(loss, mixed_BCHW)
            found_B = logits_BK.argmax(dim=1)
            hit_B = ((found_B == labels_B) | (found_B == partner_labels_B)) & ~logits_BK.isnan().any(dim=1)
            steps.append(torch.stack([1.0 - hit_B.float(), gradient_BCHW.flatten(1).norm(dim=1)]))
        steps_L2B = torch.stack(steps)
        misses.append(steps_L2B[:, 0])
        norms.append(steps_L2B[:, 1])
    return torch.cat(misses, dim=1), torch.cat(norms, dim=1)


def _batches(learner: Learner, index_N: np.ndarray, labels_N: np.ndarray,
             pairs_P2: np.ndarray) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Pairs as many at once as examples in training, because gradients must fit."""
    upload, images, size = learner.place.upload, learner.images, learner.config.batch_size
    ends = [images.index(index_N[ends_P]).split(size) for ends_P in pairs_P2.T]
    labels = [upload(labels_N[ends_P]).split(size) for ends_P in pairs_P2.T]
    for first_B, second_B, *labels_B in zip(*ends, *labels, strict=True):
        yield learner.normalise(images.gather(first_B)), learner.normalise(images.gather(second_B)), *labels_B


def _findings(curves: dict[str, np.ndarray], num_pairs: dict[str, int]) -> Findings:
    values = {f"between_samples/{name}": float(curve_L[INNER].mean()) for name, curve_L in curves.items()}
    values |= {f"between_samples/{name}_half": float(curve_L[HALF]) for name, curve_L in curves.items()}
    lists = {name: curve_L.tolist() for name, curve_L in curves.items()}
    return Findings(values=values, curves={"between_samples/curve": {"lam": list(LAMBDAS), **lists, "num_pairs": num_pairs}})
