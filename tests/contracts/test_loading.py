"""Nothing that a stranger may have written is ever unpickled or run: every way to do so is forbidden, but for one reader.

The exception is trainable/data/array_pickle.py, which answers each name a pickle asks for with a class of its own.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for room in ("trainable", "search_spaces", "sweeps", "benchmarks") for path in (ROOT / room).rglob("*.py"))
OWN_READER = "trainable/data/array_pickle.py"

UNPICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "_pickle"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
SHELLS = {"os.system", "os.popen"}
PLAIN_YAML = {"yaml.load", "yaml.load_all", "yaml.full_load", "yaml.full_load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"}
YAML_WITH_LOADER = {"yaml.parse", "yaml.compose", "yaml.compose_all", "yaml.scan"}
HIDDEN_UNPICKLERS = {"torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "pandas.read_pickle", "pd.read_pickle",
                     "ray.cloudpickle.loads", "ray.cloudpickle.load", "numpy.lib.format.read_array"}


def dotted(node: ast.expr) -> str:
    """`np.load` of the expression np.load; '' of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        below = dotted(node.value)
        return f"{below}.{node.attr}" if below else ""
    return ""


def aliases(tree: ast.AST) -> dict[str, str]:
    """Local name -> what it stands for, of every import in the module."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(one.value) for one in call.keywords if one.arg == name), None)


def complaint(name: str, call: ast.Call) -> str | None:
    """Why this call may run what a file says, or None."""
    first, _, last = name.rpartition(".")
    if first.split(".")[0] in UNPICKLERS and last in ("load", "loads", "Unpickler", "open"):
        return "unpickles"
    if name in ("numpy.load", "np.load") and keyword(call, "allow_pickle") != "False":
        return "must say allow_pickle=False"
    if name == "torch.load" and keyword(call, "weights_only") != "True":
        return "must say weights_only=True"
    if name in PLAIN_YAML | HIDDEN_UNPICKLERS | RUNNERS | SHELLS:
        return "runs what it reads"
    if name in YAML_WITH_LOADER and keyword(call, "Loader") not in ("yaml.SafeLoader", "yaml.CSafeLoader"):
        return "must say Loader=yaml.SafeLoader"
    if name.startswith("subprocess.") and keyword(call, "shell") not in (None, "False"):
        return "goes through a shell"
    return None


def complaints(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    known = aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            start, dot, rest = name.partition(".")
            name = known.get(start, start) + dot + rest
            if why := complaint(name, node):
                yield f"line {node.lineno}: {name} {why}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_loads_what_could_run_code(path: Path) -> None:
    if str(path.relative_to(ROOT)) != OWN_READER:
        assert list(complaints(path.read_text())) == []


@pytest.mark.parametrize("line", [
    "import pickle\npickle.loads(data)", "import pickle as p\np.load(file)", "from pickle import loads\nloads(data)",
    "import pickle\npickle.Unpickler(file)", "import cloudpickle\ncloudpickle.loads(data)", "import joblib\njoblib.load(path)",
    "import numpy as np\nnp.load(path)", "import numpy as np\nnp.load(path, allow_pickle=True)",
    "import torch\ntorch.load(path)", "import torch\ntorch.load(path, weights_only=False)",
    "import torch\ntorch.load(path, weights_only=flag)", "import torch\ntorch.hub.load('a', 'b')",
    "import yaml\nyaml.load(text, Loader=yaml.Loader)", "import yaml\nyaml.compose(text)", "import yaml\nyaml.unsafe_load(text)",
    "eval(text)", "exec(text)", "import os\nos.system(text)", "import subprocess\nsubprocess.run(text, shell=True)",
    "import pandas as pd\npd.read_pickle(path)"])
def test_each_forbidden_call_is_found(line: str) -> None:
    assert list(complaints(line))


@pytest.mark.parametrize("line", [
    "import numpy as np\nnp.load(path, allow_pickle=False)",
    "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
    "import yaml\nyaml.parse(text, Loader=yaml.SafeLoader)", "model.eval()", "slot.load()", "import json\njson.loads(text)",
    "import subprocess\nsubprocess.run(['a'])"])
def test_what_is_safe_is_left_alone(line: str) -> None:
    assert not list(complaints(line))
