"""SearchSpace: the axes of a study in a fixed order, with the conditions between them.

Owns which axes exist for given values, the grid over all of them, and whether a setting lies inside. A *setting* maps
the names of the varying, active axes to values: fixed and inactive axes are not in it. Refuses to know YAML and
samplers.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.condition import When
from search_spaces.dimension import SEARCHABLE, Axis, Fixed, Searched
from search_spaces.narrow import narrowed
from trainable.config import knob, nearest
from trainable.errors import ConfigError, Problem


@dataclass(frozen=True)
class SearchSpace:
    """Axes in canonical order, each after the axes its conditions refer to.

    Raises ConfigError when a name is there twice, or a condition names no axis, goes in a circle, or never holds.
    """

    dimensions: tuple[Axis, ...]

    def __post_init__(self) -> None:
        problems = _problems(self.dimensions)
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "dimensions", _ordered(self.dimensions))

    def __iter__(self) -> Iterator[Axis]:
        return iter(self.dimensions)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Axis:
        """The axis of this name. Raises KeyError."""
        for axis in self.dimensions:
            if axis.name == name:
                return axis
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.dimensions)

    @property
    def varying(self) -> tuple[Searched, ...]:
        """The axes that are searched, in the order in which a sampler must decide them."""
        return tuple(axis for axis in self.dimensions if not isinstance(axis, Fixed))

    @property
    def fixed(self) -> dict[str, Any]:
        """The values of the axes that are not searched."""
        return {axis.name: axis.value for axis in self.dimensions if isinstance(axis, Fixed)}

    def narrow(self, changes: Mapping[str, Any]) -> "SearchSpace":
        """This space with some axes changed, as a study file writes them (search_spaces.narrow). Raises ConfigError."""
        return SearchSpace(narrowed(self.dimensions, changes))

    def fix(self, **values: Any) -> "SearchSpace":
        """This space with some axes held at one value. Raises ConfigError."""
        return self.narrow(values)

    def is_active(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether axis `name` exists, given the values of the axes before it."""
        return all(self._condition_holds(condition, values) for condition in self[name].when)

    def _condition_holds(self, condition: When, values: Mapping[str, Any]) -> bool:
        known = {**values, **self.fixed}
        return (condition.axis in known and self.is_active(condition.axis, values)
                and condition.holds(known[condition.axis]))

    def active(self, values: Mapping[str, Any]) -> tuple[Searched, ...]:
        """The varying axes that exist, given these values."""
        return tuple(axis for axis in self.varying if self.is_active(axis.name, values))

    def only_active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The part of `values` that belongs to varying axes that exist, in the order of the space."""
        return {axis.name: values[axis.name] for axis in self.active(values) if axis.name in values}

    def problems(self, setting: Mapping[str, Any]) -> list[Problem]:
        """Everything that keeps `setting` from being one point of this space."""
        active = {axis.name: axis for axis in self.active(setting)}
        missing = [Problem(name, None, f"is missing; {axis.describe()}")
                   for name, axis in active.items() if name not in setting]
        extra = [Problem(name, value, f"is not searched here{nearest(name, tuple(active))}")
                 for name, value in setting.items() if name not in active]
        outside = [Problem(name, setting[name], f"lies outside the space: {axis.describe()}")
                   for name, axis in active.items() if name in setting and not axis.contains(setting[name])]
        return missing + extra + outside

    def contains(self, setting: Mapping[str, Any]) -> bool:
        """Whether `setting` gives every active axis, and no other, a value inside it."""
        return not self.problems(setting)

    def grid_size(self, num_points: int | None = None) -> int:
        """Points of the grid, counted without making it; an upper bound where there are conditions."""
        return math.prod(len(axis.grid(num_points)) for axis in self.varying)

    def grid(self, num_points: int | None = None) -> list[dict[str, Any]]:
        """Every distinct setting of the grid, the last axis changing fastest; `num_points` overrides the axes' own."""
        names = [axis.name for axis in self.varying]
        rows = itertools.product(*(axis.grid(num_points) for axis in self.varying))
        settings = (self.only_active(dict(zip(names, row, strict=True))) for row in rows)
        return [dict(items) for items in dict.fromkeys(tuple(setting.items()) for setting in settings)]

    def describe(self) -> list[dict[str, str]]:
        """One row an axis: axis, kind, range, scale, when, help."""
        return [{"axis": axis.name, "kind": axis.kind, "range": axis.describe(), "scale": getattr(axis, "scale", ""),
                 "when": " and ".join(str(condition) for condition in axis.when), "help": knob(axis.name).help}
                for axis in self.dimensions]

    def to_spec(self) -> dict[str, Any]:
        """As a study file writes it: `narrow` makes this very space of it again."""
        return {axis.name: axis.to_spec() for axis in self.dimensions}


def _ordered(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Canonical order, but each axis after those its conditions name."""
    waiting = sorted(axes, key=lambda axis: SEARCHABLE.index(axis.name))
    placed: dict[str, Axis] = {}
    while waiting:
        ready = next(axis for axis in waiting if all(condition.axis in placed for condition in axis.when))
        placed[ready.name] = ready
        waiting.remove(ready)
    return tuple(placed.values())


def _problems(axes: Sequence[Axis]) -> list[Problem]:
    by_name = {axis.name: axis for axis in axes}
    names = [axis.name for axis in axes]
    twice = [Problem(name, names, "is there twice") for name in by_name if names.count(name) > 1]
    return twice + [Problem(f"{axis.name}.when.{condition.axis}", condition.to_spec(), why) for axis in axes
                    for condition in axis.when if (why := _complaint(condition, axis.name, by_name))]


def _complaint(condition: When, name: str, by_name: Mapping[str, Axis]) -> str | None:
    """What is wrong with a condition of axis `name`, or None."""
    other = by_name.get(condition.axis)
    if other is None:
        return f"names no axis of the space{nearest(condition.axis, list(by_name))}"
    if _reaches(condition.axis, name, by_name):
        return "goes round in a circle"
    return None if _can_hold(condition, other) else f"never holds: {other.name} is {other.describe()}"


def _reaches(start: str, goal: str, by_name: Mapping[str, Axis]) -> bool:
    """Whether following conditions from `start` leads to `goal`."""
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        if name in by_name and name not in seen:
            seen.add(name)
            waiting += [condition.axis for condition in by_name[name].when]
    return False


def _can_hold(condition: When, other: Axis) -> bool:
    if condition.above is None:
        return bool(condition.values) and all(other.contains(value) for value in condition.values)
    top = max((value for value in other.grid() if isinstance(value, int | float)), default=-math.inf)
    return top > condition.above
