"""Ray Tune as the executor of a sweep: it is handed trials, its results are recorded, and it keeps nothing of its own.

Owns the adapters between Tune's loop and a Sweep, the signals, and what Tune is told. Tune's memory (snapshots, restore) is
not used: the ledger is the memory. No exception leaves an adapter, since Tune would end the run and drop what it was doing;
the first one stops the sweep, and is raised after it.
"""

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweeps.attempt import MAX_TEXT, Place, Runner
from sweeps.cluster import Room, connected, head_address, head_answers, nodes, room
from sweeps.records import Report
from sweeps.session import Finished, Session, signals
from sweeps.storage import checkpoint_path
from sweeps.sweep import Sweep
from sweeps.watch import Guard, Watch
from sweeps.worker import ORDER, REPORT, RUN_TRIAL, Worker
from trainable.errors import InfrastructureError, LedgerError

if TYPE_CHECKING:
    from trainable.data import Source

COMPLETE, STOPPED = "complete", "interrupted"


def execute(sweep: Sweep, source: "Source", place: Place, *, address: str | None = None,
            runner: Runner | str = RUN_TRIAL, give_up: Callable[[str], None] = lambda _why: None) -> str:
    """Run what is left of a sweep, on the cluster at `address` or on this machine: "complete" or "interrupted".

    The first SIGINT or SIGTERM stops it: trials keep a checkpoint and are interrupted in the ledger. The second raises
    Forced at once. Raises InfrastructureError where Ray is not there or has no room, no worker starts, or every machine is gone
    for too long. `give_up` is called, with the reason, where the head is gone and Ray hangs instead of letting us go.
    """
    if sweep.done:
        return COMPLETE if sweep.complete else STOPPED
    if not ray.is_initialized():
        sweep.voice("Ray starts, which takes some seconds")
    with connected(address, data_bytes(source)) as found:
        space = room(sweep.study.compute, found)
        session = Session(sweep, space.num_workers)
        unread = tempfile.TemporaryDirectory(prefix="mixup-sweeps-", ignore_cleanup_errors=True)
        with signals(session), Guard(watch_for(session, space), give_up, ray.is_initialized), unread as scratch:
            tuner = make_tuner(session, source, replace(place, device="cuda" if space.gpus else "cpu"), space, runner, scratch)
            try:
                tuner.fit()
            except Finished:
                pass
            except (TuneError, RayError) as error:
                session.fail(InfrastructureError(f"Ray ended the run: {error}"))
    if session.error:
        with suppress(LedgerError):  # a ledger that cannot be written is why; the next start interrupts what it left running
            sweep.close()
        raise session.error
    sweep.close()
    tidy(place, sweep.unfinished)  # not after an error: a driver that lost its study would remove what its successor goes on from
    return COMPLETE if sweep.complete else STOPPED


class Asking(Searcher):
    """Tune asks for a trial."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        try:
            order = self._session.dispatch(trial_id)
            return {ORDER: order.to_json()} if order else None
        except Finished:
            raise
        except Exception as error:
            self._session.fail(error)
            return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `Recording` has seen the result, `Watching` sees the failure."""

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


class Watching(FIFOScheduler):
    """Tune has lost the worker of a trial, or a trial hangs. Otherwise a scheduler that decides nothing.

    A callback would do for that, but with any callback Tune imports MLflow to count it.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._live: dict[str, Any] = {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._live[trial.trial_id] = trial

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._live.pop(trial.trial_id, None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ARG002
        self._live.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        self._live.pop(trial.trial_id, None)
        try:
            self._session.lost(trial.trial_id, _last_words(Path(trial.error_file)))
        except Exception as error:
            self._session.fail(error)

    def choose_trial_to_run(self, tune_controller: Any) -> None:  # noqa: ARG002
        """None, so that Tune takes trials in order. Asked at every turn of its loop: here hanging trials are found. The worker of
        one is killed, and with it what it has started.

        Tune's own choice is the oldest pending trial, which waits for a worker that still starts: given the worker that just got
        free, it has the starting one killed and asked for anew, and with trials shorter than a start that goes on for ever, on
        one worker.
        """
        try:
            for trial in self._live.values():
                worker = trial.temporary_state.ray_actor
                if worker is None or trial.status != trial.RUNNING:
                    continue
                if self._session.is_hung(trial.trial_id):
                    ray.kill(worker)
                elif self._session.is_to_be_probed(trial.trial_id):
                    worker.__ray_ready__.remote()
        except Exception as error:
            self._session.fail(error)


def make_tuner(session: Session, source: "Source", place: Place, space: Room, runner: Runner | str, scratch: str) -> tune.Tuner:
    """Tune, told to keep workers warm and everything else to itself. `scratch` is a folder for files nobody reads."""
    worker = tune.with_parameters(Worker, source=source, place=place, num_threads=space.num_threads, runner=runner)
    return tune.Tuner(
        tune.with_resources(worker, {"cpu": space.cpus, "gpu": space.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=Asking(session), scheduler=Watching(session), reuse_actors=True, num_samples=-1,
            max_concurrent_trials=space.num_workers,
            trial_name_creator=lambda trial: trial.trial_id, trial_dirname_creator=lambda trial: trial.trial_id),
        run_config=tune.RunConfig(
            name="sweep", storage_path=scratch, stop=Recording(session), verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False)))


def watch_for(session: Session, space: Room) -> Watch:
    """Keeps an eye on the cluster while the session runs."""
    head = head_address()

    def num_fitting() -> int | None:
        try:
            return sum(node.fits(space.cpus, space.gpus) for node in nodes())
        except (RayError, RuntimeError, OSError):  # RuntimeError: Ray has just been left
            return None

    return Watch(lambda: head_answers(head), num_fitting, say=session.sweep.voice, fail=session.fail,
                 no_machine_seconds=session.sweep.study.compute.no_machine_seconds)


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


def data_bytes(source: "Source") -> int:
    """About how much of the object store the data takes."""
    return sum(value.nbytes for value in vars(source).values() if hasattr(value, "nbytes"))
