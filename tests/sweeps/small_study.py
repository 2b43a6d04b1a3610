"""A study, data and trials small enough for tests: settings have a value in closed form, and a trial takes no time."""

import math
import time
from collections.abc import Generator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from search_spaces import Capacity, SearchSpace
from search_spaces.dimension import Integer, Real
from sweeps.study import Compute, Measure, Prune, Search, Study
from trainable.config import TrialConfig
from trainable.data.source import Raw, Source, make_source
from trainable.errors import Diverged

SPACE = SearchSpace((
    Real(name="alpha", low=0, high=32, scale="epsilon"), Real(name="weight_decay", low=1e-5, high=1e-2, scale="log"),
    Real(name="dropout", low=0, high=0.5), Integer(name="epochs", low=4, high=10)))
FIRST = ({"alpha": 0.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 5},
         {"alpha": 1.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 5})


def make_study(*, sampler: str = "random", max_trials: int = 6, rule: str = "none", space: SearchSpace = SPACE,
               first: tuple[dict[str, Any], ...] = FIRST, capacities: tuple[float, ...] = (0.25, 0.5), **changes: Any) -> Study:
    """A study of 2 capacities x (`max_trials` searched + 2 alphas x 2 splits measured)."""
    search = Search(sampler=sampler, max_trials=max_trials, max_hours=changes.pop("max_hours", None), first=first,
                    prune=Prune(rule=rule, grace=0.4, reduction=2))
    compute = Compute(cpus=1, gpus=0, max_concurrent=changes.pop("max_concurrent", None), retries=changes.pop("retries", 1))
    study = Study(
        name="small", seed=changes.pop("seed", 0), base=TrialConfig(train_size=20, val_size=10, batch_size=10),
        data_root=None, download=False, space=space, search=search, compute=compute, objective="val/error", tolerance=0.1,
        capacities=tuple(Capacity(label=f"width={width:g}", fields={"width": width}) for width in capacities),
        measure=Measure(alphas=(0.0, 1.0), splits=2, seeds=1, at="best"))
    return replace(study, **changes)


def make_data() -> Source:
    """40 examples of 2 classes, 4 x 4 pixels."""
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (generator.random((40, 1, 4, 4)) * 128 + 127 * labels[:, None, None, None]).astype(np.uint8)
    return make_source("small", Raw(place="small", images_NCHW=images, labels_N=labels, test_images_NCHW=images[:10],
                                    test_labels_N=labels[:10], class_names=("no", "yes")))


def value_of(setting: dict[str, Any]) -> float:
    """The error of a setting: least, 0.1, at alpha 1, weight decay 1e-3, dropout 0.2."""
    decay = math.log10(max(setting.get("weight_decay", 1e-3), 1e-9)) + 3
    return 0.1 + 0.002 * (setting["alpha"] - 1) ** 2 + 0.02 * decay**2 + (setting.get("dropout", 0.2) - 0.2) ** 2


def runner(config: TrialConfig, source: Source, device: str, *, slot: Any) -> Generator[SimpleNamespace, None, SimpleNamespace]:
    """A stand-in for run_trial, with checkpoints: an error that falls towards `value_of` the setting, in no time."""
    start = (slot.load() or {"epoch": 0})["epoch"]
    for epoch in range(1, config.epochs + 1):
        error = value_of(config.to_dict()) * (1 + 1 / epoch)
        try:
            yield SimpleNamespace(epoch=epoch, at=time.time(), seconds=0.01, eval_seconds=0.0,
                                  metrics={"val/error": error, "val/loss": 2 * error, "train/loss": error})
        except GeneratorExit:
            if not slot.discarded:
                slot.save({"epoch": max(epoch, start)})
            raise
    predictions = np.zeros((len(source.test_labels), source.num_classes), np.float16)
    return SimpleNamespace(metrics={"test/error": error, "cost/epochs": float(config.epochs)}, num_parameters=10,
                           predictions=predictions)


def diverging(config: TrialConfig, source: Source, device: str, *, slot: Any) -> Generator[SimpleNamespace, None, SimpleNamespace]:
    """Like `runner`, but mixup (alpha > 0) loses its loss at epoch 2."""
    rows = runner(config, source, device, slot=slot)
    yield next(rows)
    if config.alpha > 0:
        raise Diverged("train loss is nan at epoch 2")
    return (yield from rows)
