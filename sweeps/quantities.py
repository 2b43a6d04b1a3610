"""The quantities of a ladder by name: which field holds each, in which unit it is read, and which one a study minimises.

The one place that says so, for tables, charts and the page alike. Computes nothing.
"""

from dataclasses import dataclass

from sweeps.analysis.results import AlphaPoint, ArmResult, Estimate
from sweeps.theme import NATS, PERCENT, POINTS, SQUARED, Unit, known


@dataclass(frozen=True)
class Quantity:
    """One field of AlphaPoint, and how it is called and read. `change` is the unit of a difference of two of them."""

    name: str
    field: str
    unit: Unit
    change: Unit

    def of(self, point: AlphaPoint | ArmResult | None) -> Estimate | None:
        """The estimate at this rung, or of this arm; None where there is no finite one."""
        found: Estimate | None = getattr(point, self.field) if point else None
        return found if found is not None and known(found.value) else None

    @property
    def heading(self) -> str:
        return f"{self.name} ({self.unit.label})"


VAL_ERROR = Quantity("validation error", "val_error", PERCENT, POINTS)
VAL_LOSS = Quantity("validation loss", "val_loss", NATS, NATS)
TEST_ERROR = Quantity("test error", "test_error", PERCENT, POINTS)
TRAIN_ERROR = Quantity("clean training error", "train_clean_error", PERCENT, POINTS)
GAP = Quantity("generalisation gap", "gap_error", POINTS, POINTS)
BIAS2, VARIANCE = Quantity("bias2", "bias2", SQUARED, SQUARED), Quantity("variance", "variance", SQUARED, SQUARED)
KL_BIAS, KL_VARIANCE = Quantity("bias", "kl_bias", NATS, NATS), Quantity("variance", "kl_variance", NATS, NATS)


def risk(objective: str) -> Quantity:
    """What the study minimises."""
    return VAL_LOSS if objective == "val/loss" else VAL_ERROR


def decomposition(objective: str) -> tuple[Quantity, Quantity]:
    """Bias and variance in the unit of the objective: squared error beside an error, KL divergence beside a loss."""
    return (KL_BIAS, KL_VARIANCE) if objective == "val/loss" else (BIAS2, VARIANCE)
