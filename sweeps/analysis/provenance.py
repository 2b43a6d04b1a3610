"""What the results were made with: one record merged from those of all trials, and what does not agree.

Refuses to know which keys exist: whatever the workers recorded is merged.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.records import TrialRecord

PER_TRIAL = frozenset({"host", "hostname", "node", "pid", "worker", "seconds", "started_at", "ended_at", "peak_rss_mb",
                       "attempts", "attempt", "checkpoint"})
"""Keys that may differ between trials without making them different."""


def merge(trials: Iterable[TrialRecord]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(merged record, one sentence per key that differs). A key whose value differs holds the list of its values."""
    counts: dict[str, dict[str, int]] = {}
    values: dict[str, dict[str, Any]] = {}
    for trial in trials:
        for key, value in flatten(trial.provenance):
            counts.setdefault(key, {})[repr(value)] = counts.get(key, {}).get(repr(value), 0) + 1
            values.setdefault(key, {})[repr(value)] = value
    merged: dict[str, Any] = {}
    notes = []
    for key in sorted(values):
        texts = sorted(values[key])
        different = [values[key][text] for text in texts]
        if len(different) == 1:
            merged[key] = different[0]
        elif key.rsplit(".", 1)[-1] not in PER_TRIAL:
            merged[key] = different
            told = ", ".join(f"{values[key][text]} ({counts[key][text]} trials)" for text in texts)
            notes.append(f"Trials differ in {key}: {told}; their results may not be comparable.")
    return merged, tuple(notes)


def flatten(record: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Leaves of a nested record with dotted keys."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
