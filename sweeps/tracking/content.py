"""What MLflow is told about a trial: name, params, tags and metric points, all legal for MLflow. Pure.

Owns how a TrialRecord is written for people and for MLflow's rules. Knows no connection and never imports mlflow, so
that a re-send after any interruption produces the very same values and therefore changes nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sweeps.records import FAILED, FINISHED, INTERRUPTED, PENDING, PRUNED, RUNNING, Row, StudyRecord, TrialRecord, arm_name
from sweeps.redaction import names_credential, redact
from trainable.config import REPLICATE_FIELDS, digest

STATUS = {PENDING: "SCHEDULED", INTERRUPTED: "SCHEDULED", RUNNING: "RUNNING", FINISHED: "FINISHED", FAILED: "FAILED",
          PRUNED: "KILLED"}
"""MLflow's run status for each state. A pruned trial is KILLED, stopped on purpose: `status = 'FINISHED'` selects
the trials that were trained to their last epoch and no others. An interrupted one waits to be continued: SCHEDULED."""

SWEEP_ID, TRIAL_KEY, STATE, CURSOR, PARENT = ("sweep.id", "sweep.trial_key", "sweep.state", "sweep.cursor",
                                              "mlflow.parentRunId")

FINDINGS_FILE = "diagnostics.json"
"""The artifact of a run that holds what diagnostics found beyond metrics: the trial's, or on the parent run the study's."""

# MLflow's limits are 6000 and 8000 characters, 250 for a key; older servers stop at 500 and 5000.
_MAX_PARAM, _MAX_TAG, _MAX_KEY = 500, 5000, 250
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.\- /]")
_SHORT = {"width": "w", "depth": "d"}


class Point(NamedTuple):
    """One value of a metric. `timestamp` is in milliseconds, `step` is the epoch."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The sweep whose runs these are. `artifacts` is a folder's URI, or None where the server has its own place."""

    study: str
    id: str
    started_at_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: str | None = None


def sweep(study: StudyRecord, artifacts: str | None) -> Sweep:
    """What the parent run is made from. Its id names this study in this ledger: a new ledger begins new runs."""
    return Sweep(study=study.name, id=digest({"study": study.name, "created_at": study.created_at}),
                 started_at_ms=milliseconds(study.created_at), tags=system_tags(study.provenance), artifacts=artifacts)


def run_name(trial: TrialRecord) -> str:
    """`a=0.40 wd=1e-4 p=0.2 E=30 w=0.5 r=2.0`: the four axes, the capacity, and r=<split>.<repeat>; before
    them the name of a named arm."""
    config = trial.config
    arm = arm_name(trial.origin)
    capacity = re.sub(r"[A-Za-z]+(?==)", lambda word: _SHORT.get(word[0], word[0]), trial.capacity)
    parts = [f"a={_alpha(config['alpha'])}", f"wd={_power(config['weight_decay'])}", f"p={config['dropout']:.3g}",
             f"E={config['epochs']}", capacity, f"r={trial.replicate}"]
    name = " ".join(part for part in parts if part)
    return f"{redact(arm)}: {name}" if arm else name


def _alpha(alpha: float) -> str:
    return f"{alpha:.2f}" if alpha == 0 or 0.095 <= alpha < 1e4 else _power(alpha)


def _power(value: float) -> str:
    """`1e-4`, `3.2e-4`, `0`: two digits and the power of ten."""
    if value == 0:
        return "0"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def trial_params(trial: TrialRecord) -> dict[str, str]:
    """The arm's fields by their TrialConfig names."""
    return {legal_key(name): redact(str(value))[:_MAX_PARAM] for name, value in trial.config.items()
            if name not in REPLICATE_FIELDS}


def trial_tags(trial: TrialRecord) -> dict[str, str]:
    """What the trial is; does not change while it runs."""
    return tags({TRIAL_KEY: trial.key, "sweep.stage": trial.stage, "sweep.arm": trial.arm_key,
                 "sweep.replicate": str(trial.replicate), "sweep.capacity": trial.capacity,
                 "sweep.number": trial.number, "sweep.origin": trial.origin,
                 "sweep.arm_name": arm_name(trial.origin)})


def state_tags(trial: TrialRecord) -> dict[str, str]:
    """How far the trial is, and once it has ended: why it failed, its size, and what it ran on."""
    found: dict[str, Any] = {STATE: trial.state}
    if trial.failure_class:
        # a traceback says most in its last lines
        found["sweep.failure"] = f"{trial.failure_class}: {(trial.failure_text or '')[-_MAX_TAG + 100:]}"
    if trial.num_parameters is not None:
        found["sweep.num_parameters"] = trial.num_parameters
    return tags(found) | system_tags(trial.provenance)


def system_tags(provenance: Mapping[str, Any], prefix: str = "system") -> dict[str, str]:
    """Versions, device and machine as tags `system.<name>`; nested values get dotted names, credentials stay out."""
    found: dict[str, str] = {}
    for name, value in provenance.items():
        if names_credential(str(name)):
            continue
        if isinstance(value, Mapping):
            found |= system_tags(value, f"{prefix}.{name}")
        else:
            found |= tags({f"{prefix}.{name}": value})
    return found


def tags(values: Mapping[str, Any]) -> dict[str, str]:
    """Keys and values as MLflow takes them, without credentials; None is left out."""
    return {legal_key(key): redact(str(value))[:_MAX_TAG] for key, value in values.items() if value is not None}


def row_points(rows: Iterable[Row]) -> list[Point]:
    """The rows' metrics at the time when each epoch ended."""
    return [Point(legal_key(key), float(value), milliseconds(row.at), row.epoch)
            for row in rows for key, value in row.metrics.items()]


def final_points(trial: TrialRecord) -> list[Point]:
    """The trial's final metrics, at its last epoch and the time it ended."""
    at = milliseconds(trial.ended_at or trial.created_at)
    return [Point(legal_key(key), float(value), at, trial.last_epoch) for key, value in trial.metrics.items()]


def milliseconds(at: float) -> int:
    return round(at * 1000)


def legal_key(text: str) -> str:
    """`text` as a key that MLflow takes on every system: letters, digits and _ . - space /, without empty parts."""
    parts = [part.strip() for part in _ILLEGAL.sub("_", text).split("/")]
    return "/".join(part if part.strip(".") else "_" * max(len(part), 1) for part in parts)[:_MAX_KEY].rstrip(" /")


def legal_part(text: str) -> str:
    """`text` as one part of a slashed key: `width=0.25` becomes `width_0.25`."""
    return legal_key(text.replace("/", "_"))
