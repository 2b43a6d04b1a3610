"""A sweep of our own for a benchmark: everything real, in a folder that is thrown away."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweeps.attempt import Place
from sweeps.executor import execute
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import AttemptRecord, TrialRecord
from sweeps.run import begun, driving, opened, prepared
from sweeps.study import Study
from sweeps.tracking import Tracker
from sweeps.worker import RUN_TRIAL


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a sweep left: trials, attempts, seconds of (all, evaluation) per trial key, and when it began and had caught up."""

    trials: list[TrialRecord]
    attempts: list[AttemptRecord]
    seconds: dict[str, tuple[float, float]]
    first_dispatch: float
    first_start: float
    last_result: float
    tracked_at: float


@contextmanager
def scratch() -> Iterator[Home]:
    """A home of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mixup-bench-") as folder:
        yield Home.resolve(environ={"SWEEP_HOME": folder})


def sweep(study: Study, home: Home, runner: str = RUN_TRIAL, warm_up_seconds: float = 0.0) -> Ran:
    """Run a study with ledger and MLflow on. `warm_up_seconds` lets MLflow open first: its start is not a trial's cost."""
    source = prepared(study)
    home.root.mkdir(parents=True, exist_ok=True)
    with opened(home) as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
        with driving(ledger, record):
            sweeping = begun(study, ledger, record, source, home)
            tracker = Tracker(home.ledger, home.tracking_uri, study.name, home.artifacts)
            tracker.start()
            time.sleep(warm_up_seconds)
            execute(sweeping, source, Place(storage=home.storage, study=study.name), runner=runner)
            if not tracker.finish(timeout=300):
                raise RuntimeError(f"MLflow did not catch up: {tracker.last_error}")
            tracked_at = time.time()
        return _read(ledger, record.id, tracked_at)


def _read(ledger: Ledger, study_id: int, tracked_at: float) -> Ran:
    trials, attempts = ledger.trials(study_id), ledger.attempts(study_id)
    rows = ledger.rows(study_id)
    seconds = {trial.key: (trial.metrics.get("cost/seconds", sum(row.seconds for row in rows.get(trial.id, ()))),
                           trial.metrics["cost/eval_share"] * trial.metrics["cost/seconds"] if "cost/eval_share" in trial.metrics
                           else sum(row.eval_seconds for row in rows.get(trial.id, ()))) for trial in trials}
    return Ran(trials=trials, attempts=attempts, seconds=seconds, first_dispatch=min(one.created_at for one in trials),
               first_start=min(one.started_at for one in attempts),
               last_result=max(one.ended_at or 0.0 for one in attempts), tracked_at=tracked_at)


def written(folder: Path, text: str) -> Path:
    """A study file in this folder."""
    path = folder / "study.yaml"
    path.write_text(text)
    return path
