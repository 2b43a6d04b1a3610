"""From the plain values of a study file to axes: `{alpha: {high: 2}}` over the axes there already are.

An axis is written as a value (fixed), as `{choices: [...]}`, or as `{scale, low, high, points}` with what is left out
taken from the axis of that name; `when: {other: value | [values] | {above: number}}` makes it exist only then.
Every problem carries a dotted path below the space, so that a study file can point at the line.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from search_spaces.condition import When, is_number
from search_spaces.dimension import Axis, Choice, Dimension, Fixed, Integer, Real
from trainable.config import FIELDS, knob, nearest
from trainable.errors import ConfigError, Problem

RANGE_KEYS = ("scale", "low", "high", "points")
_WANTED = "a value, a list of values, or {above: number}"


def narrowed(axes: Iterable[Axis], changes: Mapping[str, Any]) -> tuple[Axis, ...]:
    """`axes` with `changes` applied and new axes added. Raises ConfigError with every problem."""
    result = {axis.name: axis for axis in axes}
    problems: list[Problem] = []
    for name, spec in changes.items():
        try:
            result[name] = axis_from(name, spec, result.get(name))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tuple(result.values())


def axis_from(name: str, spec: Any, known: Axis | None = None) -> Axis:
    """The axis `name` as `spec` says, with what it leaves out taken from `known`. Raises ConfigError."""
    Dimension(name=name)  # refuses what is no axis, whatever its value
    if isinstance(spec, list):
        raise ConfigError([Problem(name, spec, "must be a value or a mapping; to choose write {choices: [..]}")])
    if not isinstance(spec, dict):
        return Fixed(name=name, value=spec)
    keys = ("choices", "when") if "choices" in spec else (*RANGE_KEYS, "when")
    known_keys = f"the keys of an axis are {', '.join(keys)}"
    unknown = [Problem(f"{name}.{key}", value, f"is no key; {known_keys}{nearest(str(key), keys)}")
               for key, value in spec.items() if key not in keys]
    when, problems = _conditions(name, spec.get("when", {}))
    if unknown or problems:
        raise ConfigError(unknown + problems)
    return _choice(name, spec["choices"], when) if "choices" in spec else _range(name, spec, when, known)


def _choice(name: str, options: Any, when: tuple[When, ...]) -> Axis:
    if not isinstance(options, list):
        raise ConfigError([Problem(f"{name}.choices", options, "must be a list")])
    return Choice(name=name, options=tuple(options), when=when)


def _range(name: str, spec: Mapping[str, Any], when: tuple[When, ...], known: Axis | None) -> Axis:
    if FIELDS[name].type is str:
        raise ConfigError([Problem(name, dict(spec), f"must be a value or {{choices: [..]}}; {knob(name).allowed()}")])
    before = {key: getattr(known, key) for key in RANGE_KEYS} if isinstance(known, Real | Integer) else {}
    values = {**before, **{key: spec[key] for key in RANGE_KEYS if key in spec}}
    missing = [Problem(f"{name}.{end}", None, f"must be given, {knob(name).allowed()}")
               for end in ("low", "high") if end not in values]
    if missing:
        raise ConfigError(missing)
    kind = Integer if FIELDS[name].type is int else Real
    return kind(name=name, when=when or (known.when if known else ()), **values)


def _conditions(name: str, spec: Any) -> tuple[tuple[When, ...], list[Problem]]:
    if not isinstance(spec, dict):
        return (), [Problem(f"{name}.when", spec, f"must be a mapping from another axis to {_WANTED}")]
    conditions, problems = [], []
    for other, wanted in spec.items():
        if not isinstance(wanted, dict):
            values = wanted if isinstance(wanted, list) else [wanted]
            conditions.append(When(axis=other, values=tuple(values)))
        elif list(wanted) == ["above"] and is_number(wanted["above"]):
            conditions.append(When(axis=other, above=float(wanted["above"])))
        else:
            problems.append(Problem(f"{name}.when.{other}", wanted, f"must be {_WANTED}"))
    return tuple(conditions), problems
