"""The shape of the code, as failing tests: who may import what, and how long anything may be."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("trainable", "search_spaces", "sweeps")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

TORCH_FREE = {  # what search_spaces may use of trainable, and what `plan` starts with
    "trainable.config", "trainable.errors", "trainable.methods", "trainable.moments", "trainable.data", "trainable.models",
    "trainable.diagnostics",
    "trainable.models.sizes",
}
OWNERS = {  # outside library -> the only modules, or packages, that may import it
    "ray": {"sweeps.executor", "sweeps.worker", "sweeps.cluster"},
    "optuna": {"sweeps.brain", "sweeps.optuna_study"},
    "mlflow": {"sweeps.tracking"},
    "sqlalchemy": {"sweeps.ledger"},
    "yaml": {"sweeps.study"},
    "plotly": {"sweeps.figures", "sweeps.report"},
    "rich": {"sweeps.cli", "sweeps.console", "sweeps.progress"},
    "typer": {"sweeps.cli"},
}
MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_ARGUMENTS = 300, 50, 6


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_used(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)} & set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    room = name_of(path).split(".")[0]
    allowed = {"trainable": {"trainable"}, "search_spaces": {"search_spaces", "trainable"}, "sweeps": set(ROOMS)}[room]
    assert rooms_used(path) <= allowed
    if room == "search_spaces":
        used = {name for name in imports_of(path) if name.startswith("trainable")}
        assert {".".join(name.split(".")[:2]) for name in used} <= {
            "trainable.config", "trainable.errors", "trainable.methods", "trainable.moments"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_outside_libraries_stay_with_their_owner(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imports_of(path)}
    for library, owners in OWNERS.items():
        owned = any(f"{name_of(path)}.".startswith(f"{owner}.") for owner in owners)
        assert library not in libraries or owned, f"{name_of(path)} imports {library}"
    if name_of(path).startswith("trainable"):
        assert not libraries & {"ray", "optuna", "mlflow", "yaml"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_functions_and_signatures_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    assert ast.get_docstring(ast.parse(text)), "a module says what it owns"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = [one.arg for one in arguments if one.arg not in ("self", "cls")]
            is_command = any("command" in ast.dump(decorator) for decorator in node.decorator_list)
            assert is_command or len(names) <= MAX_ARGUMENTS, f"{node.name} takes {len(names)} arguments"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_and_the_progress_print(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not printing or name_of(path) in ("sweeps.cli.reading", "sweeps.cli.running", "sweeps.progress")


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "helpers", "manager", "common", "base", "misc"}
    assert not drawers & {path.stem for path in MODULES}


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == {name_of(path) for path in MODULES if path.name == "__init__.py"}
