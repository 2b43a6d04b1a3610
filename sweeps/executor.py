"""Ray Tune as the executor of a sweep: it is handed trials, its results are recorded, and it keeps nothing of its own.

Owns the adapters between Tune's loop and a Sweep, the signals, and what Tune is told. Tune's memory (snapshots, restore) is
not used: the ledger is the memory. No exception leaves an adapter, since Tune would end the run and drop what it was doing;
the first one stops the sweep, and is raised after it.
"""

import json
import re
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import fsspec
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweeps.attempt import MAX_TEXT, Place, Runner
from sweeps.cluster import Room, connected, room
from sweeps.records import Report
from sweeps.storage import checkpoint_path
from sweeps.sweep import Sweep
from sweeps.worker import REPORT, RUN_TRIAL, Order, Worker
from trainable.errors import InfrastructureError

if TYPE_CHECKING:
    from trainable.data import Source

COMPLETE, STOPPED = "complete", "interrupted"
DRAIN_SECONDS = 20.0
"""How long a stopping sweep waits for each trial's next report, which keeps the epoch at work, before it cuts them off."""
MAX_DROPPED = 64
"""How many pruned trials a worker is told of: it can have held only one that was pruned since it was given its present one."""


def execute(sweep: Sweep, source: "Source", place: Place, *, address: str | None = None,
            runner: Runner | str = RUN_TRIAL) -> str:
    """Run what is left of a sweep, on the cluster at `address` or on this machine: "complete" or "interrupted".

    The first SIGINT or SIGTERM stops it: trials keep a checkpoint and are interrupted in the ledger. The second raises
    KeyboardInterrupt at once. Raises InfrastructureError where Ray is not there or has no room, or no worker starts.
    """
    if sweep.done:
        return COMPLETE
    with connected(address, data_bytes(source)) as nodes:
        space = room(sweep.study.compute, nodes)
        session = Session(sweep, space.num_workers)
        with signals(session), tempfile.TemporaryDirectory(prefix="mixup-sweeps-", ignore_cleanup_errors=True) as scratch:
            tuner = make_tuner(session, source, replace(place, device="cuda" if space.gpus else "cpu"), space, runner, scratch)
            with suppress(Finished):
                tuner.fit()
    sweep.close()
    tidy(place, sweep.unfinished)
    if session.error:
        raise session.error
    return COMPLETE if sweep.complete else STOPPED


class Finished(Exception):
    """Nothing is left to run. The one exception that leaves an adapter: Tune's own way to end first describes every trial it
    ever ran on the disk, which costs more with each of them and is read by nobody. Workers are stopped either way."""


class Session:
    """What the adapters share during one run: which Tune trial runs which of ours, and why the run should end.

    `error` is the first thing that went wrong in an adapter.
    """

    def __init__(self, sweep: Sweep, num_workers: int) -> None:
        self.sweep, self.num_workers = sweep, num_workers
        self.error: BaseException | None = None
        self.drain_until = float("inf")
        self._keys: dict[str, str] = {}
        self._dropped: deque[str] = deque(maxlen=MAX_DROPPED)
        self._num_reports = self._num_lost = 0

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Tune pickles all it is given, for a restore that never comes."""
        return object, ()

    def stop(self) -> None:
        """Stop dispatching; what runs is cut off if it has not reported in time."""
        self.sweep.stop()
        self.drain_until = min(self.drain_until, time.monotonic() + DRAIN_SECONDS)

    def fail(self, error: BaseException) -> None:
        """End the run as soon as Tune lets us, and raise this afterwards."""
        self.error = self.error or error
        self.sweep.stop()
        self.drain_until = 0.0

    @property
    def over(self) -> bool:
        """Whether trials still running are to be cut off now."""
        if self.sweep.stopping and self.drain_until == float("inf"):  # somebody else stopped the sweep
            self.stop()
        return self.sweep.stopping and time.monotonic() >= self.drain_until

    def dispatch(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial in Tune's terms, or None where nothing is ready. Raises Finished where nothing will be."""
        spec = None if self.error else self.sweep.next_trial()
        if spec is None:
            if self.error or self.sweep.done:
                raise Finished
            return None
        self._keys[trial_id] = spec.key
        order = Order(spec=spec, rungs=self.sweep.rungs(spec), dropped=tuple(self._dropped))
        return {"order": order.to_json()}

    def record(self, trial_id: str, report: Report) -> bool:
        self._num_reports += 1
        stop = self.sweep.record(report)
        if stop:
            self._keys.pop(trial_id, None)
            if report.end is None and not self.sweep.stopping:
                self._dropped.append(report.key)
        return stop

    def lost(self, trial_id: str, text: str) -> None:
        """The worker of a trial is gone. Where none ever reported, something is wrong with all of them."""
        key = self._keys.pop(trial_id, None)
        if key is None:
            return
        self._num_lost += 1
        self.sweep.lost(key, text)
        if not self._num_reports and self._num_lost >= 2 * self.num_workers + 1:
            self.fail(InfrastructureError(f"no worker could begin a trial: {text.splitlines()[-1]}"))


