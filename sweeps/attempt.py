"""One try to run one trial: drives `run_trial`, cuts its rows into reports, and says how it ended.

Owns what happens in a worker process between two reports: the time slice, the class of a failure, the predictions and
the checkpoint in the storage. Knows no Ray and no ledger, so the same code runs in a worker and in a plain loop.
"""

import errno
import functools
import importlib.metadata
import json
import os
import platform
import socket
import time
import traceback
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeps.records import (
    CRASHED,
    DISK,
    DIVERGED,
    FAILED,
    FINISHED,
    MEASURE,
    OOM,
    TRANSFER,
    TRANSFER_REPLICATE,
    End,
    Report,
    Row,
    TrialSpec,
)
from sweeps.redaction import redact
from sweeps.storage import checkpoint_path, predictions_path, weights_path, write_array, write_whole
from trainable.config import TrialConfig
from trainable.data import Source
from trainable.errors import Diverged

if TYPE_CHECKING:
    from trainable.trial import EpochRow, Outcome

SLICE_SECONDS = 1.0
"""How long after the last report the next one is sent: a result costs the driver about 10 ms, however many rows it has."""
CHECKPOINT_SECONDS = 30.0
MAX_TEXT = 4000

Runner = Callable[..., "Generator[EpochRow, None, Outcome]"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where attempts run: the storage that all workers and the driver reach (a path or fsspec URL), the study, the device.

    `diagnostics` are the study's: see `extras`.
    """

    storage: str
    study: str
    device: str = "cpu"
    diagnostics: tuple[str, ...] = ()
    node: str = field(default_factory=socket.gethostname)
    slice_seconds: float = SLICE_SECONDS
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the driver gives a worker: a trial, the epochs at which it must report, and which trials are never to be continued."""

    spec: TrialSpec
    rungs: tuple[int, ...]
    dropped: tuple[str, ...]

    def to_json(self) -> str:
        return json.dumps({"spec": vars(self.spec), "rungs": self.rungs, "dropped": self.dropped})

    @classmethod
    def from_json(cls, text: str) -> "Order":
        values = json.loads(text)
        return cls(spec=TrialSpec(**values["spec"]), rungs=tuple(values["rungs"]), dropped=tuple(values["dropped"]))


class Attempt:
    """A trial being run. `report` trains until the next report is due; `close` ends the try.

    `runner` is trainable.trial.run_trial, or a stand-in with its signature. `rungs` are epochs that end a slice, because
    the driver may prune there.
    """

    def __init__(self, spec: TrialSpec, source: Source, place: Place, rungs: tuple[int, ...], runner: Runner) -> None:
        from trainable.checkpoint import CheckpointSlot

        self._spec, self._source, self._place, self._rungs, self._runner = spec, source, place, frozenset(rungs), runner
        url = f"{place.storage}/{checkpoint_path(place.study, spec.key)}"
        self._slot = CheckpointSlot(url, spec.key, place.checkpoint_seconds)
        self._token, self._started_at = uuid.uuid4().hex, time.time()
        self._rows = self._run()
        self._ended = False
        self._notes: list[str] = []

    def report(self) -> Report:
        """Train on until a slice of time has passed, a rung is reached or the trial ends, and say what happened.

        What the trial raises becomes its end, FAILED with a class; nothing is raised but what stops the process.
        """
        rows: list[Row] = []
        due = time.monotonic() + self._place.slice_seconds
        while True:
            try:
                row = next(self._rows)
            except StopIteration as stop:
                return self._report(rows, stop.value)
            rows.append(Row(epoch=row.epoch, at=row.at, seconds=row.seconds, eval_seconds=row.eval_seconds,
                            metrics=row.metrics))
            if row.epoch < self._spec.config["epochs"] and (row.epoch in self._rungs or time.monotonic() >= due):
                return self._report(rows, None)

    def close(self, *, keep: bool) -> None:
        """End the try. An unfinished one leaves a checkpoint to go on from if `keep`, else nothing; a finished one nothing.

        To be called when the driver has committed the last report: until then a checkpoint is the way back.
        """
        if self._ended or not keep:
            self._slot.discard()
        self._rows.close()

    def _run(self) -> "Generator[EpochRow, None, End]":
        try:
            config = TrialConfig.from_dict(self._spec.config)
            asked = extras(self._spec, self._place)
            outcome = yield from self._runner(config, self._source, self._place.device, slot=self._slot, **asked)
            path = predictions_path(self._place.study, self._spec.key)
            digest = write_array(self._place.storage, path, outcome.predictions)
            if asked.get("keep_weights"):
                keep_weights(outcome.weights or {}, self._spec.key, self._place)
        except Exception as error:
            return failure(error)
        return End(state=FINISHED, metrics=outcome.metrics, num_parameters=outcome.num_parameters, predictions_path=path,
                   predictions_digest=digest, provenance=provenance(self._place.device),
                   findings=outcome.curves if asked else {})

    def _report(self, rows: list[Row], end: End | None) -> Report:
        # with memory or room the trial goes on: its checkpoint stays, until the driver tidies up
        self._ended = end is not None and end.failure_class not in (OOM, DISK)
        told, self._notes = self._notes, list(dict.fromkeys([*self._notes, *(redact(note) for note in self._slot.notes)]))
        return Report(key=self._spec.key, token=self._token, worker=f"{socket.gethostname()}:{os.getpid()}",
                      node=self._place.node, device=self._place.device, started_at=self._started_at, rows=tuple(rows), end=end,
                      notes=tuple(self._notes[len(told):]))


def extras(spec: TrialSpec, place: Place) -> dict[str, Any]:
    """What `run_trial` is asked for beyond training: diagnostics, and the weights of the trials that attack each other.

    Nothing in the search stage: its trials are many and pruned.
    """
    if spec.stage != MEASURE or not place.diagnostics:
        return {}
    attacks = TRANSFER in place.diagnostics and spec.replicate == TRANSFER_REPLICATE
    own = tuple(name for name in place.diagnostics if name != TRANSFER)
    return {"diagnostics": own, "keep_weights": attacks} if own or attacks else {}


def keep_weights(weights: dict[str, Any], key: str, place: Place) -> None:
    """Weights in the storage, with their digest, in the form of a checkpoint. Raises OSError."""
    from trainable.checkpoint import dumps
    write_whole(f"{place.storage}/{weights_path(place.study, key)}", dumps(weights, key))


def failure(error: Exception) -> End:
    """How a trial that raised `error` ended: its class, and the text to find the cause by."""
    if isinstance(error, Diverged):
        return End(state=FAILED, failure_class=DIVERGED, failure_text=str(error))
    text = "".join(traceback.format_exception(error))
    return End(state=FAILED, failure_class=_class_of(error), failure_text=text[-MAX_TEXT:])


def _class_of(error: Exception) -> str:
    # torch.OutOfMemoryError is known by its name: asking torch would import it where no trial needs it
    if isinstance(error, MemoryError) or any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__):
        return OOM
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK
    return CRASHED


@functools.cache
def provenance(device: str) -> dict[str, Any]:
    """What a number needs beside it to be a result: library versions and the machine."""
    libraries = ("torch", "torchvision", "numpy", "mixup-sweeps")
    return {"python": platform.python_version(), "machine": platform.machine(), "device": device,
            **{name: importlib.metadata.version(name) for name in libraries}}
