"""What a study says so far, read from the ledger alone: the results, the page, the status.

Reads and never writes the ledger, so it may run beside a driver. Imports neither torch nor ray.
"""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.dimension import Choice
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.plan_cost import num_trials
from sweeps.records import FAILED, FINAL_STATES, MEASURE, NOTED, SEARCH, WOULD_PRUNE, Holder, StudyRecord, last_line
from sweeps.storage import labels_path, read_array, write_whole
from sweeps.stored_predictions import StoredPredictions
from sweeps.study import Study
from trainable.config import nearest
from trainable.errors import StudyError

if TYPE_CHECKING:
    from sweeps.analysis.results import StudyResults


def answer(home: Home, name: str) -> tuple["StudyResults", Path]:
    """The results of the study in the ledger, and the page written from them. StudyError when the ledger has no such study."""
    ledger = open_existing(home)
    try:
        results = results_of(ledger, known_study(ledger, name), home.storage)
    finally:
        ledger.close()
    return results, write_answer(results, home)


def write_answer(results: "StudyResults", home: Home) -> Path:
    """The page of a study, whose path is returned, and beside it the headline as `picture.svg` and `table.md`."""
    from sweeps.charts.picture import write_picture
    from sweeps.report import write_report
    from sweeps.tables import markdown_table
    page = write_report(results, home.report(results.study))
    write_picture(results, page.with_name("picture.svg"))
    write_whole(str(page.with_name("table.md")), f"{markdown_table(results)}\n".encode())
    return page


def results_of(ledger: Ledger, record: StudyRecord, storage: str) -> "StudyResults":
    """Everything the ledger and the stored predictions say about a study."""
    from sweeps.analysis.assemble import analyse
    from sweeps.analysis.findings import find
    from sweeps.analysis.importance import with_importance
    from sweeps.analysis.interactions import with_interactions
    from sweeps.analysis.notes import on_trouble
    from sweeps.analysis.pruning import audit_pruning, curves_of
    from sweeps.optuna_study import FEW_TREES, importance, rung_steps
    study = Study.from_dict(record.spec)
    predictions = StoredPredictions(storage, record.provenance.get("data_digest"))
    labels = read_array(storage, labels_path(study.name))
    trials, rows = ledger.trials(record.id), ledger.rows(record.id)
    results = analyse(study, trials, rows, ledger.attempts(record.id), predictions, labels)
    troubles = on_trouble(ledger.decisions(record.id, NOTED), trials)
    results = replace(results, notes=(*results.notes, *troubles),
                      findings=find([found.capacity for found in results.capacities], study, trials,
                                    ledger.findings(record.id), ledger.study_findings(record.id)))
    prune = study.search.prune
    curves = curves_of(trials, rows, ledger.decisions(record.id, WOULD_PRUNE), study.objective)
    if curves and (rungs := rung_steps(prune)):
        results = replace(results, pruning=audit_pruning(curves, prune.rule, prune.audit, rungs))
    scales = {axis.name: axis.to_unit for axis in study.space.varying if not isinstance(axis, Choice)}
    results = with_interactions(results, scales, seed=study.seed)
    return with_importance(
        results, lambda settings, values: importance(study.space, settings, values, study.seed),
        rough=lambda settings, values: importance(study.space, settings, values, study.seed, FEW_TREES))


def study_status(home: Home, name: str) -> dict[str, Any]:
    """How far a study is, as plain values. The keys are stable: study, driver, complete, trials, failures, planned."""
    ledger = open_existing(home)
    try:
        record = known_study(ledger, name)
        trials, holder = ledger.trials(record.id), ledger.driver(record.id, time.time())
    finally:
        ledger.close()
    study = Study.from_dict(record.spec)
    counts = {stage: dict(sorted(Counter(trial.state for trial in trials if trial.stage == stage).items()))
              for stage in (SEARCH, MEASURE)}
    failures = Counter((trial.failure_class or "", last_line(trial.failure_text)) for trial in trials if trial.state == FAILED)
    planned = {stage: len(study.capacities) * num_trials(study, stage) for stage in (SEARCH, MEASURE)}
    return {
        "study": name, "driver": f"process {holder.pid} on {holder.host}" if holder else None,
        "complete": all(trial.state in FINAL_STATES for trial in trials) and bool(record.provenance.get("complete")),
        "planned": planned, "trials": counts,
        "failures": [{"class": kind, "text": text, "count": count} for (kind, text), count in failures.most_common()],
    }


def driver_of(home: Home, name: str) -> Holder | None:
    """Who is running the study now, or None."""
    ledger = open_existing(home)
    try:
        return ledger.driver(known_study(ledger, name).id, time.time())
    finally:
        ledger.close()


def open_existing(home: Home) -> Ledger:
    """The ledger, for reading. StudyError when nothing was ever run here."""
    path = Path(home.ledger.removeprefix("sqlite:///"))
    if home.ledger.startswith("sqlite:") and not path.exists():
        raise StudyError(f"{path}: there is no ledger yet; `mixup-sweep run` makes one (SWEEP_HOME says where)")
    return Ledger.open(home.ledger, read_only=True)


def known_study(ledger: Ledger, name: str) -> StudyRecord:
    """The ledger's record of a study. StudyError, with the studies it knows, when there is none."""
    record = ledger.study(name)
    if record is None:
        known = [study.name for study in ledger.studies()]
        raise StudyError(f"study {name!r} has not begun in {ledger.name}{nearest(name, known)}"
                         f"; it knows {', '.join(known) or 'none'}")
    return record
