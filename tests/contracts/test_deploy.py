"""The recipes under deploy/ can be read, and call the command line as it is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from sweeps.cli import app

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)


def test_every_recipe_has_a_line_in_the_readme() -> None:
    shown = re.findall(r"^\* `([^`]+)`", (ROOT / "deploy" / "README.md").read_text(), re.M)
    assert sorted([*shown, "README.md"]) == sorted(path.name for path in RECIPES)


@pytest.mark.parametrize("path", [path for path in RECIPES if path.suffix == ".yaml"], ids=lambda path: path.name)
def test_yaml_is_a_mapping(path: Path) -> None:
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(path.read_text()))


def test_the_script_of_slurm_is_one() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    subprocess.run([bash, "-n", str(ROOT / "deploy" / "sweep.slurm")], check=True)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_options_of_the_command_line_exist(path: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name, words in re.findall(r"mixup-sweep (\w+) ([^`\n&]*)", path.read_text()):
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", words)) <= options


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_versions_are_those_of_the_tried_set(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"mlflow==([\d.]+)", text)) <= {PINS["mlflow"]}
    assert set(re.findall(r"rayproject/ray:([\d.]+)|rayVersion: \"([\d.]+)", text)) <= {(PINS["ray"], ""), ("", PINS["ray"])}
