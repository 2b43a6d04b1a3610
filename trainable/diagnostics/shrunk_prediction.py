"""Predicting where mixup trained: the input shrunk toward the training mean, the output stretched back.

Owns eq. 15 of Carratino et al. (arXiv 2006.06049) on logits, and the comparison of its two parts, each with and without
the other. Refuses to know how the network was trained beyond alpha, and to choose between the cells.

On logits, eq. 15 is y_bar (1 - 1/theta_bar) + f(x_bar + theta_bar (x - x_bar)) / theta_bar. With balanced classes y_bar
adds one constant to all logits and eq. 15 is the shrunk input at temperature theta_bar. Without, it lowers the logit of
class k by y_bar_k (1/theta_bar - 1), at most 1. So the four cells leave y_bar out, and `eq15` is the exact form.

Axes: V evaluated example, T training example, B example of a batch, C channel, H height, W width, K class.
"""

import numpy as np
import torch
from torch import Tensor

from trainable.diagnostics import Findings, calibration
from trainable.diagnostics.outputs import Transform, on_test, on_validation
from trainable.learner import Learner
from trainable.moments import theta_bar
from trainable.objective import class_shares, smoothing_of, spread_of


def diagnose(learner: Learner) -> Findings:
    """Error (fraction), NLL (nats) and ECE (15 bins of equal mass) on the test set, of each cell.

    Names: `shrunk_prediction/` + plain, plain_theta, shrunk, shrunk_theta, eq15 + _error, _nll, _ece; theta_bar;
    temperature_plain, temperature_shrunk, fitted on validation, each with _at_edge (1.0 where it is 1/20 or 20). Curves:
    `table`, the cells and beside them plain_fitted and shrunk_fitted at those temperatures; `marginal`, y_bar by class.
    theta_bar is that of the config's alpha, whatever the method does with it: eq. 15 is derived for mixup, and for another
    method the cells say what happens if it is used all the same. At alpha = 0 it is 1 and the five agree to the last bit.
    """
    shrink, marginal_K = theta_bar(learner.config.alpha), mean_target(learner)
    inputs: dict[str, Transform | None] = {"plain": None, "shrunk": shrinking(learner.mean_1CHW, shrink)}
    values = {"theta_bar": shrink}
    logits: dict[str, np.ndarray] = {}
    for name, transform in inputs.items():
        temperature, at_edge = calibration.fit_temperature(*on_validation(learner, transform))
        values |= {f"temperature_{name}": temperature, f"temperature_{name}_at_edge": float(at_edge)}
        seen_VK, labels_V = on_test(learner, transform)
        logits_VK = seen_VK.astype(np.float64)
        logits |= {name: logits_VK, f"{name}_theta": logits_VK / shrink, f"{name}_fitted": logits_VK / temperature}
    logits["eq15"] = stretch(logits["shrunk"], marginal_K, shrink)
    table = {name: measure(logits_VK, labels_V) for name, logits_VK in logits.items()}
    values |= {f"{cell}_{name}": value for cell, row in table.items() if not cell.endswith("_fitted")
               for name, value in row.items()}
    curves = {"table": table, "marginal": marginal_K.tolist()}
    return Findings(values={f"shrunk_prediction/{name}": value for name, value in values.items()},
                    curves={f"shrunk_prediction/{name}": curve for name, curve in curves.items()})


def measure(logits_VK: np.ndarray, labels_V: np.ndarray) -> dict[str, float]:
    """`error` as a fraction, `nll` in nats, `ece` in bins of equal mass."""
    log_probabilities_VK = calibration.scaled(logits_VK)
    return {"error": float(np.mean(logits_VK.argmax(axis=1) != labels_V)),
            "nll": calibration.nll(log_probabilities_VK, labels_V),
            "ece": calibration.ece(log_probabilities_VK, labels_V, calibration.equal_mass)}


def shrinking(mean_1CHW: Tensor, shrink: float) -> Transform:
    """x -> x_bar + shrink (x - x_bar), written so that a shrink of 1 gives x to the last bit."""
    def transform(inputs_BCHW: Tensor) -> Tensor:
        shrunk_BCHW = shrink * inputs_BCHW + (1.0 - shrink) * mean_1CHW
        return shrunk_BCHW.contiguous(memory_format=torch.channels_last)  # as `Normalise` lays images out
    return transform


def stretch(logits_VK: np.ndarray, marginal_K: np.ndarray, shrink: float) -> np.ndarray:
    """Eq. 15 given f at the shrunk inputs: y_bar (1 - 1/shrink) + logits / shrink."""
    return marginal_K * (1.0 - 1.0 / shrink) + logits_VK / shrink


def mean_target(learner: Learner) -> np.ndarray:
    """y_bar: mean of the training targets as trained on, replaced labels and label smoothing included; float64 (K,)."""
    labels_T, num_classes, smoothing = learner.split.train_labels, learner.source.num_classes, smoothing_of(learner.config)
    spread_K = spread_of(learner.config, labels_T, num_classes)
    return (1.0 - smoothing) * class_shares(labels_T, num_classes) + smoothing * spread_K
