"""Whether the methods of a study go with what is set, searched and measured beside them.

Owns the checks of a whole TrialConfig where a study sets its fields in several places. Refuses to know of arms: they check
themselves (study.arms).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import trainable.data
from search_spaces import SearchSpace
from search_spaces.dimension import Choice, Searched
from sweeps.study.arms import arm_configs
from sweeps.study.rules import Parts, Rule
from sweeps.study.schema import KEY_OF_FIELD
from trainable.config import TrialConfig
from trainable.data.splits import split_sizes
from trainable.errors import ConfigError, DataError, ModelError, Problem
from trainable.methods import METHODS, OPTIONS, check_neighbors, latent_layers
from trainable.models.sizes import num_latent


def corners(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """A setting for each combination of the space's choices, the other axes at their upper ends, then at their lower, then
    at their lower but for how strongly a method acts.

    All three, since an option is in nobody's way at its default, which may lie at either end, nor is one of a method that
    does nothing.
    """
    strengths = {method.strength for method in METHODS.values()}
    for high in (set(space.names), set(), strengths):
        settings: list[dict[str, Any]] = [{}]
        for axis in space.varying:
            tried = _tried(axis, "high" if axis.name in high else "low")
            settings = [{**setting, axis.name: value} if space.is_active(axis.name, setting) else setting
                        for setting in settings for value in tried[:None if space.is_active(axis.name, setting) else 1]]
        yield from settings


def _tried(axis: Searched, end: str) -> tuple[Any, ...]:
    """Every choice that a method depends on, and one value of all else."""
    if not isinstance(axis, Choice):
        return (getattr(axis, end),)
    return axis.options if axis.name == "method" or axis.name in OPTIONS else axis.options[:1]


def _check_space(parts: Parts) -> Iterator[Problem]:
    """Whether every choice of the space goes with the others."""
    seen = set()
    for setting in corners(parts.space):
        try:
            replace(parts.base, **setting)
        except ConfigError as error:
            for problem in error.problems:
                if problem.field not in seen:
                    seen.add(problem.field)
                    yield _placed(parts, problem, setting)


def _placed(parts: Parts, problem: Problem, setting: dict[str, Any]) -> Problem:
    """The problem at the key that sets its field, with what was chosen beside it."""
    name = problem.field
    searched = name in setting
    path = f"space.{name}" if searched or name in parts.space.fixed else KEY_OF_FIELD[name].path
    chosen = ", ".join(f"{other} {value}" for other, value in setting.items()
                       if isinstance(value, str) and other != name and other in ("method", "pairing", "smoothing_from"))
    text = problem.allowed + (f" (where the space chooses {chosen}; an axis can be given `when:`)" if chosen else "")
    return Problem(path, problem.value, text)


def _check_ladder(parts: Parts) -> Iterator[Problem]:
    """Whether alpha can be measured: the method must be one, and have an alpha."""
    if len(parts.alphas) < 2:
        return
    searched = next((axis.options for axis in parts.space.varying if axis.name == "method" and isinstance(axis, Choice)), ())
    if searched and isinstance(parts["measure.at"], str):
        without = [name for name in searched if "alpha" not in METHODS[name].options]
        if without:
            yield Problem("measure.at", "best", f"must give the method where the search may choose one without alpha, {without[0]}")
        return
    at = parts["measure.at"]
    try:
        replace(parts.base, **({} if isinstance(at, str) else at), alpha=max(parts.alphas))
    except ConfigError as error:
        yield Problem("measure.alphas", max(parts.alphas), error.problems[0].allowed)


def variants(base: TrialConfig, space: SearchSpace) -> Iterator[tuple[str, TrialConfig]]:
    """(place of its method, config) of each kind of trial that the search may run."""
    for setting in corners(space):
        try:
            yield "space" if "method" in setting or "pairing" in setting else "train", replace(base, **setting)
        except ConfigError:
            continue


def _configs(parts: Parts) -> Iterator[tuple[str, TrialConfig]]:
    yield from variants(parts.base, parts.space)
    yield from arm_configs(parts)


def _check_pairings(parts: Parts) -> Iterator[Problem]:
    """Whether neighbours can be found among so many examples."""
    pool_size = trainable.data.facts(parts.base.data).pool_size
    if pool_size is None:
        return
    try:
        train_size, _ = split_sizes(pool_size, replace(parts.base, batch_size=1))
    except DataError:
        return  # told by study.needs
    for place, config in _configs(parts):
        if config.pairing == "knn":
            try:
                check_neighbors(train_size, config.num_neighbors)
            except DataError as error:
                name = "num_neighbors" if "num_neighbors" in str(error) else "pairing"
                yield Problem(f"{place}.{name}", getattr(config, name), str(error).partition(": ")[2] or str(error))
                return


def _check_layers(parts: Parts) -> Iterator[Problem]:
    """Whether the layers to be mixed exist, in models of which that is known without torch."""
    for place, config in _configs(parts):
        if not METHODS[config.method].hidden:
            continue
        for capacity in parts.capacities:
            model = replace(config, **capacity.fields)
            try:
                known = num_latent(model)
            except ModelError:
                return  # told by study.needs
            try:
                latent_layers(model, 10**9 if known is None else known)
            except ModelError as error:
                text = str(error).partition(": ")[2]
                yield Problem(f"{place}.mixing_layers", config.mixing_layers, f"{text} at {capacity.label}")
                return


METHOD_RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("train", "space"), _check_space),
    (("train", "space", "measure.alphas", "measure.at"), _check_ladder),
    (("data", "train", "space", "measure.arms"), _check_pairings),
    (("data.name", "model", "train", "space", "measure.arms"), _check_layers),
)
