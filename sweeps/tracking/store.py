"""One experiment in one MLflow: searching, creating and writing runs, and mending what somebody deleted there.

Owns MLflow's answers: deleted, gone for good, refused, a param that has another value. The only file that imports
mlflow. Knows no trial and no ledger.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LifecycleStage, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

from sweeps.tracking.content import CURSOR, Point
from sweeps.tracking.faults import INVALID, MISSING, Gone, Refused, error_code
from trainable.errors import InfrastructureError

STUDY_TAG = "sweep.study"
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens such an experiment on its runs
_RUNS_PER_PAGE = 500


class MlflowStore:
    """An experiment and its runs. `warn` is told what a person should know.

    Every method may raise what MLflow raises when it does not answer: the caller tries again later. Gone says that the
    experiment or a run must be looked up anew, Refused that this call will never be taken.
    """

    def __init__(self, uri: str, warn: Callable[[str], None]) -> None:
        _prepare_sqlite(uri)
        self.client = MlflowClient(uri)
        self._warn = warn
        self._experiment_id = self._name = ""
        self._takes_data = True

    def open(self, name: str, artifacts: str | None) -> None:
        """Find the experiment, also renamed or deleted, or create it with its artifacts under `artifacts`."""
        self._name = name
        tags = {**_EXPERIMENT_TAGS, STUDY_TAG: name}
        self._experiment_id = self._find_experiment() or _said(self.client.create_experiment(name, artifacts, tags))

    def search(self, where: str) -> Iterator[Run]:
        """The experiment's runs for which this MLflow filter holds, deleted ones among them.

        No runs is what an answer cut off in its head looks like too, so that is asked for twice.
        """
        token = None
        while True:
            ask = partial(self.client.search_runs, [self._experiment_id], where, ViewType.ALL, _RUNS_PER_PAGE,
                          page_token=token)
            page = ask() or ask()
            yield from page
            token = page.token
            if not token:
                return

    def create_run(self, name: str, started_at_ms: int, tags: Mapping[str, str]) -> Run:
        """A new run. After any error it may be there all the same: search before the next try."""
        try:
            run = self.client.create_run(self._experiment_id, started_at_ms, dict(tags), name)
            _said(run.info.run_id)
            return run
        except MlflowException as error:
            if error_code(error) in (MISSING, INVALID) and self._experiment_deleted():
                raise self._experiment_gone() from error
            raise

    def keep_one(self, runs: list[Run]) -> Run:
        """The run that stays: an active one before a deleted one, the furthest, the fullest. The others are deleted."""
        runs = sorted(runs, key=lambda run: (is_deleted(run), -int(run.data.tags.get(CURSOR, "0")),
                                             -len(run.data.metrics) - len(run.data.params), run.info.run_id))
        for run in runs[1:]:
            if not is_deleted(run):
                self.client.delete_run(run.info.run_id)
        return runs[0]

    def write(self, run_id: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Metrics, params and tags in as few calls as MLflow allows. Writing the same again changes nothing.

        A param that has another value already stays, and ours becomes the tag `sweep.param.<name>`.
        """
        metrics = [Metric(*point) for point in points]
        listed_params, listed_tags = [Param(*pair) for pair in params.items()], [RunTag(*pair) for pair in tags.items()]
        try:
            self.on_run(run_id, lambda: self.client.log_batch(run_id, metrics, listed_params, listed_tags))
        except Refused:
            taken = self.client.get_run(run_id).data.params
            ours = {name: value for name, value in params.items() if taken.get(name, value) != value}
            if not ours:
                raise
            self._warn("MLflow has a param with another value already: it stays, ours is the tag sweep.param.<name>")
            rest = {name: value for name, value in params.items() if name not in ours}
            self.write(run_id, points, rest, {**tags, **{f"sweep.param.{name}": value for name, value in ours.items()}})

    def set_status(self, run_id: str, status: str, ended_at_ms: int | None) -> None:
        """MLflow's status of a run; with `ended_at_ms` it has ended."""
        if ended_at_ms is None:
            self.on_run(run_id, lambda: self.client.update_run(run_id, status=status))
        else:
            self.on_run(run_id, lambda: self.client.set_terminated(run_id, status, ended_at_ms))

    def add_data(self, run_id: str, name: str, digest: str) -> None:
        """The dataset of a run, as MLflow's dataset input. A server too old for it is not asked twice."""
        if not self._takes_data:
            return
        source = json.dumps({"tags": {"mlflow.source.name": f"trainable.data:{name}"}})
        data = Dataset(name=name, digest=digest, source_type="code", source=source)
        inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
        try:
            self.on_run(run_id, lambda: self.client.log_inputs(run_id, inputs))
        except MlflowException as error:
            if error_code(error) not in ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"):
                raise
            self._takes_data = False
            self._warn("this MLflow does not take dataset inputs: runs are shown without their data")

    def put_json(self, run_id: str, name: str, content: Mapping[str, Any]) -> None:
        """An artifact of a run, in place of the one of that name. Refused where this user may not write artifacts."""
        try:
            self.on_run(run_id, lambda: self.client.log_dict(run_id, dict(content), name))
        except PermissionError as error:  # metrics are still taken: they do not wait for somebody to mend a folder
            raise Refused(f"artifact {name} cannot be written: {error.strerror}") from error

    def on_run(self, run_id: str, call: Callable[[], object]) -> None:
        """`call()`; a deleted run is restored for it. Gone when the run exists no more, Refused when MLflow says no."""
        try:
            call()
        except MlflowException as error:
            if error_code(error) == MISSING:
                raise Gone("runs of this sweep vanished from MLflow: made anew") from error
            if error_code(error) != INVALID:
                raise
            if not self.restore(run_id):
                raise Refused(f"MLflow does not take a value: {error}") from error
            call()

    def restore(self, run_id: str) -> bool:
        """Make a deleted run active again; False when it was active."""
        if self._experiment_deleted():
            raise self._experiment_gone()
        run = self.client.get_run(run_id)
        _said(run.info.run_id)
        if not is_deleted(run):
            return False
        self._warn("runs of this sweep were deleted in MLflow: restored")
        self.client.restore_run(run_id)
        return True

    def _find_experiment(self) -> str | None:
        found = self.client.get_experiment_by_name(self._name)
        if found is None:
            where = f"tags.`{STUDY_TAG}` = '{self._name.replace(chr(39), '')}'"
            renamed = self.client.search_experiments(ViewType.ALL, filter_string=where)
            if not renamed:
                return None
            found = renamed[0]
            self._warn(f"experiment {self._name!r} is called {found.name!r} in MLflow now: its runs go there")
        if found.lifecycle_stage == LifecycleStage.DELETED:
            if not self._experiment_id:  # else it was told as Gone
                self._warn(f"experiment {found.name!r} was deleted in MLflow: restored")
            self.client.restore_experiment(found.experiment_id)
        return _said(found.experiment_id)

    def _experiment_deleted(self) -> bool:
        try:
            found = self.client.get_experiment(self._experiment_id)
        except MlflowException as error:
            if error_code(error) != MISSING:
                raise
            return True
        return bool(found.lifecycle_stage == LifecycleStage.DELETED)

    def _experiment_gone(self) -> Gone:
        return Gone(f"experiment {self._name!r} was deleted in MLflow while the sweep went on: brought back")


def _said(identity: str | None) -> str:
    """The id MLflow gave. Its client takes an answer that was cut off in its head for an empty success."""
    if not identity:
        raise InfrastructureError("MLflow's answer was cut off")
    return str(identity)


def is_deleted(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == LifecycleStage.DELETED)


def _prepare_sqlite(uri: str) -> None:
    """Begin a SQLite store in WAL mode: the UI reads while we write, a commit is one fsync (54 to 40 ms a trial)"""
    path = Path(uri.removeprefix("sqlite:///").split("?")[0])
    if uri.startswith("sqlite:///") and path.name and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
