"""A trial that does nothing, with the rows and the outcome of a real one: what is left is the orchestration."""

import time
from collections.abc import Generator
from typing import Any

import numpy as np

from trainable.trial import EpochRow, Outcome

NAMES = ("train/loss", "train/excess_loss", "train_clean/error", "train_clean/loss", "val/error", "val/loss",
         "gap/error", "gap/loss")
FINAL = ("test/error", "test/loss", "test/brier", "test/ece", "test/entropy", "best/val_error", "best/epoch",
         "cost/seconds", "cost/epochs")

SHORT_EPOCH_SECONDS = 0.1


def run_noop(config: Any, source: Any, device: str = "cpu", *, slot: Any = None) -> Generator[EpochRow, None, Outcome]:  # noqa: ARG001
    """As many rows as the config has epochs, with the metrics of a real trial, at once."""
    for epoch in range(1, config.epochs + 1):
        metrics = {name: (config.weight_decay * 1e3 + index) / epoch for index, name in enumerate(NAMES)}
        yield EpochRow(epoch=epoch, metrics=metrics, seconds=1e-4, eval_seconds=1e-5, at=time.time())
    return Outcome(metrics=dict.fromkeys(FINAL, 0.5), num_parameters=1, predictions=np.zeros((500, 10), np.float16))


def run_short(config: Any, source: Any, device: str = "cpu", *, slot: Any = None) -> Generator[EpochRow, None, Outcome]:
    """The same, an epoch every SHORT_EPOCH_SECONDS, which takes no processor."""
    rows = run_noop(config, source, device, slot=slot)
    while True:
        time.sleep(SHORT_EPOCH_SECONDS)
        try:
            yield next(rows)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
