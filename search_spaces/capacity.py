"""The axis capacity: the steps of a model ladder, each a width, a depth or a model; or a length of training.

A ladder is not sampled: every step gets its own search and its own measured curve, so that curves can be compared. The
mixup paper (Zhang et al., arXiv 1710.09412, section 5) conjectures that larger models bear larger alphas, and finds
(section 3.1) that longer training helps mixup more than plain training: a ladder of `epochs` asks that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.dimension import typed
from trainable.config import check_field, nearest
from trainable.errors import ConfigError, Problem

LADDER_FIELDS = ("width", "depth", "model", "epochs")
MAX_STEPS = 64


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """One step of the ladder: the TrialConfig fields it sets, and its name, such as `width=0.25`."""

    label: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Capacity":
        """The step that sets `fields`. Raises ConfigError for fields that make no ladder or are out of range."""
        problems = [problem for name, value in fields.items() if (problem := _problem(name, value))]
        if problems:
            raise ConfigError(problems)
        cast = {name: typed(name, value) for name, value in fields.items()}
        return cls(label=",".join(f"{name}={_short(value)}" for name, value in cast.items()), fields=cast)


def ladder(spec: Any) -> tuple[Capacity, ...]:
    """The steps of a ladder as a study file writes it.

    `{width: [0.25, 1]}`, `{depth: [18, 34]}`, `{model: [resnet18, resnet50]}` or `{epochs: [10, 30]}`, or a list of steps such as
    `[{model: mlp, width: 2}, {model: convnet}]`. Raises ConfigError with every problem; fields are paths within `spec`.
    """
    steps, problems = _steps(spec)
    capacities: list[Capacity] = []
    for path, fields in steps:
        try:
            capacities.append(Capacity.of(fields))
        except ConfigError as error:
            problems += [Problem(path, problem.value, problem.allowed) for problem in error.problems]
    labels = [capacity.label for capacity in capacities]
    problems += [Problem("", label, "is twice on the ladder")
                 for label in dict.fromkeys(labels) if labels.count(label) > 1]
    if not problems and not 1 <= len(capacities) <= MAX_STEPS:
        problems.append(Problem("", len(capacities), f"must have 1 to {MAX_STEPS} steps"))
    if problems:
        raise ConfigError(problems)
    return tuple(capacities)


def ladder_spec(capacities: Sequence[Capacity]) -> Any:
    """As a study file writes it: `{width: [..]}` where each step sets the same one field, else a list of steps."""
    names = {tuple(capacity.fields) for capacity in capacities}
    if len(names) == 1 and len(name := next(iter(names))) == 1:
        return {name[0]: [capacity.fields[name[0]] for capacity in capacities]}
    return [dict(capacity.fields) for capacity in capacities]


def _steps(spec: Any) -> tuple[list[tuple[str, dict[str, Any]]], list[Problem]]:
    """(path, fields) of every step, and what is wrong with the shape."""
    if isinstance(spec, list):
        bad = [Problem(str(index), step, f"must be a mapping of {', '.join(LADDER_FIELDS)}")
               for index, step in enumerate(spec) if not isinstance(step, dict) or not step]
        return [(str(index), step) for index, step in enumerate(spec) if isinstance(step, dict) and step], bad
    if isinstance(spec, dict) and len(spec) == 1:
        name, values = next(iter(spec.items()))
        if isinstance(values, list):
            return [(f"{name}.{index}", {name: value}) for index, value in enumerate(values)], []
        return [], [Problem(str(name), values, "must be a list of values, such as [0.25, 0.5, 1.0]")]
    return [], [Problem("", spec, "must be {width: [..]}, {depth: [..]}, {model: [..]} or {epochs: [..]}, or a list of such steps")]


def _problem(name: str, value: Any) -> Problem | None:
    if name not in LADDER_FIELDS:
        steps = ", ".join(LADDER_FIELDS)
        return Problem(name, value, f"is no step of a ladder, which are {steps}{nearest(name, LADDER_FIELDS)}")
    if value is None:
        return Problem(name, value, "must be given")
    return check_field(name, value)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
