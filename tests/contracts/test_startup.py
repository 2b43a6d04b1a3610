"""Commands that only read must start at once: without torch, ray or mlflow."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "mlflow")


@pytest.mark.parametrize("code", [
    "import sweeps.cli",
    "import sweeps.plan, sweeps.study; sweeps.plan.plan(sweeps.study.load_study('digits'))",
    "import sweeps.answer, sweeps.analysis.assemble, sweeps.report, sweeps.optuna_study, sweeps.tracking",
    "import search_spaces.space, trainable.config, trainable.moments, trainable.data, trainable.models",
])
def test_reading_commands_import_nothing_heavy(code: str) -> None:
    probe = f"import sys; {code}; print([name for name in {HEAVY} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
