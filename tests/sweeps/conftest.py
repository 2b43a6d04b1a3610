"""Ledgers to test against: a SQLite file always, a PostgreSQL server of our own where marker `postgres` is selected."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from sweeps.ledger import Ledger
from sweeps.records import FINISHED, SEARCH, End, Report, Row, TrialSpec

PASSWORD = "s3cret/pass"


class PostgresServer:
    """A PostgreSQL cluster in a temporary directory, run by an unprivileged user, reached with a password."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._home = Path(tempfile.mkdtemp(prefix="mixup-sweeps-postgres-"))
        self._user = _unprivileged_user()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self._home / "password").write_text(PASSWORD)
        for path in (self._home, self._home / "password"):
            shutil.chown(path, self._user)
        self._run("initdb", "-U", "sweeper", "-A", "scram-sha-256", f"--pwfile={self._home / 'password'}", "-N")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self._home} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=20"
        self._run("pg_ctl", "-w", "-l", str(self._home / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is a crash: no goodbye, recovery from its log at the next start."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def url(self, database: str = "postgres", password: str = quote(PASSWORD, safe="")) -> str:
        return f"postgresql://sweeper:{password}@127.0.0.1:{self.port}/{database}"

    def new_space(self) -> str:
        """The address of an empty schema: to a ledger the same as an empty database, and made a hundred times faster."""
        name = f"space_{uuid.uuid4().hex[:8]}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._home)

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._binaries / program, "-D", self._home / "data", *arguments]
        # Output goes to a file: a server that inherits a pipe keeps its reader waiting.
        with (self._home / "setup.log").open("ab") as log:
            user = self._user if os.geteuid() == 0 else None
            extra = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()} if user else {}
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=self._home, timeout=60, **extra)


def _unprivileged_user() -> str:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def running_postgres() -> Iterator[PostgresServer]:
    """A server, until the caller is done; a skip where PostgreSQL is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (installed[-1] if installed else None)
    if found is None:
        pytest.skip("no initdb in PATH or under /usr/lib/postgresql: install PostgreSQL to run this")
    pytest.importorskip("psycopg")
    server = PostgresServer(Path(found).resolve().parent)
    yield server
    server.remove()


postgres = pytest.fixture(scope="session")(running_postgres)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that does not exist yet, in each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return request.getfixturevalue("postgres").new_space()


METRICS = ("train/loss", "train_clean/error", "val/error", "val/loss")


def spec_of(number: int = 0, **changes: Any) -> TrialSpec:
    """A trial of which only the number matters."""
    fields: dict[str, Any] = {
        "key": f"key{number}",
        "stage": SEARCH,
        "number": number,
        "capacity": "width=0.5",
        "arm_key": f"arm{number}",
        "split": 0,
        "repeat": 0,
        "config": {"alpha": 0.1 * number, "epochs": 12, "name": "digits"},
        "setting": {"alpha": 0.1 * number},
        "origin": "sampler",
        "brain": {"alpha": 0.05},
    }
    return TrialSpec(**{**fields, **changes})


def rows_of(key: str, first: int, last: int) -> tuple[Row, ...]:
    """The rows this trial has whenever and wherever it runs: same key, same numbers."""
    return tuple(
        Row(
            epoch=epoch,
            at=1000.0 + epoch,
            seconds=0.5,
            eval_seconds=0.1,
            metrics={name: zlib.crc32(f"{key} {epoch} {name}".encode()) / 2**32 for name in METRICS},
        )
        for epoch in range(first, last + 1)
    )


def report_of(key: str = "key0", token: str = "a", epochs: tuple[int, int] = (1, 0), **changes: Any) -> Report:
    """A report of epochs first to last (none by default)."""
    place = {"worker": "host:1", "node": "node", "device": "cpu", "started_at": 900.0}
    return Report(**{"key": key, "token": token, "rows": rows_of(key, *epochs), **place, **changes})


FINISH = End(
    state=FINISHED, metrics={"test/error": 0.25}, num_parameters=1234, predictions_path="p", provenance={"n": 1}
)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Builders of what a ledger is fed: `make.spec(...)`, `make.rows(...)`, `make.report(...)`, `make.finish`."""
    return SimpleNamespace(spec=spec_of, rows=rows_of, report=report_of, finish=FINISH)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger.open(ledger_url, patience_seconds=10) as opened:
        yield opened


@pytest.fixture
def study_id(ledger: Ledger) -> int:
    return ledger.register_study("digits", {"seed": 0}, {"trials": 4}, 1.0).id
