"""When: the condition under which an axis exists.

Owns whether a condition holds for a value. Refuses to know which other axes there are (space.py checks that).
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class When:
    """The axis `axis` has one of `values` or, where `above` is given, a value greater than `above`."""

    axis: str
    values: tuple[Any, ...] = ()
    above: float | None = None

    def holds(self, value: Any) -> bool:
        if self.above is None:
            return value in self.values
        return is_number(value) and value > self.above

    def to_spec(self) -> Any:
        """As a study file writes it."""
        return list(self.values) if self.above is None else {"above": self.above}

    def __str__(self) -> str:
        wanted = " or ".join(str(value) for value in self.values) if self.above is None else f"above {self.above:g}"
        return f"{self.axis} is {wanted}"


def is_number(value: object) -> bool:
    """Whether `value` is a number (a bool is not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)
