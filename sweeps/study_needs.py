"""What a study needs of data and models: that they exist, and that the data are large enough for it.

Owns the checks against the registries, as far as they can answer without reading data or importing torch.
"""

import dataclasses
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import trainable.data
import trainable.models
from sweeps.study_rules import Parts, Rule
from trainable.config import nearest
from trainable.data.splits import max_splits, split_sizes
from trainable.errors import DataError, ModelError, Problem
from trainable.models.sizes import size

_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n(?:\s.*\n)*)*def (\w+)\(", re.MULTILINE)


def _check_data(parts: Parts) -> Iterator[Problem]:
    names, name = _data_names(), parts.base.data
    if name not in names:
        yield Problem("data.name", name, f"must be one of {', '.join(names)}{nearest(name, names)}")


def _check_sizes(parts: Parts) -> Iterator[Problem]:
    """Whether the pool holds the splits, where its size is known without reading it."""
    if parts.base.data not in _data_names():
        return
    pool_size = _facts(parts.base.data).pool_size
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
        yield Problem("measure.splits", splits, f"must be at most {max(limit - 1, 0)}: the data hold {limit} disjoint "
                      "splits, one of them for the search; lower data.train_size or use data.split_kind: holdout")
    searched = "batch_size" in parts.space
    largest = max(parts.space["batch_size"].grid()) if searched else parts.base.batch_size
    if largest > train_size:
        yield Problem("space.batch_size" if searched else "train.batch_size", largest,
                      f"must be at most {train_size}, the training examples of a split")


def _check_models(parts: Parts) -> Iterator[Problem]:
    """Whether each step of the ladder is a model that can be made, as far as that is known without torch."""
    known = parts.reading.is_sound("data") and parts.base.data in _data_names()
    facts = _facts(parts.base.data) if known else None
    for capacity in parts.capacities:
        config = dataclasses.replace(parts.base, **capacity.fields)
        path = "model.name" if parts["model.capacity"] is None or "model" not in capacity.fields else "model.capacity"
        if problem := model_problem(path, config.model):
            yield problem
        elif facts and facts.shape and facts.num_classes:
            try:
                size(config, facts.shape, facts.num_classes)
            except ModelError as error:
                yield Problem("model.capacity" if parts["model.capacity"] else "model", capacity.label, str(error))


def model_problem(path: str, name: str) -> Problem | None:
    """Why there is no model of this name, or None; None also where torchvision's names cannot be told."""
    families, others = trainable.models.names(), torchvision_names()
    if name in families or name in others or not others:
        return None
    hint = nearest(name, (*families, *others))
    return Problem(path, name, f"must be one of {', '.join(families)}, or a torchvision classifier{hint}")


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
    (("model",), _check_models),
)


# SHIM until the data registry has names and facts
def _data_names() -> tuple[str, ...]:
    return getattr(trainable.data, "names", lambda: ("digits", "fashion_mnist", "cifar10", "cifar100", "image_folder"))()


def _facts(name: str):  # type: ignore
    from types import SimpleNamespace
    return getattr(trainable.data, "facts", lambda n: SimpleNamespace(pool_size=1297 if n == "digits" else None, test_size=500, shape=(1, 8, 8), num_classes=10))(name)
