"""The README is true: its commands exist, its reference and its study are those of the code."""

import re
from pathlib import Path

import yaml
from typer.main import get_command

from sweeps.cli import app
from sweeps.study import load_study
from sweeps.study.schema import reference

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
SHELL = [line.split("#")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line.strip()]


def test_every_make_command_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {line.split()[1] for line in SHELL if line.startswith("make ")}
    assert used
    assert used <= targets


def test_every_mixup_sweep_command_and_option_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    used = [line.split() for line in SHELL if line.startswith("mixup-sweep")]
    assert used
    for words in used:
        options = {name for parameter in commands[words[1]].params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_every_command_of_the_tool_is_shown() -> None:
    shown = {line.split()[1] for line in SHELL if line.startswith("mixup-sweep")}
    assert set(get_command(app).commands) == shown  # type: ignore[attr-defined]


def test_the_study_shown_is_the_default_one() -> None:
    shown = next(text for kind, text in BLOCKS if kind == "yaml")
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "sweeps/studies/digits.yaml").read_text())
    assert load_study("digits").name == "digits"


def test_the_reference_is_generated_from_the_code() -> None:
    assert reference() in README


def test_nothing_is_left_to_fill_in() -> None:
    for name in ("results", "methods", "claims", "reference", "benchmarks"):
        assert re.search(rf"<!-- {name} -->\n\n.+<!-- /{name} -->", README, re.DOTALL), f"make readme has not filled {name}"
    assert not re.search("TODO|FIXME", README)


def test_every_test_that_the_page_of_faults_names_is_there() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "docs/faults.md").read_text()))
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / "tests" / name).exists()]
