"""The benchmark table: what is measured now replaces what was, and nothing else."""

import json
from pathlib import Path

import pytest

from benchmarks.readme import fill
from benchmarks.result import Result, table, write


def result(name: str, ours: float, *, met: bool = True) -> Result:
    return Result(name=name, ours=ours, unit="s", bar="<= 1", met=met, n=3, peers={"stock": 4.0}, versions={"ray": "2"})


def test_a_new_measurement_replaces_the_old_one_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "bench.json"
    write([result("a", 1.0), result("b", 2.0)], path)
    write([result("a", 3.0)], path)
    assert {one["name"]: one["ours"] for one in json.loads(path.read_text())} == {"a": 3.0, "b": 2.0}
    assert set(json.loads(path.read_text())[0]) >= {"name", "ours", "unit", "peers", "bar", "n", "versions"}


def test_a_missed_bar_shows() -> None:
    text = table([result("a", 0.5), result("b", 2.0, met=False)])
    assert "| a | 0.5 s | stock 4 | <= 1 | yes | 3 |" in text
    assert "| b | 2 s | stock 4 | <= 1 | NO | 3 |" in text


def test_a_part_of_the_readme_is_filled_in_place() -> None:
    text = "before\n<!-- x -->\nold\n<!-- /x -->\nafter\n"
    assert fill(text, "x", r"new \1") == "before\n<!-- x -->\n\nnew \\1\n\n<!-- /x -->\nafter\n"
    with pytest.raises(ValueError, match="0 parts called y"):
        fill(text, "y", "")
