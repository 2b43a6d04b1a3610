"""What a training step costs: against the bare step on the same tensors, against ERM, and against a loop as users write it."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.public_loop import PublicLoop
from benchmarks.result import Result
from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.learner import Learner
from trainable.vicinity import batch_bounds

NUM_ROUNDS, NUM_EPOCHS = 15, 4
SOURCE = load("digits")
FAMILY: dict[str, dict[str, Any]] = {
    "mixup": {"alpha": 1.0}, "mixup, lambda a sample": {"alpha": 1.0, "lam_per": "sample"},
    "cutmix": {"method": "cutmix", "alpha": 1.0}, "manifold_mixup": {"method": "manifold_mixup", "alpha": 1.0},
    "label_free_mixup": {"method": "label_free_mixup", "alpha": 1.0}, "noise": {"method": "noise", "noise_std": 0.3},
    "approximate_mixup": {"method": "approximate_mixup", "alpha": 1.0},
    "approximate_mixup with R2": {"method": "approximate_mixup", "alpha": 1.0, "approximate_terms": "all"},
}


def step_overhead() -> Result:
    """Median over rounds of ours / bare, the two taking turns, for ERM and for mixup at the default study's widest model."""
    ratios = {name: _ratio(_epochs(_learner(alpha=alpha)), _bare(_learner(alpha=alpha)))
              for name, alpha in (("erm", 0.0), ("mixup", 1.0))}
    return Result(name="step_overhead", ours=ratios["mixup"], unit="x bare step", bar="<= 1.10", met=ratios["mixup"] <= 1.10,
                  n=NUM_ROUNDS, detail={"alpha = 0": ratios["erm"]})


def mixup_overhead() -> Result:
    """Median over rounds of an epoch with each method over one of ERM, taking turns: what mixing itself costs."""
    erm = _epochs(_learner())
    ratios = {name: _ratio(_epochs(_learner(**changes)), erm) for name, changes in FAMILY.items()}
    ours = ratios.pop("mixup")
    return Result(name="mixup_overhead", ours=ours, unit="x ERM step", bar="<= 1.05", met=ours <= 1.05, n=NUM_ROUNDS, detail=ratios)


def public_loop() -> Result:
    """Median over rounds of the time that the loop of `benchmarks.public_loop` takes over ours, taking turns; no evaluation."""
    ours = _epochs(_learner(alpha=1.0))
    as_written = _ratio(_public(2), ours)
    others = {"workers that persist": _ratio(_public(2, persistent_workers=True), ours), "no workers": _ratio(_public(0), ours)}
    return Result(name="public_loop", ours=as_written, unit="x faster than the public loop, 2 loader workers", bar=">= 1.5",
                  met=as_written >= 1.5, n=NUM_ROUNDS, detail=others)


def _learner(**changes: Any) -> Learner:
    torch.set_num_threads(1)
    config = TrialConfig(label_noise=0.2, train_size=1000, val_size=297, epochs=1000, **changes)
    return Learner(config, SOURCE, resolve("cpu"))


def _epochs(learner: Learner) -> Callable[[], None]:
    def run() -> None:
        for epoch in range(1, NUM_EPOCHS + 1):
            learner.train_epoch(epoch)
    return run


def _public(num_workers: int, *, persistent_workers: bool = False) -> Callable[[], None]:
    loop = PublicLoop(_learner(alpha=1.0), num_workers, persistent_workers=persistent_workers)

    def run() -> None:
        for _ in range(NUM_EPOCHS):
            loop.epoch()
    return run


def _bare(learner: Learner) -> Callable[[], None]:
    """The same model, optimiser and batch sizes on tensors that lie ready."""
    split = learner.split
    images = torch.from_numpy(learner.source.images[split.train_index]).float() / learner.source.scale
    labels = torch.from_numpy(split.train_labels)
    batches = [(images[start:stop], labels[start:stop]) for start, stop in batch_bounds(len(labels), learner.config.batch_size)]

    def run() -> None:
        learner.model.train()
        for _ in range(NUM_EPOCHS):
            for images_BCHW, labels_B in batches:
                loss = torch.nn.functional.cross_entropy(learner.model(images_BCHW), labels_B)
                learner.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                learner.optimizer.step()
    return run


def _ratio(ours: Callable[[], None], other: Callable[[], None]) -> float:
    ours(), other()
    return statistics.median(_seconds(ours) / _seconds(other) for _ in range(NUM_ROUNDS))


def _seconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
