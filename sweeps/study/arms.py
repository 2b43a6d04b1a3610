"""Named arms of the measure stage: what each sets, what it comes to beside the ladder of alphas, and whether that can be.

An arm is plain training (alpha = 0) at the measured setting of the other axes, changed by what it says; so its
difference from the ladder's alpha = 0 is the effect of exactly that. Owns names, fields and sameness of arms. Refuses to
know trials and results.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from search_spaces import SearchSpace
from search_spaces.dimension import SEARCHABLE, typed
from sweeps.records import rung_name
from sweeps.study.rules import Parts, Rule, settings_of
from sweeps.study.yaml_source import scalar
from trainable.config import TrialConfig, check_field, nearest
from trainable.errors import ConfigError, Problem

MAX_ARMS = 50
MAX_NAME = 64
BEST = "best"
"""Stands for the value of a searched axis that is known only once the search has ended."""


def arm_setting(space: SearchSpace, chosen: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
    """What an arm is run with at the measured setting `chosen`: the axes that exist there, and every field it sets.

    Alpha is 0 unless the arm sets it, whatever `chosen` holds.
    """
    values = {**chosen, "alpha": 0.0, **arm}
    return {"alpha": values["alpha"], **space.only_active(values), **arm}


def arms_of(parts: Parts) -> dict[str, dict[str, Any]]:
    """Name -> what the arm sets, each value in its field's own type."""
    return {name: {field: typed(field, value) for field, value in arm.items()} for name, arm in parts["measure.arms"].items()}


def arm_configs(parts: Parts) -> Iterator[tuple[str, TrialConfig]]:
    """(path of its key, configuration) of every arm that can be; axes still to be searched have the base's value."""
    for name, arm in parts["measure.arms"].items():
        try:
            yield f"measure.arms.{name}", _config(parts, arm)
        except ConfigError:
            continue


def _check_each(parts: Parts) -> Iterator[Problem]:
    """Names, and fields one by one."""
    arms = parts["measure.arms"]
    if len(arms) > MAX_ARMS:
        yield Problem("measure.arms", f"{len(arms)} arms", f"must be at most {MAX_ARMS} arms")
    for name, arm in arms.items():
        path = f"measure.arms.{name}"
        if why := _name_complaint(name, parts.alphas):
            yield Problem(path, name, why)
        if not isinstance(arm, dict):
            yield Problem(path, arm, "must map fields of train to values, such as {dropout: 0.5}")
            continue
        for field, value in arm.items():
            problem = check_field(field, value)
            if field not in SEARCHABLE:
                hint = nearest(str(field), SEARCHABLE) or f"; they are {', '.join(SEARCHABLE)}"
                yield Problem(f"{path}.{field}", value, f"is no field that an arm may set{hint}")
            elif problem:
                yield Problem(f"{path}.{field}", value, problem.allowed)


def _name_complaint(name: str, alphas: tuple[float, ...]) -> str | None:
    """Why an arm cannot be called this, or None."""
    if not (name.isprintable() and name == name.strip() and 1 <= len(name) <= MAX_NAME):
        return f"must be named by 1 to {MAX_NAME} printable characters, with no space around them"
    value = scalar(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "must be named by words, not by a number"
    if name in map(rung_name, alphas):
        return "is what a rung of measure.alphas is called; choose another name"
    return None


def _check_together(parts: Parts) -> Iterator[Problem]:
    """Each arm as a whole configuration, and that no two arms or rungs are one."""
    known = [(rung_name(alpha), found) for alpha in parts.alphas if (found := _signature(parts, {"alpha": alpha}))]
    for name, arm in parts["measure.arms"].items():
        path = f"measure.arms.{name}"
        try:
            _config(parts, arm)
        except ConfigError as error:
            yield from (_said_of(path, arm, problem) for problem in error.problems)
            continue
        signature = _signature(parts, arm)
        same = next((other for other, found in known if found == signature), None)
        if same:
            yield Problem(path, arm, f"comes to the same trials as {same}; keep one of them")
        known.append((f"arm {name}", signature))


def _said_of(path: str, arm: Mapping[str, Any], problem: Problem) -> Problem:
    """A problem of the whole configuration, at the arm's field that it is about, or else at the arm."""
    if problem.field in arm:
        return Problem(f"{path}.{problem.field}", problem.value, problem.allowed)
    return Problem(path, dict(arm), f"leaves {problem.field} = {problem.value!r}, which {problem.allowed}")


def _config(parts: Parts, arm: Mapping[str, Any]) -> TrialConfig:
    """The arm on the base, as far as the setting is known before the search. Raises ConfigError."""
    at = parts["measure.at"]
    known = not isinstance(at, str) and parts.reading.is_sound("measure.at")
    chosen = settings_of(parts, "measure.at") if known else {}
    return replace(parts.base, **arm_setting(parts.space, chosen, arm))


def _signature(parts: Parts, arm: Mapping[str, Any]) -> dict[str, Any]:
    """Equal where two arms are one trial whatever the search finds; empty where the configuration cannot be."""
    try:
        fields = _config(parts, arm).arm()
    except ConfigError:
        return {}
    searched = parts.space.varying if isinstance(parts["measure.at"], str) else ()
    return {**fields, **{axis.name: BEST for axis in searched if axis.name not in arm and axis.name != "alpha"}}


ARMS: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("measure.arms",), _check_each),
    (("measure.arms", "measure.alphas", "measure.at", "space", "train"), _check_together),
)
