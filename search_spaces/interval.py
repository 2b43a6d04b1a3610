"""Real and Integer: the axes between two numbers, on a scale.

Owns their grid, their place in [0, 1] and the coordinate a sampler sees. Takes every bound from trainable.config.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from search_spaces.axis import Dimension, placed, refuse
from search_spaces.condition import is_number
from search_spaces.scale import SCALES, decode, encode, scale_problem
from trainable.config import FIELDS, check_field, nearest
from trainable.errors import Problem

MAX_POINTS = 1000
"""Most grid points of one axis."""


@dataclass(frozen=True, kw_only=True)
class _Range(Dimension):
    """An axis between two numbers, both included, on a scale. `points` is its share of a grid."""

    low: float
    high: float
    scale: str = "linear"
    points: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.name
        known = None if self.scale in SCALES else Problem(
            f"{name}.scale", self.scale, f"must be one of {', '.join(SCALES)}{nearest(str(self.scale), SCALES)}")
        few = None if type(self.points) is int and 2 <= self.points <= MAX_POINTS else Problem(
            f"{name}.points", self.points, f"must be a whole number in [2, {MAX_POINTS}]")
        ends = [placed(f"{name}.{end}", check_field(name, getattr(self, end))) for end in ("low", "high")]
        refuse([*ends, known, few])
        wide = None if self.low < self.high else Problem(
            f"{name}.low", self.low, f"must be below high = {self.high:g}; to fix the axis write {name}: {self.low:g}")
        refuse([wide, scale_problem(name, self.scale, self.low)])
        for end in ("low", "high") if FIELDS[name].type is float else ():
            object.__setattr__(self, end, float(getattr(self, end)))

    @property
    def log(self) -> bool:
        """Whether a sampler should see the logarithm of this axis."""
        return self.scale == "log"

    def contains(self, value: Any) -> bool:
        return is_number(value) and self.low <= value <= self.high

    def to_spec(self) -> Any:
        """As a study file writes it, every default filled in."""
        return {"scale": self.scale, "low": self.low, "high": self.high, "points": self.points, **self._when_spec()}

    def describe(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, kw_only=True)
class Real(_Range):
    """A real axis. On the `epsilon` scale a sampler sees 1 - E max(lambda, 1 - lambda), uniform, instead of alpha."""

    kind: ClassVar[str] = "real"

    @property
    def internal(self) -> tuple[float, float]:
        """Ends of the coordinate a sampler sees (on a log scale still the value itself: see `log`)."""
        return self.to_internal(self.low), self.to_internal(self.high)

    def to_internal(self, value: float) -> float:
        """The sampler's coordinate of a value."""
        return self._coordinate(value) if self.scale == "epsilon" else float(value)

    def from_internal(self, coordinate: float) -> float:
        """The value at a sampler's coordinate; the scale's round-off never leaves the axis."""
        return self.nearest(decode("epsilon", coordinate) if self.scale == "epsilon" else float(coordinate))

    def nearest(self, value: float) -> float:
        """The value of this axis that is closest to `value`."""
        return float(min(max(value, self.low), self.high))

    def _coordinate(self, value: float) -> float:
        """The scale's coordinate; of a value inside never outside, although epsilon is not monotone to the last bit."""
        coordinate = encode(self.scale, value)
        if not self.contains(value):
            return coordinate
        return min(max(coordinate, encode(self.scale, self.low)), encode(self.scale, self.high))

    def to_unit(self, value: float) -> float:
        """Place in [0, 1], even on the axis's own scale."""
        low, high = encode(self.scale, self.low), encode(self.scale, self.high)
        return (self._coordinate(value) - low) / (high - low)

    def from_unit(self, unit: float) -> float:
        """The value at a place in [0, 1]; 0 and 1 give the ends exactly, whatever the scale's round-off."""
        if unit in (0, 1):
            return self.high if unit else self.low
        low, high = encode(self.scale, self.low), encode(self.scale, self.high)
        return self.nearest(decode(self.scale, low + unit * (high - low)))

    def grid(self, num_points: int | None = None) -> list[float]:
        """`num_points` values (default: `points`), even on the axis's own scale, both ends included."""
        return [self.from_unit(unit) for unit in _even(num_points or self.points)]


@dataclass(frozen=True, kw_only=True)
class Integer(_Range):
    """An axis of whole numbers, on a linear or log scale. Each number has an equal share of [0, 1] on a linear one."""

    low: int
    high: int
    kind: ClassVar[str] = "integer"

    @property
    def internal(self) -> tuple[int, int]:
        """Ends of the axis: a sampler sees the numbers themselves."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        return isinstance(value, int) and super().contains(value)

    def to_internal(self, value: int) -> int:
        return value

    def from_internal(self, coordinate: float) -> int:
        return self.nearest(coordinate)

    def nearest(self, value: float) -> int:
        """The number of this axis that is closest to `value`."""
        return min(max(round(value), self.low), self.high)

    def to_unit(self, value: int) -> float:
        """The middle of the number's share of [0, 1]."""
        low, high = encode(self.scale, self.low - 0.5), encode(self.scale, self.high + 0.5)
        middle = (encode(self.scale, value - 0.5) + encode(self.scale, value + 0.5)) / 2
        return (middle - low) / (high - low)

    def from_unit(self, unit: float) -> int:
        """The number whose share of [0, 1] contains `unit`."""
        low, high = encode(self.scale, self.low - 0.5), encode(self.scale, self.high + 0.5)
        return self.nearest(decode(self.scale, low + unit * (high - low)))

    def grid(self, num_points: int | None = None) -> list[int]:
        """At most `num_points` distinct numbers, even on the axis's own scale, both ends included."""
        low, high = encode(self.scale, self.low), encode(self.scale, self.high)
        places = (low + (high - low) * unit for unit in _even(num_points or self.points))
        return sorted({self.nearest(decode(self.scale, place)) for place in places})


def _even(count: int) -> list[float]:
    """`count` places in [0, 1] with equal distances; one alone stands in the middle."""
    return [step / (count - 1) for step in range(count)] if count > 1 else [0.5]
