"""Calibration: do predicted probabilities mean what they say, and would one temperature make them?

Owns proper scores and calibration errors of a table of log-probabilities, what chance alone makes of them, and the
temperature that validation asks for. All of it numpy, so that stored predictions can be judged again without a network;
only `diagnose` asks one. Refuses to know how predictions were made, and to fit anything on the examples it judges.

Every function raises ValueError for a table that is not (V, K) with one label in [0, K) a row. A NaN makes a score NaN.

Axes: V evaluated example, K class, N bin, D simulated draw.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from trainable.diagnostics import Findings
from trainable.seeding import numpy_stream

if TYPE_CHECKING:
    from trainable.learner import Learner

NUM_BINS = 15
"""As in Guo et al., arXiv 1706.04599, and most of what has been published since."""
NUM_DRAWS = 200
"""Simulated label sets behind a noise floor: its own standard error is then 1 to 2 % of it."""
MAX_TEMPERATURE = 20.0
"""Temperatures are searched from 1/20 to 20. One at either end says that validation asks for more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """int64 (V,) each: the bin of each example, and the group within which right and wrong are shared out evenly."""

    bin_V: np.ndarray
    tie_V: np.ndarray

    def sums(self, values_V: np.ndarray) -> np.ndarray:
        """Float64 (NUM_BINS,): the sum in each bin, after every value is replaced by the mean of its group."""
        shared = np.bincount(self.tie_V, weights=values_V) / np.bincount(self.tie_V)
        return np.bincount(self.bin_V, weights=shared[self.tie_V], minlength=NUM_BINS)


Binning = Callable[[np.ndarray], Bins]
"""From the confidence of each example (V,) to its bin."""