class Asking(Searcher):
    """Tune asks for a trial."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        try:
            return self._session.dispatch(trial_id)
        except Finished:
            raise
        except Exception as error:
            self._session.fail(error)
            return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `Recording` has seen the result, `Losing` sees the failure."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune."""


class Recording(tune.Stopper):
    """Tune has a result: commit it, and say whether the trial must stop. Also says whether all must."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        try:
            return self._session.record(trial_id, Report.from_dict(json.loads(result.pop(REPORT))))
        except Exception as error:
            self._session.fail(error)
            return True

    def stop_all(self) -> bool:
        return self._session.over


class Losing(FIFOScheduler):
    """Tune has lost the worker of a trial. Otherwise a scheduler that decides nothing.

    A callback would do for that, but with any callback Tune imports MLflow to count it.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        try:
            self._session.lost(trial.trial_id, _last_words(Path(trial.error_file)))
        except Exception as error:
            self._session.fail(error)

    def choose_trial_to_run(self, tune_controller: Any) -> None:  # noqa: ARG002
        """None, so that Tune takes trials in order. Its own choice is the oldest pending one, which waits for a worker
        that still starts: given the worker that just got free, it has the starting one killed and asked for anew, and with
        trials shorter than a start that goes on for ever, on one worker."""


def make_tuner(session: Session, source: "Source", place: Place, space: Room, runner: Runner | str, scratch: str) -> tune.Tuner:
    """Tune, told to keep workers warm and everything else to itself. `scratch` is a folder for files nobody reads."""
    worker = tune.with_parameters(Worker, source=source, place=place, num_threads=space.num_threads, runner=runner)
    return tune.Tuner(
        tune.with_resources(worker, {"cpu": space.cpus, "gpu": space.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=Asking(session), scheduler=Losing(session), reuse_actors=True, num_samples=-1,
            max_concurrent_trials=space.num_workers,
            trial_name_creator=lambda trial: trial.trial_id, trial_dirname_creator=lambda trial: trial.trial_id),
        run_config=tune.RunConfig(
            name="sweep", storage_path=scratch, stop=Recording(session), verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False)))


def _last_words(path: Path) -> str:
    """What Ray says of a lost worker, as plain text; the last line is the error itself where there is one."""
    if not path.exists():
        return "its worker is gone"
    lines = re.sub(r"\x1b\[[0-9;]*m", "", path.read_text(errors="replace")).strip().splitlines()
    return "\n".join(lines[1:] or lines)[-MAX_TEXT:]


def tidy(place: Place, unfinished: set[str]) -> None:
    """Remove checkpoints that nobody will go on from: of trials pruned, or finished by a worker that was then lost."""
    filesystem, folder = fsspec.url_to_fs(f"{place.storage}/{checkpoint_path(place.study, '')}")
    with suppress(OSError):  # they only take room
        for path in filesystem.ls(folder, detail=False):
            if path.rstrip("/").rpartition("/")[2] not in unfinished:
                filesystem.rm(path, recursive=True)


@contextmanager
def signals(session: Session) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops the sweep in order, the second raises KeyboardInterrupt at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if session.sweep.stopping:
            raise KeyboardInterrupt
        session.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def data_bytes(source: "Source") -> int:
    """About how much of the object store the data takes."""
    return sum(value.nbytes for value in vars(source).values() if hasattr(value, "nbytes"))
