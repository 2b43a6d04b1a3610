"""Judged claims as plain JSON-able values: what results.json holds, and all that RESULTS.md and the pictures are made of.

Owns the keys, which are stable. Numbers are as computed: fractions, nats, logarithms; a bound that is open is null. Refuses to
run, to judge and to write files.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.analysis import provenance
from sweeps.analysis.results import Estimate
from sweeps.claims.claim import Cell
from sweeps.claims.evidence import Evidence
from sweeps.claims.text import is_share
from sweeps.claims.verdict import Effect, Judged, cell_mean
from sweeps.records import FAILED, FINISHED, AttemptRecord, TrialRecord
from sweeps.study import Study

Entry = dict[str, Any]


def claim_entry(judged: Judged, evidence: Mapping[str, Evidence], command: str) -> Entry:
    """Everything about one claim: its words, its parts with their effects, what its cells measured, by which command."""
    claim = judged.claim
    explanation = "" if judged.primary.reason else claim.explains.get(judged.verdict, "")
    return {"id": claim.id, "source": claim.source, "says": claim.says, "supported_by": claim.supported_by,
            "untested": claim.untested, "verdict": judged.verdict, "explanation": explanation,
            "parts": [part_entry(effect) for effect in judged.effects],
            "measured": [cell_entry(cell, evidence[cell.study]) for cell in claim.cells],
            "studies": [evidence[study].study for study in claim.studies], "command": command}


def part_entry(effect: Effect) -> Entry:
    part = effect.part
    return {"says": part.says, "unit": part.unit, "claimed": [_bound(part.claimed.low), _bound(part.claimed.high)],
            "effect": interval(effect.estimate), "n": effect.n, "verdict": effect.verdict, "reason": effect.reason}


def cell_entry(cell: Cell, evidence: Evidence) -> Entry:
    mean, n = cell_mean(cell, evidence, possible(cell.metric))
    return {"study": evidence.study, "capacity": evidence.capacity(cell), "arm": cell.arm, "metric": cell.metric,
            "mean": interval(mean), "n": n}


def possible(metric: str) -> tuple[float, float]:
    """What the mean of a metric can be: a share lies in [0, 1], a gap anywhere, anything else that is measured is not negative."""
    return -math.inf if metric.startswith("gap/") else 0.0, 1.0 if is_share(metric) else math.inf


def interval(found: Estimate) -> list[float | None]:
    """[value, low, high], null where there is none."""
    return [_bound(found.value), _bound(found.low), _bound(found.high)]


def _bound(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def study_entry(study: Study, question: str, trials: Sequence[TrialRecord], attempts: Sequence[AttemptRecord], cores: int) -> Entry:
    """What one study ran: data, model, budget, trials and the seconds of all their attempts, versions and hardware."""
    finished = [trial for trial in trials if trial.state == FINISHED]
    base, merged = study.base, provenance.merge(finished)[0]
    sizes = {trial.capacity: trial.num_parameters for trial in finished if trial.num_parameters}
    epochs = sorted({int(trial.config["epochs"]) for trial in finished})
    return {
        "study": study.name, "question": question, "data": base.data, "label_noise": base.label_noise,
        "train_size": base.train_size, "val_size": base.val_size, "split_kind": base.split_kind, "model": base.model,
        "capacities": {capacity.label: sizes.get(capacity.label) for capacity in study.capacities},
        "epochs": epochs, "splits": study.measure.splits, "seeds": study.measure.seeds, "diagnostics": list(study.diagnostics),
        "alphas": list(study.measure.alphas), "arms": {name: dict(arm) for name, arm in study.measure.arms.items()},
        "num_finished": len(finished), "num_failed": sum(trial.state == FAILED for trial in trials),
        "trial_seconds": sum(each.ended_at - each.started_at for each in attempts if each.ended_at is not None),
        "provenance": {name: merged[name] for name in sorted(merged) if not name.startswith("data")}, "cores": cores}


def merged(known: Mapping[str, Any], claims: Sequence[Entry], studies: Sequence[Entry]) -> Entry:
    """The book of results with these claims in it; claims of earlier runs stay as they were, and with them their studies."""
    of_claims = {**known.get("claims", {}), **{entry["id"]: entry for entry in claims}}
    of_studies = {**known.get("studies", {}), **{entry["study"]: entry for entry in studies}}
    used = {name for entry in of_claims.values() for name in entry["studies"]}
    return {"claims": of_claims, "studies": {name: entry for name, entry in of_studies.items() if name in used}}
