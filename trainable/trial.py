"""run_trial: one trial from its config and data to its final metrics, as a generator of epoch rows.

Owns the order of things: train an epoch, measure, report, keep a checkpoint, test once at the end. Refuses to know who
drives it, where rows go and what else runs: a for-loop and a cluster get the same numbers.
"""

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from trainable import diagnostics as diagnosis
from trainable.checkpoint import CheckpointSlot
from trainable.config import TrialConfig
from trainable.data import Source
from trainable.device import Device, resolve
from trainable.diagnostics import Findings
from trainable.evaluation import measure_epoch, measure_test
from trainable.learner import Learner
from trainable.metrics import check_finite, count_parameters, fetch


@dataclass(frozen=True)
class EpochRow:
    """Metrics after epoch `epoch` (from 1). `seconds` includes `eval_seconds`; `at` is the unix time of its end."""

    epoch: int
    metrics: dict[str, float]
    seconds: float
    eval_seconds: float
    at: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is known only at the end. `predictions`: log-probabilities on the test set, float16 (examples, classes).

    `curves`: what diagnostics found beyond single numbers. `weights`: of the trained model, on the CPU, where asked for.
    """

    metrics: dict[str, float]
    num_parameters: int
    predictions: np.ndarray
    curves: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] | None = None


def run_trial(config: TrialConfig, source: Source, device: str = "cpu", *,
              slot: CheckpointSlot | None = None, diagnostics: tuple[str, ...] = (), keep_weights: bool = False,
              ) -> Generator[EpochRow, None, Outcome]:
    """Yields a row after each epoch and returns the outcome: `outcome = yield from run_trial(...)`.

    Same config and source, same rows, bit for bit on a CPU with a fixed number of threads: first or hundredth in a
    process, cut and continued or not (only seconds and at differ). Global random generators and switches are as before
    whenever a row is handed out. The source's arrays are never written.

    With a slot that holds a checkpoint of this trial its rows are yielded again first, as they were, and training goes
    on from there; a checkpoint is saved after an epoch when one is due, and when the generator is closed unfinished.
    The slot is not cleared at the end: whoever has stored the outcome does that.

    `diagnostics`, by name (trainable.diagnostics), are computed after the last epoch; they and `keep_weights` change no
    number of training. Only `memorisation` adds to the rows: `oracle/test_error`, which chooses nothing.

    Before the first epoch, raises ConfigError for a diagnostic that there is not, and DataError, ModelError or
    InfrastructureError when config, source, device and diagnostics do not fit together; later, Diverged at the epoch where
    a metric stops being finite.
    """
    diagnosis.check(diagnostics, source)
    place = resolve(device)
    learner, rows = _begin(config, source, place, slot)
    watch_test = "memorisation" in diagnostics
    saved_epoch = len(rows)
    try:
        yield from tuple(rows)
        for epoch in range(len(rows) + 1, config.epochs + 1):
            rows.append(_run_epoch(learner, epoch, watch_test=watch_test))
            if slot is not None and slot.due() and slot.save(_state(learner, rows)):
                saved_epoch = epoch
            yield rows[-1]
    except GeneratorExit:
        if slot is not None and not slot.discarded and len(rows) > saved_epoch:
            slot.save(_state(learner, rows))
        raise
    outcome = _finish(learner, rows)
    found = _diagnose(learner, rows, diagnostics)
    weights = {name: value.cpu().clone() for name, value in learner.model.state_dict().items()} if keep_weights else None
    return replace(outcome, metrics=outcome.metrics | found.values, curves=found.curves, weights=weights)


def _diagnose(learner: Learner, rows: list[EpochRow], names: tuple[str, ...]) -> Findings:
    with learner.place.session(learner.seed("global", 0)):
        return diagnosis.diagnose(names, learner, [row.metrics for row in rows])


def _begin(config: TrialConfig, source: Source, place: Device,
           slot: CheckpointSlot | None) -> tuple[Learner, list[EpochRow]]:
    """A learner, and the rows of the epochs it has behind it."""
    learner = Learner(config, source, place)
    state = slot.load() if slot is not None else None
    if slot is None or state is None:
        return learner, []
    try:
        rows = [EpochRow(**row) for row in state["rows"]]
        learner.load(state["learner"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # written by another version of this code
        slot.notes.append(f"checkpoint does not fit, starting over: {error}")
        return Learner(config, source, place), []
    return learner, rows


def _state(learner: Learner, rows: list[EpochRow]) -> dict[str, Any]:
    return {"learner": learner.state(), "rows": [asdict(row) for row in rows]}


def _run_epoch(learner: Learner, epoch: int, *, watch_test: bool) -> EpochRow:
    began = time.perf_counter()
    with learner.place.session(learner.seed("global", epoch)):
        trained_epoch = learner.train_epoch(epoch)
        learner.place.synchronize()
        trained = time.perf_counter()
        means = fetch({name: total / len(learner.split.train_index) for name, total in trained_epoch.sums.items()})
        metrics = {"train/loss": means["loss"], "train/excess_loss": means["loss"] - trained_epoch.floor}
        check_finite(metrics, epoch)
        metrics |= measure_epoch(learner, epoch)
        if watch_test:
            metrics["oracle/test_error"] = measure_test(learner)[0]["test/error"]
    check_finite(metrics, epoch)
    metrics |= {f"train/{name}": mean for name, mean in means.items() if name != "loss"}  # finite as their sum is, but not bounded
    ended = time.perf_counter()
    return EpochRow(epoch, metrics, ended - began, ended - trained, time.time())


def _finish(learner: Learner, rows: list[EpochRow]) -> Outcome:
    """The test set is read here and, unless memorisation is watched, nowhere else.

    `best/` is the first epoch of lowest validation error; `cost/` counts epochs and the final test, whoever ran them, but
    neither the set-up, nor diagnostics, nor the time a row was held by the caller.
    """
    began = time.perf_counter()
    with learner.place.session(learner.seed("global", 0)):
        metrics, predictions = measure_test(learner)
    check_finite(metrics, len(rows))
    test_seconds = time.perf_counter() - began
    seconds = sum(row.seconds for row in rows) + test_seconds
    best = min(rows, key=lambda row: row.metrics["val/error"])
    metrics |= {"best/val_error": best.metrics["val/error"], "best/epoch": float(best.epoch),
                "cost/seconds": seconds, "cost/epochs": float(len(rows)),
                "cost/eval_share": (sum(row.eval_seconds for row in rows) + test_seconds) / seconds,
                "noise/realised": learner.split.realised_noise}
    last = rows[-1].metrics
    metrics |= {name: last[name] for name in ("train_real/error", "train_corrupt/error") if name in last}
    return Outcome(metrics, count_parameters(learner.model), predictions)
