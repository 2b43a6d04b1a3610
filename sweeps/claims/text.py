"""How effects, bounds and metrics of claims are written for people: the same words in RESULTS.md, the pictures and the terminal.

Refuses to know files, and what a claim is.
"""

import math
from collections.abc import Sequence
from typing import Any

from sweeps.analysis.results import Estimate
from sweeps.claims.claim import NATS, POINTS, RATIO, SHARE
from sweeps.claims.evidence import SETTLED
from sweeps.findings_tables import scale_of
from sweeps.records import TRANSFER
from sweeps.theme import NOTHING, Unit, estimate

UNITS = {POINTS: Unit("points", 100.0, 1, 2), NATS: Unit("nats", 1.0, 3, 4), RATIO: Unit("times", 1.0, 2, 3),
         SHARE: Unit("% of the epochs", 100.0, 0, 1)}
PERCENT = Unit("%", 100.0, 1, 2)
PLAIN = Unit("", 1.0, 3, 4)
Triple = Sequence[float | None]


def effect_text(effect: Triple, unit: str) -> str:
    """`-3.2 [-4.5, -1.9] points`; a ratio as `0.62 [0.50, 0.77] times`; `-` where nothing was measured."""
    text = estimate(_estimate([_read(value, unit) for value in effect]), UNITS[unit])
    return text if text == NOTHING else f"{text} {UNITS[unit].label}"


def claimed_text(claimed: Sequence[float | None], unit: str) -> str:
    """`below 0`, `above 0`, `-1 to 1 points`."""
    low, high = (None if bound is None else f"{_read(bound, unit) * UNITS[unit].scale:.3g}" for bound in claimed)
    if low is None or high is None:
        side = f"below {high}" if low is None else f"above {low}"
        return side if side.endswith(" 0") else f"{side} {UNITS[unit].label}"
    return f"{low} to {high} {UNITS[unit].label}"


def _read(value: float | None, unit: str) -> Any:
    """A stored number as it is read: e to its power where it is a logarithm."""
    return math.exp(value) if unit == RATIO and value is not None else value


def mean_text(mean: Triple, metric: str) -> str:
    """A measured mean with its interval, errors in percent."""
    return estimate(_estimate(mean), metric_unit(metric))


def metric_unit(metric: str) -> Unit:
    return PERCENT if is_share(metric) else PLAIN


def is_share(metric: str) -> bool:
    """Whether a metric is a share of examples or of epochs, which is read in percent."""
    return metric == SETTLED or metric.startswith(f"{TRANSFER}/") or scale_of(metric) != 1


def metric_heading(metric: str) -> str:
    """`val/error %`."""
    return f"{metric} {metric_unit(metric).label}".strip()


def _estimate(triple: Triple) -> Estimate | None:
    value, low, high = triple
    return None if value is None else Estimate(value, low, high)
