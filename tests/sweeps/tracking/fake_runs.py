"""An MLflow in memory: what was written, and calls that fail on demand."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.tracking.content import Point, Sweep


class Down(Exception):
    """MLflow does not answer."""


class FakeRuns:
    """Holds runs by trial key. `calls` lists what was asked; an entry of `failing` is raised once, at that call."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.parent: dict[str, Any] = {"tags": {}, "points": [], "status": "RUNNING", "files": []}
        self.cursor = 0
        self.calls: list[str] = []
        self.failing: dict[str, list[Exception]] = {}

    def open(self, sweep: Sweep) -> int:
        self._called("open")
        return self.cursor

    def has(self, key: str) -> bool:
        return key in self.runs

    def create(self, key: str, name: str, started_at_ms: int, tags: Mapping[str, str]) -> None:
        self._called("create")
        self.runs[key] = {"name": name, "start": started_at_ms, "tags": dict(tags), "points": set(), "params": {},
                          "status": "RUNNING", "end": None, "data": None}

    def write(self, key: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self._called("write")
        run = self.runs[key]
        run["points"] |= set(points)
        run["params"] |= params
        run["tags"] |= tags

    def add_data(self, key: str, name: str, digest: str) -> None:
        self._called("add_data")
        self.runs[key]["data"] = (name, digest)

    def put_findings(self, key: str, found: Mapping[str, Any]) -> None:
        self._called("put_findings")
        self.runs[key]["findings"] = dict(found)

    def set_status(self, key: str, status: str, ended_at_ms: int | None) -> None:
        self._called("set_status")
        self.runs[key] |= {"status": status, "end": ended_at_ms}

    def save_cursor(self, revision: int) -> None:
        self._called("save_cursor")
        self.cursor = revision

    def write_parent(self, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        self._called("write_parent")
        self.parent["points"] += points
        self.parent["tags"] |= tags

    def set_parent_status(self, status: str, ended_at_ms: int | None) -> None:
        self.parent |= {"status": status, "end": ended_at_ms}

    def parent_metrics(self) -> dict[str, float]:
        return {point.key: point.value for point in self.parent["points"]}

    def put_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        self.parent["table"] = (name, dict(columns))
        self.parent.setdefault("tables", {})[name] = dict(columns)

    def put_file(self, path: str, folder: str | None) -> None:
        self._called("put_file")
        self.parent["files"].append((path, folder))

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.failing.get(name):
            raise self.failing[name].pop(0)
