"""What every axis of a search space shares: the field it varies, and when it exists.

Owns which fields of TrialConfig may be an axis. Refuses to know how an axis's values lie (interval.py, dimension.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from search_spaces.condition import When
from trainable.config import FIELDS, nearest
from trainable.errors import ConfigError, Problem
from trainable.methods import OPTIONS

SEARCHABLE = ("method", "alpha", "weight_decay", "dropout", "epochs", *(name for name in OPTIONS if name != "alpha"),
              "optimizer", "lr", "momentum", "schedule", "warmup_fraction", "batch_size", "precision")
"""The fields of TrialConfig that may be an axis: the method, the four named axes, its options, how it is trained.

Data, model and seeds are not searched.
"""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What all axes share: the TrialConfig field they vary, and conditions that must all hold for them to exist."""

    name: str
    when: tuple[When, ...] = ()
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.name not in SEARCHABLE:
            hint = "" if self.name in FIELDS else nearest(self.name, SEARCHABLE)
            refuse([Problem(self.name, self.name, f"is no axis{hint}; the axes are {', '.join(SEARCHABLE)}")])

    def _when_spec(self) -> dict[str, Any]:
        return {"when": {condition.axis: condition.to_spec() for condition in self.when}} if self.when else {}


def typed(name: str, value: Any) -> Any:
    """An allowed value as the field's own type: 3 is 3.0 where the field is real, so that both are one setting."""
    return float(value) if FIELDS[name].type is float else value


def refuse(problems: Iterable[Problem | None]) -> None:
    """Raises ConfigError with those that are not None."""
    found = [problem for problem in problems if problem]
    if found:
        raise ConfigError(found)


def placed(field: str, problem: Problem | None) -> Problem | None:
    """The problem, said of another place."""
    return Problem(field, problem.value, problem.allowed) if problem else None
