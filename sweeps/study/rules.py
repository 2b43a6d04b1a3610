"""What the keys of a study mean together: the space, the model ladder, the ladder of alphas, the base configuration.

Owns every check that needs more than one key; what only the registries of data and models know is in study.needs.
Refuses to know files and lines: its problems carry dotted paths.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import trainable.models
from search_spaces import DEFAULT_SPACE, Capacity, SearchSpace, ladder
from search_spaces.dimension import SEARCHABLE, Choice, Fixed, is_number, typed
from sweeps.study.reader import Reading
from sweeps.study.schema import DEFAULT_ALPHAS, DIAGNOSTIC_HELP, KEY_OF_FIELD
from trainable.config import TrialConfig, check_field, nearest
from trainable.errors import ConfigError, Problem
from trainable.methods import OPTIONS

MAX_GRID = 10_000
"""Most points of a grid. A larger one could not be listed, let alone run."""

MAX_ALPHAS = 100


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The values of a study that are more than one key; `parts["search.sampler"]` is the value of one."""

    reading: Reading
    space: SearchSpace
    capacities: tuple[Capacity, ...]
    base: TrialConfig
    alphas: tuple[float, ...]

    def __getitem__(self, path: str) -> Any:
        return self.reading.values[path]


Rule = Callable[[Parts], Iterator[Problem]]


def assemble(reading: Reading) -> Parts:
    """The parts of a study. What is wrong is added to `reading.problems`, with a default in its place."""
    space, capacities = _space(reading), _capacities(reading)
    return Parts(reading=reading, space=space, capacities=capacities, base=_base(reading, space), alphas=_alphas(reading, space))


def _base(reading: Reading, space: SearchSpace) -> TrialConfig:
    """What is set and not searched. An option that does not belong to the method is a problem where it is set."""
    fields = {name: reading.values[key.path] for name, key in KEY_OF_FIELD.items()} | space.fixed
    try:
        return TrialConfig(**fields)
    except ConfigError as error:
        reading.problems.extend(Problem(
            f"space.{problem.field}" if problem.field in space.fixed and f"train.{problem.field}" not in reading.given
            else KEY_OF_FIELD[problem.field].path, problem.value, problem.allowed) for problem in error.problems)
        return TrialConfig(**{name: value for name, value in fields.items() if name not in (*OPTIONS, "method")})


def apply_rules(parts: Parts, rules: tuple[tuple[tuple[str, ...], Rule], ...]) -> None:
    """Adds what the rules find to the problems of the reading; a rule rests where one of its keys is wrong already."""
    for paths, rule in rules:
        if parts.reading.is_sound(*paths):
            parts.reading.problems.extend(rule(parts))


def _space(reading: Reading) -> SearchSpace:
    """The default axes, those fixed under `train`, and then what `space` says."""
    changes = reading.values["space"]
    fixed = {name: reading.values[f"train.{name}"] for name in DEFAULT_SPACE.names
             if f"train.{name}" in reading.given and reading.is_sound(f"train.{name}") and name not in changes}
    try:
        space = DEFAULT_SPACE.fix(**fixed).narrow(changes)
    except ConfigError as error:
        reading.problems.extend(_below("space", error))
        return DEFAULT_SPACE
    reading.problems.extend(
        Problem(f"train.{name}", reading.values[f"train.{name}"], "is an axis of the space as well; keep one of them")
        for name in changes if f"train.{name}" in reading.given and not space[name].when)
    return space


def _capacities(reading: Reading) -> tuple[Capacity, ...]:
    spec, model = reading.values["model.capacity"], reading.values["model.name"]
    own_family = model in trainable.models.names()
    alone = Capacity.of({"width": reading.values["model.width"]} if own_family else {"model": model})
    try:
        return (alone,) if spec is None else ladder(spec)
    except ConfigError as error:
        reading.problems.extend(_below("model.capacity", error))
        return (alone,)


def _below(path: str, error: ConfigError) -> Iterator[Problem]:
    for problem in error.problems:
        yield Problem(f"{path}.{problem.field}".rstrip("."), problem.value, problem.allowed)


def _alphas(reading: Reading, space: SearchSpace) -> tuple[float, ...]:
    """The ladder of alphas in order; the default one as far as the space reaches."""
    spec = reading.values["measure.alphas"]
    if spec is None:
        return tuple(alpha for alpha in DEFAULT_ALPHAS if alpha == 0 or _reaches(space, alpha))
    wrong = [Problem(f"measure.alphas.{index}", value, problem.allowed)
             for index, value in enumerate(spec) if (problem := check_field("alpha", value))]
    reading.problems.extend(wrong)
    return DEFAULT_ALPHAS if wrong else tuple(sorted(float(alpha) for alpha in spec))


def _reaches(space: SearchSpace, alpha: float) -> bool:
    """Whether alpha lies between the ends of what the search may choose. A fixed alpha limits nothing."""
    axis = space["alpha"]
    if isinstance(axis, Choice):
        return bool(min(axis.options) <= alpha <= max(axis.options))
    return isinstance(axis, Fixed) or axis.contains(alpha)


