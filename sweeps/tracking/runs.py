"""The runs of one sweep in MLflow: the parent run and one run a trial, each created once and found again by its tag.

Owns which run belongs to which trial, and the cursor kept on the parent run. Knows neither the ledger nor when to send.
"""

import getpass
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sweeps.records import RUNNING
from sweeps.tracking.content import CURSOR, FINDINGS_FILE, PARENT, STATUS, SWEEP_ID, TRIAL_KEY, Point, Sweep
from sweeps.tracking.store import MlflowStore, Run, is_deleted


class MlflowRuns:
    """The parent run and the trials' runs. Its methods raise what `MlflowStore` raises; after Gone, `open` again."""

    def __init__(self, uri: str, warn: Callable[[str], None]) -> None:
        self._store = MlflowStore(uri, warn)
        self._run_ids: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._parent_id = ""
        self._tables: dict[str, None] = {}

    def open(self, sweep: Sweep) -> int:
        """Find or create the experiment and the parent run, and learn which trials have runs; the cursor kept there."""
        self._sweep = sweep
        self._store.open(sweep.study, f"{sweep.artifacts}/{quote(sweep.study)}" if sweep.artifacts else None)
        found: dict[str, list[Run]] = {}
        for run in self._store.search(f"tags.`{SWEEP_ID}` = '{sweep.id}'"):
            found.setdefault(run.data.tags.get(TRIAL_KEY, ""), []).append(run)
        parents = found.pop("", [])
        kept = {key: self._store.keep_one(runs) for key, runs in found.items()}
        for run in kept.values():
            if is_deleted(run):
                self._store.restore(run.info.run_id)
        self._run_ids = {key: run.info.run_id for key, run in kept.items()}
        parent = self._store.keep_one(parents) if parents else self._create_parent()
        self._parent_id = parent.info.run_id
        if is_deleted(parent):
            self._store.restore(self._parent_id)
        if parent.info.status != STATUS[RUNNING]:
            self._store.set_status(self._parent_id, STATUS[RUNNING], None)
        return int(parent.data.tags.get(CURSOR, "0"))

    def has(self, key: str) -> bool:
        """Whether the trial has a run."""
        return key in self._run_ids

    def create(self, key: str, name: str, started_at_ms: int, tags: Mapping[str, str]) -> None:
        """The trial's run. It is looked for first when an earlier try failed, since that one may have arrived."""
        in_doubt = key in self._doubtful
        runs = self._runs_of(key) if in_doubt else []
        if not runs:
            self._doubtful.add(key)
            own = {**_SOURCE, **tags, SWEEP_ID: self._sweep.id, PARENT: self._parent_id}
            runs = [self._store.create_run(name, started_at_ms, own)]
        if not in_doubt:  # else the one given up may still arrive: looked at again when the trial has ended
            self._doubtful.discard(key)
        self._run_ids[key] = self._store.keep_one(runs).info.run_id

    def write(self, key: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Metrics, params and tags of a trial; see MlflowStore.write."""
        self._store.write(self._run_ids[key], points, params, {**tags, PARENT: self._parent_id} if tags else tags)

    def add_data(self, key: str, name: str, digest: str) -> None:
        """The dataset a trial was run on."""
        self._store.add_data(self._run_ids[key], name, digest)

    def put_findings(self, key: str, found: Mapping[str, Any]) -> None:
        """What a trial's diagnostics found, as an artifact of its run, in place of the one that is there."""
        self._store.put_json(self._run_ids[key], FINDINGS_FILE, found)

    def set_status(self, key: str, status: str, ended_at_ms: int | None) -> None:
        """MLflow's status of the trial's run; with `ended_at_ms` it has ended."""
        self._store.set_status(self._run_ids[key], status, ended_at_ms)
        if ended_at_ms is not None and key in self._doubtful:
            self._run_ids[key] = self._store.keep_one(self._runs_of(key)).info.run_id
            self._doubtful.discard(key)

    def save_cursor(self, revision: int) -> None:
        """Remember on the parent run what has been sent."""
        self.write_parent([], {CURSOR: str(revision)})

    def write_parent(self, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Metrics and tags of the sweep itself."""
        self._store.write(self._parent_id, points, {}, tags)

    def set_parent_status(self, status: str, ended_at_ms: int | None) -> None:
        """MLflow's status of the sweep itself."""
        self._store.set_status(self._parent_id, status, ended_at_ms)

    def parent_metrics(self) -> dict[str, float]:
        """The newest value of each metric of the sweep itself."""
        return dict(self._store.client.get_run(self._parent_id).data.metrics)

    def put_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """A table that the UI shows and `mlflow.load_table` reads, in place of the one of that name.

        MlflowClient.log_table appends to a table that is there, so that a second `sync` would double every row.
        """
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        self._store.client.log_dict(self._parent_id, {"columns": list(columns), "data": rows}, name)
        self._tables[name] = None
        self.write_parent([], {"mlflow.loggedArtifacts": json.dumps([{"path": path, "type": "table"} for path in self._tables])})

    def put_file(self, path: str, folder: str | None) -> None:
        """A file among the sweep's artifacts, in place of the one of that name."""
        self._store.client.log_artifact(self._parent_id, path, folder)

    def _create_parent(self) -> Run:
        tags = {**_SOURCE, **self._sweep.tags, SWEEP_ID: self._sweep.id, CURSOR: "0"}
        return self._store.create_run(self._sweep.study, self._sweep.started_at_ms, tags)

    def _runs_of(self, key: str) -> list[Run]:
        return list(self._store.search(f"tags.`{SWEEP_ID}` = '{self._sweep.id}' and tags.`{TRIAL_KEY}` = '{key}'"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


_SOURCE = {"mlflow.user": _user(), "mlflow.source.name": "mixup-sweep", "mlflow.source.type": "LOCAL"}
