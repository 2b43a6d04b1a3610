"""One axis of a search space: Real, Integer, Choice or Fixed.

The two without a scale are defined here. Refuses to know YAML, samplers and studies. Every axis raises ConfigError,
with a dotted path such as `alpha.low`, when it is made with values that trainable.config does not allow.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from search_spaces.axis import SEARCHABLE, Dimension, placed, refuse, typed
from search_spaces.condition import is_number
from search_spaces.interval import Integer, Real
from trainable.config import check_field
from trainable.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Choice(Dimension):
    """An axis of named values (or a few numbers), without order."""

    options: tuple[Any, ...]
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse(placed(f"{self.name}.choices", check_field(self.name, option)) for option in self.options)
        object.__setattr__(self, "options", tuple(typed(self.name, option) for option in self.options))
        if not self.options or len(set(self.options)) < len(self.options):
            refuse([Problem(f"{self.name}.choices", list(self.options), "must be one or more distinct values")])

    def contains(self, value: Any) -> bool:
        return not isinstance(value, bool) and value in self.options

    def nearest(self, value: Any) -> Any:
        """`value` where it is an option, else the closest number, else the first option."""
        if value in self.options or not is_number(value):
            return value if value in self.options else self.options[0]
        return min(self.options, key=lambda option: abs(option - value))

    def to_unit(self, value: Any) -> float:
        """The middle of the option's share of [0, 1]."""
        return (self.options.index(value) + 0.5) / len(self.options)

    def from_unit(self, unit: float) -> Any:
        """The option whose share of [0, 1] contains `unit`."""
        return self.options[min(int(unit * len(self.options)), len(self.options) - 1)]

    def grid(self, num_points: int | None = None) -> list[Any]:  # noqa: ARG002 - every option belongs to every grid
        return list(self.options)

    def to_spec(self) -> Any:
        """As a study file writes it."""
        return {"choices": list(self.options), **self._when_spec()}

    def describe(self) -> str:
        return ", ".join(str(option) for option in self.options)


@dataclass(frozen=True, kw_only=True)
class Fixed(Dimension):
    """An axis with one value: not searched, but conditions may refer to it."""

    value: Any
    kind: ClassVar[str] = "fixed"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse([check_field(self.name, self.value)])
        object.__setattr__(self, "value", typed(self.name, self.value))

    def contains(self, value: Any) -> bool:
        return bool(value == self.value)

    def grid(self, num_points: int | None = None) -> list[Any]:  # noqa: ARG002 - there is only one value
        return [self.value]

    def to_spec(self) -> Any:
        """As a study file writes it."""
        return self.value

    def describe(self) -> str:
        return str(self.value)


Searched = Real | Integer | Choice
Axis = Searched | Fixed

__all__ = ["SEARCHABLE", "Axis", "Choice", "Dimension", "Fixed", "Integer", "Real", "Searched", "is_number", "typed"]