def _check_alphas(parts: Parts) -> Iterator[Problem]:
    shown, path = list(parts.alphas), "measure.alphas"
    fewest = 1 if parts["measure.arms"] or not parts.reading.is_sound("measure.arms") else 2
    if len(set(shown)) < len(shown):
        yield Problem(path, shown, "must be distinct")
    if 0 not in shown:
        yield Problem(path, shown, "must contain 0: without plain training there is nothing to compare with")
    elif not fewest <= len(shown) <= MAX_ALPHAS:
        yield Problem(path, shown, f"must be {fewest} to {MAX_ALPHAS} alphas, as far as space.alpha reaches")
    for alpha in shown:
        if alpha != 0 and not _reaches(parts.space, alpha):
            yield Problem(path, alpha, f"lies outside space.alpha, {parts.space['alpha'].describe()}")


def _check_ladder(parts: Parts) -> Iterator[Problem]:
    """A field that the steps of the ladder set is set by nothing else: no axis searches it, no arm sets it."""
    searched = {axis.name for axis in parts.space.varying}
    set_by = {field: step.label for step in parts.capacities for field in step.fields}
    for field, label in set_by.items():
        if field in searched:
            yield Problem("model.capacity", label, f"sets {field}, which space.{field} searches: give that axis one value")
        for name, arm in parts["measure.arms"].items():
            if isinstance(arm, dict) and field in arm and field in SEARCHABLE:
                yield Problem(f"measure.arms.{name}.{field}", arm[field], "is set by the steps of model.capacity")


def _check_at(parts: Parts) -> Iterator[Problem]:
    at = parts["measure.at"]
    if isinstance(at, str):
        if parts["search.max_trials"] == 0:
            yield Problem("measure.at", at, "must map the searched axes to values where search.max_trials is 0")
        return
    searched = [axis.name for axis in parts.space.varying if axis.name != "alpha"]
    for name, value in at.items():
        problem = check_field(name, value)
        if name == "alpha":
            yield Problem(f"measure.at.{name}", value, "is set by measure.alphas")
        elif name not in searched:
            yield Problem(f"measure.at.{name}", value, f"is not searched here{nearest(name, searched)}")
        elif problem:
            yield Problem(f"measure.at.{name}", value, problem.allowed)
    for axis in parts.space.active({"alpha": max(parts.alphas), **at}):
        if axis.name != "alpha" and axis.name not in at:
            yield Problem(f"measure.at.{axis.name}", None, "must be given: every searched axis needs a value")


def _check_first(parts: Parts) -> Iterator[Problem]:
    first = parts["search.first"]
    for index, setting in enumerate(first if isinstance(first, list) else []):
        path = f"search.first.{index}"
        if not isinstance(setting, dict):
            yield Problem(path, setting, "must be a mapping of axes to values")
        else:
            yield from (Problem(f"{path}.{problem.field}", problem.value, problem.allowed)
                        for problem in parts.space.problems(setting))


def _check_budget(parts: Parts) -> Iterator[Problem]:
    """Whether there is anything to search, and enough of it."""
    budget, size = parts["search.max_trials"], parts.space.grid_size()
    if budget and not parts.space.varying:
        yield Problem("search.max_trials", budget, "must be 0 where every axis is fixed, together with measure.at: {}")
    elif parts["search.sampler"] == "grid" and size > MAX_GRID:
        yield Problem("search.sampler", "grid", f"has {size:,} points, may have {MAX_GRID:,}; fix axes or lower points")
    elif parts["search.sampler"] == "grid" and budget > size:
        yield Problem("search.max_trials", budget, f"must be at most {size}, the points of the grid")


def _check_compute(parts: Parts) -> Iterator[Problem]:
    gpus = parts["compute.gpus"]
    if is_number(gpus) and gpus > 1 and gpus != int(gpus):
        yield Problem("compute.gpus", gpus, "must be a whole number where it is above 1")


def _check_diagnostics(parts: Parts) -> Iterator[Problem]:
    wanted, names = parts["diagnostics"], tuple(DIAGNOSTIC_HELP)
    for index, name in enumerate(wanted):
        if name not in names:
            yield Problem(f"diagnostics.{index}", name, f"must be one of {', '.join(names)}{nearest(str(name), names)}")
        elif name in wanted[:index]:
            yield Problem(f"diagnostics.{index}", name, "is named twice")


RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("measure.alphas", "space.alpha"), _check_alphas),
    (("model.capacity", "space", "measure.arms"), _check_ladder),
    (("measure.at", "measure.alphas", "space", "search.max_trials"), _check_at),
    (("search.first", "space"), _check_first),
    (("search.sampler", "search.max_trials", "space"), _check_budget),
    (("compute.gpus",), _check_compute),
    (("diagnostics",), _check_diagnostics),
)


def settings_of(parts: Parts, path: str) -> Any:
    """The setting or list of settings at a key, each value in its field's own type."""
    found = parts[path]
    if isinstance(found, dict):
        return {name: typed(name, value) for name, value in found.items()}
    return [{name: typed(name, value) for name, value in setting.items()} for setting in found]
