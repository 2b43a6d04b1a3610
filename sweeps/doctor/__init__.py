"""The one judge of a study: whether ledger, rebuilt sampler, storage and MLflow tell the same, and mending what they do not.

Owns what is looked at and in which order it is mended; each check has its own module. Looking changes nothing.
"""

import time
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.answer import known_study, open_existing
from sweeps.doctor.budget import check_budget
from sweeps.doctor.finding import LEDGER, MLFLOW, PLACES, SAMPLER, Finding
from sweeps.doctor.ledger import check_ledger
from sweeps.doctor.recorded import Recorded, read
from sweeps.doctor.sampler import check_sampler, rebuilt
from sweeps.doctor.storage import check_storage, look
from sweeps.doctor.tracked import check_runs
from sweeps.home import Home
from sweeps.tracking import content
from sweeps.tracking.audit import StoredRun, stored_runs
from trainable.errors import InfrastructureError

__all__ = ["PLACES", "Finding", "Health", "assert_consistent", "examine", "findings_of", "in_doubt", "runs_in_mlflow"]

REACHABLE = "see that it runs and that --tracking-uri or MLFLOW_TRACKING_URI names it; later, `mixup-sweep sync` catches up"


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found of a study. `num_runs`: its trials' runs in MLflow; None where MLflow could not be read.

    `driver` is who runs it now: what is in motion then is not judged.
    """

    study: str
    complete: bool
    driver: str | None
    num_trials: int
    num_rows: int
    num_runs: int | None
    findings: tuple[Finding, ...]

    @property
    def consistent(self) -> bool:
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Plain values under stable keys."""
        return {"study": self.study, "consistent": self.consistent, "complete": self.complete, "driver": self.driver,
                "trials": self.num_trials, "rows": self.num_rows, "runs": self.num_runs,
                "findings": [asdict(finding) for finding in self.findings]}


def examine(home: Home, name: str) -> Health:
    """Look at a study everywhere. StudyError when the ledger has no such study."""
    with closing(open_existing(home)) as ledger:
        record = known_study(ledger, name)
        recorded = read(ledger, record, ledger.driver(record.id, time.time()))
        damage = ledger.damage()
    found = [*_damage(damage), *findings_of(recorded, home)]
    runs, unread = runs_in_mlflow(home, recorded)
    found += unread if runs is None else check_runs(recorded, runs, in_doubt(found))
    holder = recorded.driver
    return Health(study=name, complete=recorded.is_over, findings=tuple(found), num_trials=len(recorded.trials),
                  driver=f"process {holder.pid} on {holder.host}" if holder else None,
                  num_rows=sum(map(len, recorded.rows.values())),
                  num_runs=None if runs is None else sum(bool(run.key) for run in runs))


def assert_consistent(home: Home, name: str, *, complete: bool = True) -> None:
    """AssertionError with every finding where a study does not agree with itself, or is not `complete` but should be."""
    health = examine(home, name)
    texts = [str(finding) for finding in health.findings]
    if health.complete != complete:
        texts.append(f"the study is {'' if health.complete else 'not '}complete")
    if health.driver:
        texts.append(f"it is being run by {health.driver}")
    if texts:
        raise AssertionError("\n".join([f"{name} in {home.root}:", *texts]))


def findings_of(recorded: Recorded, home: Home) -> list[Finding]:
    """What is wrong with a study in the ledger, in the sampler rebuilt from it, and in the storage."""
    brain, found = rebuilt(recorded)
    found = [*check_ledger(recorded), *found]
    if brain is not None:
        found += [*check_sampler(recorded, brain), *check_budget(recorded, brain)]
    return found + check_storage(recorded, look(home.storage, recorded))


def runs_in_mlflow(home: Home, recorded: Recorded) -> tuple[list[StoredRun] | None, list[Finding]]:
    """The study's runs in MLflow, or None and why they cannot be read."""
    try:
        return stored_runs(home.tracking_uri, recorded.record.name, content.sweep(recorded.record, None).id), []
    except InfrastructureError as error:
        return None, [Finding(place=MLFLOW, trial=None, text=f"cannot be read: {error}", remedy=REACHABLE)]


def in_doubt(findings: list[Finding]) -> set[str | None]:
    """The trials of which the ledger itself may have lost something; None among them where it may have lost whole trials."""
    return {finding.trial for finding in findings if finding.place in (LEDGER, SAMPLER)}


def _damage(text: str | None) -> list[Finding]:
    return [Finding(place=LEDGER, trial=None, text=f"its file is damaged: {text}",
                    remedy="put a backup in its place, or move it away to begin a new ledger")] if text else []
