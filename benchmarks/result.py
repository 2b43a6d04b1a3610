"""One line of the benchmark table, and the place where all of them are written."""

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

LIBRARIES = ("torch", "ray", "optuna", "mlflow")


def versions() -> dict[str, str]:
    """What a number needs beside it: libraries, Python, processor and how many of them."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {**found, "python": platform.python_version(), "machine": platform.machine(), "cpus": str(os.cpu_count())}


@dataclass(frozen=True, kw_only=True)
class Result:
    """`ours` and `peers` in `unit`; `bar` in words, `met` whether ours is within it; `n` how many were measured."""

    name: str
    ours: float
    unit: str
    bar: str
    met: bool
    n: int
    peers: dict[str, float] = field(default_factory=dict)
    detail: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)


def write(results: list[Result], path: Path) -> None:
    """The results as JSON; those measured before and not now are kept."""
    known = {one["name"]: one for one in json.loads(path.read_text())} if path.exists() else {}
    known.update({result.name: asdict(result) for result in results})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(known.values()), indent=1) + "\n")


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| benchmark | ours | peers, same run | bar | met | n |", "|---|---|---|---|---|---|"]
    for one in results:
        peers = ", ".join(f"{name} {value:.3g}" for name, value in one.peers.items()) or "-"
        detail = "".join(f"; {name} {value:.3g}" for name, value in one.detail.items())
        met = "yes" if one.met else "NO"
        lines.append(f"| {one.name} | {one.ours:.3g} {one.unit}{detail} | {peers} | {one.bar} | {met} | {one.n} |")
    return "\n".join(lines)