def equal_width(confidence_V: np.ndarray) -> Bins:
    """Bins of equal width over (0, 1], closed on the right (Guo et al., arXiv 1706.04599). Some may be empty."""
    bin_V = np.clip(np.ceil(confidence_V * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    return Bins(bin_V=bin_V, tie_V=np.arange(len(confidence_V)))


def equal_mass(confidence_V: np.ndarray) -> Bins:
    """Bins of as many examples each, give or take one, in the order of confidence (Nguyen & O'Connor, 1508.05154).

    Examples of one confidence may lie on both sides of a border, and which of them do is an accident of their order. So
    they share what they got right evenly: the outcome is the mean over all orders, and no order changes it.
    """
    num_examples = len(confidence_V)
    bin_V = np.empty(num_examples, dtype=np.int64)
    bin_V[np.argsort(confidence_V, kind="stable")] = np.arange(num_examples) * NUM_BINS // num_examples
    return Bins(bin_V=bin_V, tie_V=np.unique(confidence_V, return_inverse=True)[1])


BINNINGS: dict[str, Binning] = {"width": equal_width, "mass": equal_mass}


def nll(log_probabilities_VK: np.ndarray, labels_V: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    _check(log_probabilities_VK, labels_V)
    return float(-log_probabilities_VK[np.arange(len(labels_V)), labels_V].mean(dtype=np.float64))


def brier(log_probabilities_VK: np.ndarray, labels_V: np.ndarray) -> float:
    """Mean over examples of the squared distance of probabilities and truth, summed over classes: in [0, 2].

    The multi-class form of Brier (1950); some libraries divide it by the number of classes.
    """
    _check(log_probabilities_VK, labels_V)
    probabilities_VK = np.exp(log_probabilities_VK, dtype=np.float64)
    of_truth_V = probabilities_VK[np.arange(len(labels_V)), labels_V]
    return float(np.mean((probabilities_VK**2).sum(axis=1) - 2.0 * of_truth_V + 1.0))


def entropy(log_probabilities_VK: np.ndarray) -> float:
    """Mean entropy of the predictions in nats, from 0 (certain) to log K (uniform)."""
    log_probabilities_VK = np.maximum(log_probabilities_VK.astype(np.float64), -1e5)  # 0 log 0 is 0, not NaN
    return float(np.mean(-(np.exp(log_probabilities_VK) * log_probabilities_VK).sum(axis=1)))


def ece(log_probabilities_VK: np.ndarray, labels_V: np.ndarray, binning: Binning = equal_width) -> float:
    """Expected calibration error of the top prediction, in [0, 1]: sum over bins of share x |accuracy - confidence|.

    Biased upward, the more the fewer the examples: `noise_floor` says by how much.
    """
    confidence_V, right_V = top(log_probabilities_VK, labels_V)
    gaps_N = binning(confidence_V).sums(right_V - confidence_V)
    return float(np.abs(gaps_N).sum() / len(labels_V))


def ece_signed(log_probabilities_VK: np.ndarray, labels_V: np.ndarray) -> float:
    """Mean confidence minus accuracy, in [-1, 1]: above 0 the network is overconfident. No bins, hence no floor."""
    confidence_V, right_V = top(log_probabilities_VK, labels_V)
    return float(confidence_V.mean() - right_V.mean())


def noise_floor(log_probabilities_VK: np.ndarray, binning: Binning, stream: np.random.Generator) -> float:
    """Mean ECE, over NUM_DRAWS label sets, of a perfectly calibrated network with these very confidences.

    Labels drawn from the predicted probabilities are right with probability `confidence`, and the ECE sees no more of
    them than that, so only this is drawn. About 0.7 / sqrt(V) at a mean confidence of .87 (ten classes, normal logits of
    standard deviation 8), more where confidence is middling, 0 where it is 1 throughout.
    """
    confidence_V = np.exp(log_probabilities_VK.max(axis=1).astype(np.float64))
    bins, num_examples = binning(confidence_V), len(confidence_V)
    draws_D = [np.abs(bins.sums((stream.random(num_examples) < confidence_V) - confidence_V)).sum()
               for _ in range(NUM_DRAWS)]
    return float(np.mean(draws_D) / num_examples)


def reliability(log_probabilities_VK: np.ndarray, labels_V: np.ndarray, binning: Binning) -> dict[str, list[Any]]:
    """The reliability diagram: per bin its `count`, mean `confidence`, `accuracy` and `gap` = confidence - accuracy.

    Lists of NUM_BINS, from low confidence to high; None for the means of an empty bin.
    """
    confidence_V, right_V = top(log_probabilities_VK, labels_V)
    bins = binning(confidence_V)
    count_N = np.bincount(bins.bin_V, minlength=NUM_BINS)
    columns: dict[str, list[Any]] = {"count": count_N.tolist()}
    for name, values_V in {"confidence": confidence_V, "accuracy": right_V, "gap": confidence_V - right_V}.items():
        columns[name] = [float(total / count) if count else None
                         for total, count in zip(bins.sums(values_V), count_N, strict=True)]
    return columns


def fit_temperature(logits_VK: np.ndarray, labels_V: np.ndarray) -> tuple[float, bool]:
    """The T of least NLL of softmax(logits / T), and whether it lies at an end of [1/20, 20] (Guo et al., 1706.04599).

    Logits or log-probabilities: a constant added to a row changes nothing. The NLL is convex in 1/T, so there is one
    minimum in log T and a bounded search finds it, to about 1e-6 of T. Where 1 is as good, as for equal logits, it is 1.
    Raises ValueError for NaN and infinities.
    """
    _check(logits_VK, labels_V)
    if not np.isfinite(logits_VK).all():
        num_bad = (~np.isfinite(logits_VK)).any(axis=1).sum()
        raise ValueError(f"{num_bad} of {len(labels_V)} examples have logits that are not finite")
    reach = math.log(MAX_TEMPERATURE)

    def loss(log_t: float) -> float:
        return nll(scaled(logits_VK, math.exp(log_t)), labels_V)

    inside = float(minimize_scalar(loss, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-8}).x)
    best = min((0.0, -reach, reach, inside), key=loss)  # an end before `inside`: a loss that has rounded to 0 is flat
    if abs(best) == reach:
        return MAX_TEMPERATURE if best > 0.0 else 1.0 / MAX_TEMPERATURE, True
    return math.exp(best), False


def scaled(logits_VK: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Log-probabilities at a temperature, float64 (V, K): above 1 flatter, below 1 sharper."""
    log_probabilities_VK: np.ndarray = log_softmax(logits_VK.astype(np.float64) / temperature, axis=1)
    return log_probabilities_VK


def top(log_probabilities_VK: np.ndarray, labels_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the top prediction of each example: its confidence in [1/K, 1], and 1.0 where it is right; float64 (V,) each."""
    _check(log_probabilities_VK, labels_V)
    right_V = log_probabilities_VK.argmax(axis=1) == labels_V
    return np.exp(log_probabilities_VK.max(axis=1).astype(np.float64)), right_V.astype(np.float64)


def judge(log_probabilities_VK: np.ndarray, labels_V: np.ndarray,
          make_stream: Callable[[], np.random.Generator]) -> tuple[dict[str, float], dict[str, Any]]:
    """All measures of this module, and the diagrams; each floor from a fresh stream."""
    values = {"nll": nll(log_probabilities_VK, labels_V), "brier": brier(log_probabilities_VK, labels_V),
              "entropy": entropy(log_probabilities_VK), "ece_signed": ece_signed(log_probabilities_VK, labels_V)}
    curves = {}
    for name, binning in BINNINGS.items():
        values[f"ece_{name}"] = ece(log_probabilities_VK, labels_V, binning)
        values[f"ece_{name}_floor"] = noise_floor(log_probabilities_VK, binning, make_stream())
        curves[f"reliability_{name}"] = reliability(log_probabilities_VK, labels_V, binning)
    return values, curves


def diagnose(learner: "Learner") -> Findings:
    """Measures on the test set as predicted, and with `_scaled` at the temperature fitted on validation.

    Names: `calibration/` + nll, brier, entropy, ece_signed, ece_width, ece_width_floor, ece_mass, ece_mass_floor; and
    temperature, temperature_at_edge (1.0 where validation asks for one beyond [1/20, 20]). Curves: reliability_width,
    reliability_mass. The uniforms behind a floor are the same for every arm of a replicate.
    """
    from trainable.diagnostics.outputs import on_test, on_validation  # it imports evaluation, which imports this module

    config = learner.config
    temperature, at_edge = fit_temperature(*on_validation(learner))
    logits_VK, labels_V = on_test(learner)
    values = {"calibration/temperature": temperature, "calibration/temperature_at_edge": float(at_edge)}
    curves: dict[str, Any] = {}
    for ending, used in (("", 1.0), ("_scaled", temperature)):
        measures, diagrams = judge(scaled(logits_VK, used), labels_V,
                                   lambda: numpy_stream(config.seed, "calibration_floor", config.split, config.repeat))
        values |= {f"calibration/{name}{ending}": value for name, value in measures.items()}
        curves |= {f"calibration/{name}{ending}": diagram for name, diagram in diagrams.items()}
    return Findings(values=values, curves=curves)


def _check(log_probabilities_VK: np.ndarray, labels_V: np.ndarray) -> None:
    shape = log_probabilities_VK.shape
    if len(shape) != 2 or 0 in shape or labels_V.shape != shape[:1]:
        raise ValueError(f"predictions of shape {shape} and labels of shape {labels_V.shape}: must be (examples, classes) and "
                         "(examples,), with at least one")
    if not np.issubdtype(labels_V.dtype, np.integer) or labels_V.min() < 0 or labels_V.max() >= shape[1]:
        raise ValueError(f"labels from {labels_V.min()} to {labels_V.max()}: must be whole numbers in [0, {shape[1] - 1}]")
