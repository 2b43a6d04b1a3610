"""The ledger's tables, and how values become JSON text and back.

Owns column names, indexes and the schema version. Knows nothing of connections or of what a trial's states mean.
"""

import json
import math
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 2
"""Raised with every change of a table. A ledger of a later version is refused."""
EARLIER_VERSIONS = (1,)
"""Read as they are; brought up to date by whoever opens them to write. Version 1 lacks the table of findings, no more."""

metadata = MetaData()
_JSON = JSON(none_as_null=True)

schema = Table("sweep_schema", metadata, Column("version", Integer, primary_key=True))

# The prefix keeps us apart from other products in a shared database: Optuna also has `studies` and `trials`.
studies = Table(
    "sweep_studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("identity", _JSON, nullable=False),
    Column("spec", _JSON, nullable=False),
    Column("provenance", _JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)

# The one row every commit touches is narrow and apart from the study's long texts: it is rewritten at each change.
heads = Table(
    "sweep_heads",
    metadata,
    Column("study_id", ForeignKey(studies.c.id), primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("last_commit", Text, nullable=False),
    Column("holder", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("heartbeat_at", Double),
)

trials = Table(
    "sweep_trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey(studies.c.id), nullable=False),
    Column("key", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("capacity", Text, nullable=False),
    Column("arm_key", Text, nullable=False),
    Column("split", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("last_epoch", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("origin", Text, nullable=False),
    Column("failure_class", Text),
    Column("failure_text", Text),
    Column("num_parameters", BigInteger),
    Column("predictions_path", Text),
    Column("predictions_digest", Text),
    Column("setting", _JSON, nullable=False),
    Column("config", _JSON, nullable=False),
    Column("brain", _JSON, nullable=False),
    Column("metrics", _JSON, nullable=False),
    Column("provenance", _JSON, nullable=False),
    UniqueConstraint("study_id", "key"),
    Index("sweep_trials_by_revision", "study_id", "revision"),
)

attempts = Table(
    "sweep_attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trial_id", ForeignKey(trials.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("token", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("text", Text),
    UniqueConstraint("trial_id", "number"),
)

rows = Table(
    "sweep_rows",
    metadata,
    Column("trial_id", ForeignKey(trials.c.id), primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("eval_seconds", Double, nullable=False),
    Column("metrics", _JSON, nullable=False),
    sqlite_with_rowid=False,  # a trial's rows lie together and need no second index
)

decisions = Table(
    "sweep_decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey(studies.c.id), nullable=False, index=True),
    Column("trial_id", ForeignKey(trials.c.id)),
    Column("kind", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("detail", _JSON, nullable=False),
)

# What diagnostics found beyond single numbers. Apart from the trials, so that reading those stays light.
findings = Table(
    "sweep_findings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey(studies.c.id), nullable=False, index=True),
    Column("trial_id", ForeignKey(trials.c.id)),
    Column("name", Text, nullable=False),
    Column("content", _JSON, nullable=False),
    UniqueConstraint("trial_id", "name"),
)


def encode(value: Any) -> str:
    """JSON text that any database accepts: NaN and infinities, which JSON lacks, become the texts "nan", "inf", "-inf".

    NumPy's scalars are written as the numbers they are, anything else foreign as its text: a report is not lost for it.
    """
    try:
        return json.dumps(value, allow_nan=False, default=_native)
    except ValueError:
        return json.dumps(_spelled(value), allow_nan=False)


def _native(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value if value is None or isinstance(value, str | int) else _spelled(_native(value))


def as_json(value: Any) -> Any:
    """`value` as it will be read back: tuples as lists, names as texts."""
    return json.loads(encode(value))


def as_floats(metrics: dict[str, Any]) -> dict[str, float]:
    """Metrics as written before `encode`: each value a float again, "nan" and "inf" included."""
    return {name: float(value) for name, value in metrics.items()}


def plain_text(text: str | None) -> str | None:
    """Text that any database accepts: PostgreSQL takes no NUL, and no encoding takes half a surrogate pair."""
    if text is None:
        return None
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
