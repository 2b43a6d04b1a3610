"""Trial records for tests: every field has a value, a test names only those it is about."""

from dataclasses import replace
from typing import Any

from sweeps.records import PENDING, SEARCH, TrialRecord

PLAIN = TrialRecord(
    id=1, study_id=1, key="k", stage=SEARCH, number=0, capacity="width=1", arm_key="arm", split=0, repeat=0,
    config={"epochs": 10, "alpha": 1.0}, setting={"alpha": 1.0}, origin="sampler", brain={}, state=PENDING, failure_class=None,
    failure_text=None, metrics={}, num_parameters=None, predictions_path=None, predictions_digest=None, provenance={},
    last_epoch=0, created_at=0.0, started_at=1.0, ended_at=11.0, revision=1)


def trial(**fields: Any) -> TrialRecord:
    """A trial record with these fields, and plain values in the others."""
    return replace(PLAIN, **fields)
