"""Mending what can be rebuilt: the ledger's open ends, left-over checkpoints, MLflow. Never what only the ledger knew.

Owns the order: the ledger first, since all else follows it. Holds the study meanwhile, so that no driver starts beside it.
"""

import time
from contextlib import suppress

from sweeps.answer import answer, driver_of, known_study
from sweeps.doctor import findings_of, in_doubt, runs_in_mlflow, storage
from sweeps.doctor.recorded import Recorded, read
from sweeps.doctor.tracked import WITNESS, check_runs, wrong_runs
from sweeps.home import Home
from sweeps.run import driving, opened
from sweeps.tracking import audit, sync
from trainable.errors import InfrastructureError, StudyLocked


def mend(home: Home, name: str) -> list[str]:
    """Mend what can be mended; what was done, in words. What is left, `examine` says.

    StudyError when the ledger has no such study, StudyLocked, naming host and process, when a live driver runs it.
    """
    if (holder := driver_of(home, name)) is not None:
        raise StudyLocked(f"{name} is being run by process {holder.pid} on host {holder.host}: stop that one first "
                          f"(mixup-sweep stop {name}), then repair")
    with opened(home) as ledger:
        record = known_study(ledger, name)
        with driving(ledger, record):
            done = [f"marked trial {trial.key} INTERRUPTED" for trial in ledger.interrupt_running(record.id, time.time())]
            recorded = read(ledger, record, None)
            return done + _storage(home, recorded) + _mlflow(home, recorded)


def _storage(home: Home, recorded: Recorded) -> list[str]:
    with suppress(OSError):  # what could not be removed is found again
        return storage.clear(home.storage, recorded, storage.look(home.storage, recorded))
    return []


def _mlflow(home: Home, recorded: Recorded) -> list[str]:
    """Take out what no sending would mend, then send everything from nothing."""
    runs, _ = runs_in_mlflow(home, recorded)
    doubtful = in_doubt(findings_of(recorded, home))
    if runs is None or all(finding.remedy == WITNESS for finding in check_runs(recorded, runs, doubtful)):
        return []
    wrong, done = wrong_runs(recorded, runs, doubtful), []
    with suppress(InfrastructureError):  # what did not arrive is found again
        audit.withdraw(home.tracking_uri, wrong)
        done += [f"deleted run {run.run_id} of trial {run.key} in MLflow, where it can be restored" for run in wrong]
        audit.forget_cursor(home.tracking_uri, runs)
        results, page = answer(home, recorded.record.name)
        sync(home, recorded.record.name, results, page)
        done.append("sent everything to MLflow again")
    return done
