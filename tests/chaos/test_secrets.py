"""Canaries: secrets put into the environment of a real run, and looked for in every file that it leaves and every word it says."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.chaos.smoke_run import SmokeRun, assert_whole

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
DASHBOARD_PORTS = range(8265, 8316)

CANARIES = {name: f"canary{number}x5d1c9f27{number}" for number, name in enumerate((
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD",
    "RAY_AUTH_TOKEN", "AZURE_STORAGE_KEY", "HF_TOKEN", "tracking uri", "database url"))}
ENVIRONMENT = {**{name: secret for name, secret in CANARIES.items() if name.isupper() and name != "RAY_AUTH_TOKEN"},
               "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": CANARIES["RAY_AUTH_TOKEN"] * 2, "MLFLOW_TRACKING_USERNAME": "somebody",
               "AWS_ACCESS_KEY_ID": "AKIA" + "X" * 16, "DATABASE_URL": f"postgresql://me:{CANARIES['database url']}@db/ledger"}


def found_in(folder: Path) -> list[str]:
    """`secret in file`, for every canary in the name or content of a file below the folder."""
    leaks = []
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        leaks += [f"{name} in {path.relative_to(folder)}" for name, secret in CANARIES.items()
                  if secret.encode() in content or secret in path.name]
    return leaks


class Watched:
    """A run with the canaries in its environment, whose children were looked at while it went on."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.home, self.temporary = folder / "home", temporary
        uri = f"http://me:{CANARIES['tracking uri']}@127.0.0.1:9"
        run = SmokeRun(self.home, "--tracker", "defer", "--tracking-uri", uri, TMPDIR=str(temporary), RAY_TMPDIR=str(temporary),
                       **ENVIRONMENT)
        self.command_lines: set[str] = set()
        self.listening: set[tuple[str, int]] = set()
        while run.process.poll() is None:
            self._look(run.process.pid)
            time.sleep(0.3)
        self.code, self.output = run.wait(), run.output

    def _look(self, pid: int) -> None:
        try:
            children = psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for child in children:
            try:
                self.command_lines.add(" ".join(child.cmdline()))
                self.listening |= {(found.laddr.ip, found.laddr.port) for found in child.net_connections("tcp")
                                   if found.status == psutil.CONN_LISTEN}
            except psutil.Error:
                continue


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="canary", dir="/tmp") as temporary:  # Ray's sockets need a short path
        yield Watched(tmp_path_factory.mktemp("canary"), Path(temporary))


def test_the_run_went_well_and_left_logs_to_look_through(watched: Watched) -> None:
    assert watched.code == 0, watched.output
    assert_whole(watched.home / "ledger.db")
    assert list(watched.temporary.rglob("raylet.out")), "else there was nothing to find"
    assert watched.command_lines
    assert watched.listening


def test_no_secret_is_in_any_file_of_the_state_or_of_ray_s_session(watched: Watched) -> None:
    assert found_in(watched.home) == []
    assert found_in(watched.temporary) == []


def test_no_secret_is_said_or_stands_on_a_command_line(watched: Watched) -> None:
    said = watched.output + "\n".join(watched.command_lines)
    assert [name for name, secret in CANARIES.items() if secret in said] == []
    assert "http://***@127.0.0.1:9" in watched.output, "the address itself is told"


def test_mlflow_s_store_is_brought_up_without_any_secret(watched: Watched) -> None:
    done = subprocess.run([sys.executable, "-m", "sweeps", "sync", "smoke"], capture_output=True, text=True, check=False,
                          timeout=300, env={**os.environ, **ENVIRONMENT, "SWEEP_HOME": str(watched.home)})
    assert done.returncode == 0, done.stderr
    assert (watched.home / "mlflow.db").stat().st_size > 100_000
    assert (watched.home / "mlartifacts").exists()
    assert found_in(watched.home) == []
    assert not [secret for secret in CANARIES.values() if secret in done.stdout + done.stderr]


def test_ray_s_dashboard_is_off_and_the_token_is_in_no_file(watched: Watched) -> None:
    assert not [port for _, port in watched.listening if port in DASHBOARD_PORTS]
    assert not list(watched.temporary.rglob("*auth_token*"))


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"x {CANARIES['PGPASSWORD']} y")
    assert found_in(tmp_path) == ["PGPASSWORD in log"]
