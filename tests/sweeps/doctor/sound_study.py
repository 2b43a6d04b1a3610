"""A whole study in a home of its own, and everything of it in an MLflow store: what nothing is wrong with."""

import math
import os
import socket
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FINISHED, INTERRUPTED
from sweeps.study import Measure, Study
from sweeps.sweep import Sweep, run_locally
from sweeps.tracking import environment
from sweeps.tracking.projection import Projection
from sweeps.tracking.summary import Summary
from tests.sweeps.small_study import make_data, make_study, runner
from trainable.errors import Diverged

NAME, DATA_DIGEST = "small", "0" * 16


def home_at(root: Path) -> Home:
    return Home.resolve(environ={"SWEEP_HOME": str(root)})


def some_fail(config: Any, source: Any, device: str, *, slot: Any) -> Generator[SimpleNamespace, None, SimpleNamespace]:
    """Trials of which one with a large alpha loses its loss at epoch 2, after numbers that no database keeps as they are."""
    rows = runner(config, source, device, slot=slot)
    first = next(rows)
    if config.alpha > 8:
        first.metrics |= {"train/loss": math.nan, "val/loss": math.inf}
    yield first
    if config.alpha > 8:
        raise Diverged("train loss is nan at epoch 2")
    return (yield from rows)


def asked() -> Study:
    """2 capacities x (8 searched + 2 alphas x 3 splits measured)."""
    return make_study(rule="asha", max_trials=8, measure=Measure(alphas=(0.0, 1.0), splits=3, seeds=1, at="best"))


def run_study(home: Home, num_trials: int | None = None) -> None:
    """The study to its end; or stopped, as by a person, while trial `num_trials` runs."""
    study = asked()
    with Ledger.open(home.ledger) as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
        ledger.acquire(record.id, socket.gethostname(), os.getpid(), time.time())
        ledger.set_study(record.id, data_digest=DATA_DIGEST, complete=False)
        sweep = Sweep(study, ledger, record, Brain(study), DATA_DIGEST)
        keys: set[str] = set()

        def count(trial: Any) -> None:
            keys.add(trial.key)
            if num_trials is not None and len(keys) >= num_trials:
                sweep.stop()

        sweep.observers.append(count)
        slice_seconds = 1.0 if num_trials is None else 0.0
        place = Place(storage=home.storage, study=study.name, slice_seconds=slice_seconds)
        run_locally(sweep, make_data(), place, some_fail)
        ledger.set_study(record.id, complete=sweep.complete)


def send(home: Home) -> None:
    """Everything to MLflow, in this process, as the sender does it."""
    from sweeps.tracking.runs import MlflowRuns
    os.environ.update(environment())
    with Ledger.open(home.ledger, read_only=True) as ledger:
        study = ledger.study(NAME)
        assert study
        projection = Projection(ledger, NAME, home.artifacts.absolute().as_uri(), print)
        projection.open(MlflowRuns(home.tracking_uri, lambda _: None))
        while projection.step():
            pass
        state = FINISHED if study.provenance.get("complete") else INTERRUPTED
        projection.publish(Summary(state=state), time.time())


def keys_of(home: Home) -> dict[str, str]:
    """A trial of each state, by state; and the unfinished one of a study that was stopped."""
    with Ledger.open(home.ledger, read_only=True) as ledger:
        trials = ledger.trials(1)
    return {trial.state: trial.key for trial in reversed(trials)}
