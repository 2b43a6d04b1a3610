"""The shapes that travel between the rooms: what a trial is, what a worker reports, what the ledger returns.

Plain frozen dataclasses of JSON-able values. Knows no database, no Ray, no MLflow and no torch.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

PENDING, RUNNING, INTERRUPTED = "PENDING", "RUNNING", "INTERRUPTED"
FINISHED, PRUNED, FAILED = "FINISHED", "PRUNED", "FAILED"
TRIAL_STATES = (PENDING, RUNNING, INTERRUPTED, FINISHED, PRUNED, FAILED)
FINAL_STATES = (FINISHED, PRUNED, FAILED)

ENDED, LOST = "ENDED", "LOST"

DIVERGED, OOM, DISK, CRASHED, TIMEOUT = "DIVERGED", "OOM", "DISK", "CRASHED", "TIMEOUT"
FAILURE_CLASSES = (DIVERGED, OOM, DISK, CRASHED, TIMEOUT, LOST)
"""Why a trial failed: a loss that is no number, memory, room in the storage, its process, no progress, its machine."""
SEARCH, MEASURE = "search", "measure"
TRANSFER = "transfer"
"""The one diagnostic of a study that no single trial can compute: attacks made on one arm and tried on the others."""
WOULD_PRUNE = "would_prune"
"""Kind of the decision about a trial that the pruning rule would have stopped, and that runs on to audit the rule."""
FORKED = "forked"
"""Kind of the decision that a trial is a copy of one of another study."""
FORKED_FROM = "forked_from"
"""Where a study's provenance names the study that it was forked from."""
NOTED = "noted"
"""Kind of the decision that holds what a person should know of a trial that went on all the same: a checkpoint passed over."""
LADDER, ARM = "ladder", "arm: "
"""Origins of a measure trial: a rung of the ladder of alphas, or a named arm, whose name follows."""


class Replicate(NamedTuple):
    """Which repetition of an arm: the training split, which seed on that split, and which redraw of its mixing."""

    split: int
    repeat: int
    redraw: int = 0

    @property
    def seed(self) -> tuple[int, int]:
        """What redraws share: initial weights, order, dropout and augmentation."""
        return (self.split, self.repeat)

    def __str__(self) -> str:
        return f"{self.split}.{self.repeat}" + (f".{self.redraw}" if self.redraw else "")


def replicate_of(split: int, repeat: int, config: dict[str, Any]) -> Replicate:
    """The replicate of a trial. Redraws stand in its configuration alone; one without any is a first draw."""
    return Replicate(split, repeat, config.get("redraw", 0))


TRANSFER_REPLICATE = Replicate(1, 0)
"""The replicate whose weights are kept for that."""


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """A trial that is to run: one arm x one replicate, and where in the study it belongs.

    `number` counts asks within a capacity in the search stage; in the measure stage ladder positions, then
    arms. `setting` holds the searched axes and what a named arm sets, `config` every TrialConfig field, `brain` what the
    sampler must remember of this ask.
    """

    key: str
    stage: str
    number: int
    capacity: str
    arm_key: str
    split: int
    repeat: int
    config: dict[str, Any]
    setting: dict[str, Any]
    origin: str
    brain: dict[str, Any] = field(default_factory=dict)

    @property
    def replicate(self) -> Replicate:
        return replicate_of(self.split, self.repeat, self.config)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A finished trial of another study, taken over as the trial `spec`: `donor` is its id in the ledger, `origin` its study.

    `with_decisions`: what was decided about it holds here too, since trials are stopped by the same rule.
    """

    donor: int
    origin: str
    spec: TrialSpec
    with_decisions: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """The metrics of one epoch. `at` is the unix time when the epoch ended; durations are seconds."""

    epoch: int
    at: float
    seconds: float
    eval_seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class End:
    """How a trial ended: `state` FINISHED, or FAILED with a class and a text. `findings`: curves of its diagnostics, by name."""

    state: str
    failure_class: str | None = None
    failure_text: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    num_parameters: int | None = None
    predictions_path: str | None = None
    predictions_digest: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    findings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a worker sends: the epochs since its last report and, the last time, how the trial ended.

    `token` names the attempt; a report whose attempt is closed or superseded is refused by the ledger. `notes`: what went
    wrong since the last one and did not end the trial, in words.
    """

    key: str
    token: str
    worker: str
    node: str
    device: str
    started_at: float
    rows: tuple[Row, ...] = ()
    end: End | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Report":
        rows = tuple(Row(**row) for row in values.get("rows", ()))
        end = End(**values["end"]) if values.get("end") else None
        return cls(**{**values, "rows": rows, "end": end, "notes": tuple(values.get("notes", ()))})


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """A study as the ledger knows it."""

    id: int
    name: str
    identity: dict[str, Any]
    spec: dict[str, Any]
    provenance: dict[str, Any]
    created_at: float
    revision: int


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The driver of a study: a process on a host, last heard of at `heartbeat_at`."""

    host: str
    pid: int
    heartbeat_at: float


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as the ledger knows it. `metrics` are the final ones, `revision` the study's when it last changed."""

    id: int
    study_id: int
    key: str
    stage: str
    number: int
    capacity: str
    arm_key: str
    split: int
    repeat: int
    config: dict[str, Any]
    setting: dict[str, Any]
    origin: str
    brain: dict[str, Any]
    state: str
    failure_class: str | None
    failure_text: str | None
    metrics: dict[str, float]
    num_parameters: int | None
    predictions_path: str | None
    predictions_digest: str | None
    provenance: dict[str, Any]
    last_epoch: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    revision: int

    @property
    def replicate(self) -> Replicate:
        return replicate_of(self.split, self.repeat, self.config)


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One try to run a trial: where, when, and how it ended."""

    id: int
    trial_id: int
    number: int
    token: str
    worker: str
    node: str
    device: str
    state: str
    started_at: float
    ended_at: float | None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Something decided about a trial, and on what: kind `prune`, `would_prune`, `fail`, `stale_report` ...

    `trial_id` is None for what concerns the whole study.
    """

    id: int
    trial_id: int | None
    kind: str
    at: float
    detail: dict[str, Any]


def arm_name(origin: str) -> str | None:
    """The name of the arm that a trial of this origin was run for; None for a rung of the ladder and a search trial."""
    return origin.removeprefix(ARM) if origin.startswith(ARM) else None


def rung_name(alpha: float) -> str:
    """`alpha 8`: what a rung of the ladder is called beside named arms."""
    return f"alpha {alpha:g}"


def last_line(text: str | None) -> str:
    """The line of a traceback that says what happened."""
    return ((text or "").strip().splitlines() or [""])[-1]
