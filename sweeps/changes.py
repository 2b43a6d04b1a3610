"""What differs between two recorded forms of a study, by the path of each key. Pure; knows neither studies nor ledgers."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

ABSENT = "not there"


class Change(NamedTuple):
    """One key whose value differs: its dotted path, and what stood there before and stands there now, as a study file writes it."""

    path: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.path}: recorded {self.before}, now {self.now}"


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Every key that differs between two JSON-able mappings, in the order of the first one. Null and not there are one."""
    old, new = _flat(before), _flat(now)
    return [Change(path, _shown(old, path), _shown(new, path)) for path in dict.fromkeys((*old, *new))
            if old.get(path) != new.get(path)]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Dotted path -> every value that is no mapping and no list of mappings."""
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        value = {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, Mapping) or not value:
        return {path: value} if path else {}
    return {below: leaf for name, child in value.items()
            for below, leaf in _flat(child, f"{path}.{name}" if path else str(name)).items()}


def _shown(values: Mapping[str, Any], path: str) -> str:
    """The value as a study file writes it."""
    if path not in values:
        return ABSENT
    value = values[path]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
