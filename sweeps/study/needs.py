"""What a study needs of data and models: that they exist, and that the data are large enough for it.

Owns the checks against the registries, as far as they can answer without reading data or importing torch.
"""

import dataclasses
import functools
import importlib.util
import math
import re
from collections.abc import Iterator
from pathlib import Path

import trainable.data
import trainable.models
from sweeps.study.arms import arm_configs
from sweeps.study.rules import Parts, Rule
from trainable.config import TrialConfig, nearest
from trainable.data.splits import max_splits, split_sizes
from trainable.errors import DataError, MixupSweepError, ModelError, Problem
from trainable.models.sizes import size

_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n(?:\s.*\n)*)*def (\w+)\(", re.MULTILINE)


def _check_data(parts: Parts) -> Iterator[Problem]:
    try:
        trainable.data.facts(parts.base.data)
    except DataError as error:
        yield Problem("data.name", parts.base.data, _reason(error))


def _check_sizes(parts: Parts) -> Iterator[Problem]:
    """Whether the pool holds the splits, where its size is known without reading it."""
    pool_size = trainable.data.facts(parts.base.data).pool_size
    if pool_size is None:
        return
    config = dataclasses.replace(parts.base, batch_size=1)
    try:
        train_size, _ = split_sizes(pool_size, config)
        limit = max_splits(pool_size, config)
    except DataError as error:
        blamed = next((name for name in ("train_size", "val_size") if f"data.{name}" in parts.reading.given), "name")
        yield Problem(f"data.{blamed}", parts[f"data.{blamed}"], str(error))
        return
    splits = parts["measure.splits"]
    if limit is not None and splits + 1 > limit:
        yield Problem("measure.splits", splits, f"must be at most {max(limit - 1, 0)}: the data hold {limit} disjoint splits, "
                      "one of them for the search; lower data.train_size or use data.split_kind: holdout")
    searched = "batch_size" in parts.space
    largest = max(parts.space["batch_size"].grid()) if searched else parts.base.batch_size
    if largest > train_size:
        yield Problem("space.batch_size" if searched else "train.batch_size", largest,
                      f"must be at most {train_size}, the training examples of a split")


def _check_arms(parts: Parts) -> Iterator[Problem]:
    """Whether the minibatch that an arm sets fits into a training split."""
    pool_size = trainable.data.facts(parts.base.data).pool_size
    train_size = split_sizes(pool_size, dataclasses.replace(parts.base, batch_size=1))[0] if pool_size else math.inf
    for path, arm in arm_configs(parts):
        if arm.batch_size > train_size and arm.batch_size != parts.base.batch_size:
            yield Problem(f"{path}.batch_size", arm.batch_size, f"must be at most {train_size}, the training examples of a split")


def _check_models(parts: Parts) -> Iterator[Problem]:
    """Whether each step of the ladder is a model that can be made, as far as that is known without torch."""
    facts = trainable.data.facts(parts.base.data)
    for capacity in parts.capacities:
        config = dataclasses.replace(parts.base, **capacity.fields)
        on_ladder = parts["model.capacity"] is not None
        why = _name_complaint(config.model)
        if why:
            yield Problem("model.capacity" if on_ladder and "model" in capacity.fields else "model.name", config.model, why)
        elif why := _size_complaint(config, facts):
            yield Problem("model.capacity" if on_ladder else "model", capacity.label, why)


def _name_complaint(name: str) -> str | None:
    """Why there is no model of this name, or None; None also where torchvision's names cannot be told."""
    families, others = trainable.models.names(), torchvision_names()
    if name in families or name in others or not others:
        return None
    return f"must be one of {', '.join(families)}, or a torchvision classifier{nearest(name, (*families, *others))}"


def _size_complaint(config: TrialConfig, facts: trainable.data.Facts) -> str | None:
    """Why a model of this name cannot be made this wide or this deep, or None."""
    if config.model not in trainable.models.names():
        as_named = config.width == 1 and config.depth is None
        return None if as_named else f"sets width or depth, which the name {config.model} fixes; use {{model: [..]}}"
    try:
        size(config, facts.shape or (1, 1, 1), facts.num_classes or 1)
    except ModelError as error:
        return _reason(error)
    return None


def _reason(error: MixupSweepError) -> str:
    """The text of an error without the field and value that stand before it already."""
    return str(error).partition(": ")[2] or str(error)


@functools.cache
def torchvision_names() -> tuple[str, ...]:
    """The classifiers that torchvision registers, read from its sources, since importing it would import torch."""
    spec = importlib.util.find_spec("torchvision")
    folders = spec.submodule_search_locations if spec else None
    sources = Path(folders[0], "models").glob("*.py") if folders else ()
    return tuple(sorted(name for source in sources for name in _REGISTERED.findall(source.read_text(encoding="utf-8"))))


NEEDS: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("data.name",), _check_data),
    (("data", "train.batch_size", "space", "measure.splits"), _check_sizes),
    (("data", "train", "space", "measure"), _check_arms),
    (("data.name", "model"), _check_models),
)
