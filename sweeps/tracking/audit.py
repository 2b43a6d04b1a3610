"""What MLflow holds of a sweep, read back as plain values, and taking a run out of it that does not belong.

Owns how it is read. Creates and restores nothing while it looks, so that what it says is what was there. Imports mlflow
only when asked, which takes seconds.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.tracking.content import CURSOR, SWEEP_ID, TRIAL_KEY, Point
from sweeps.tracking.faults import explain, hide_secrets
from trainable.errors import InfrastructureError, MixupSweepError

WITHDRAWN = "sweep.withdrawn"
"""The tag of a run that was taken out of its sweep: the id of that sweep, and the trial's key."""
CALLS_AT_ONCE = 8
"""To a server; a database is asked by one thread."""
_STUDY_TAG = "sweep.study"
_RUNS_PER_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """An active run of a sweep. `key` is its trial's; '' for the sweep's own, the parent."""

    run_id: str
    key: str
    status: str
    ended_at_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: frozenset[Point]


def stored_runs(uri: str, study: str, sweep_id: str) -> list[StoredRun]:
    """The active runs of a sweep with all their metrics; none where there is no experiment, or a deleted one.

    InfrastructureError, in words and without credentials, where MLflow cannot be read.
    """
    if _is_absent(uri):
        return []
    with _speaking_to(uri) as client:
        experiment = _experiment(client, study)
        if experiment is None:
            return []
        found = list(_search(client, experiment, f"tags.`{SWEEP_ID}` = '{sweep_id}'"))
        num_threads = CALLS_AT_ONCE if uri.startswith(("http:", "https:", "databricks")) else 1
        with ThreadPoolExecutor(num_threads) as pool:
            points = pool.map(lambda run: _points(client, run), found)
            return [_plain(run, each) for run, each in zip(found, points, strict=True)]


def withdraw(uri: str, runs: list[StoredRun]) -> None:
    """Take these runs out of their sweep and delete them: MLflow keeps deleted runs, where a person can restore them."""
    with _speaking_to(uri) as client:
        for run in runs:
            client.set_tag(run.run_id, WITHDRAWN, f"{run.tags.get(SWEEP_ID, '')} {run.key}")
            client.delete_tag(run.run_id, SWEEP_ID)
            client.delete_run(run.run_id)


def forget_cursor(uri: str, runs: list[StoredRun]) -> None:
    """Let the next sender begin from nothing. A re-send changes nothing that is right."""
    with _speaking_to(uri) as client:
        for run in runs:
            if not run.key:
                client.set_tag(run.run_id, CURSOR, "0")


@contextmanager
def _speaking_to(uri: str) -> Iterator[Any]:
    """MLflow's client, in the environment that the sender has too. Whatever goes wrong becomes an InfrastructureError."""
    from sweeps.tracking import check, environment
    check(uri)
    wanted = environment()
    before = {name: os.environ.get(name) for name in wanted if os.environ.get(name) != wanted[name]}
    os.environ.update(wanted)
    try:
        from mlflow import MlflowClient
        yield MlflowClient(uri)
    except MixupSweepError:
        raise
    except Exception as error:
        raise InfrastructureError(hide_secrets(explain(error, uri).text)) from error
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _is_absent(uri: str) -> bool:
    """Whether the database file was never made: MLflow would make it, and a look leaves nothing behind."""
    path = Path(uri.removeprefix("sqlite:///").split("?")[0])
    return uri.startswith("sqlite:///") and (not path.exists() or path.stat().st_size == 0)


def _experiment(client: Any, study: str) -> str | None:
    """The id of the study's experiment, also where somebody renamed it."""
    from mlflow.entities import LifecycleStage
    found = client.get_experiment_by_name(study)
    if found is None:
        renamed = client.search_experiments(filter_string=f"tags.`{_STUDY_TAG}` = '{study.replace(chr(39), '')}'")
        found = renamed[0] if renamed else None
    return found.experiment_id if found is not None and found.lifecycle_stage == LifecycleStage.ACTIVE else None


def _search(client: Any, experiment: str, where: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], where, max_results=_RUNS_PER_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _points(client: Any, run: Any) -> frozenset[Point]:
    return frozenset(Point(name, point.value, point.timestamp, point.step) for name in run.data.metrics
                     for point in client.get_metric_history(run.info.run_id, name))


def _plain(run: Any, points: frozenset[Point]) -> StoredRun:
    return StoredRun(run_id=run.info.run_id, key=run.data.tags.get(TRIAL_KEY, ""), status=run.info.status,
                     ended_at_ms=run.info.end_time, params=dict(run.data.params), tags=dict(run.data.tags), points=points)
