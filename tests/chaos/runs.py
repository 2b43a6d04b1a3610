"""A `run` of a small study as a process of its own: started, watched through its ledger, killed, started again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, AttemptRecord, TrialRecord
from trainable.errors import LedgerError

ROOT = Path(__file__).resolve().parents[2]
STUDY = "chaos"
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
"""How often what happens at random is repeated: 1 in CI, 5 in `make chaos`."""

SLOW_TO_GO = "Agent"
"""In the names of the processes of Ray that try for a minute to tell of their node's end before they go."""

TEXT = """\
name: chaos
data:    {name: digits, train_size: 64, val_size: 32}
model:   {name: convnet, capacity: {width: [0.25]}}
train:   {batch_size: 32}
space:   {epochs: {low: 5, high: 6}, weight_decay: 0.0001, dropout: 0}
search:  {max_trials: 3, sampler: random, prune: none}
measure: {alphas: [0, 1], splits: 2}
compute: {cpus: 1, retries: 1}
tolerance: 0.9
"""
"""3 trials are searched, 4 measured."""


class Sweeping:
    """The study in a folder of its own, and the process that runs it at the moment."""

    def __init__(self, folder: Path, template: Path, **sets: Any) -> None:
        self.home = Home.resolve(environ={"SWEEP_HOME": str(folder / "home")})
        self.home.root.mkdir(parents=True)
        shutil.copy(template, self.home.root / "mlflow.db")
        self.file = folder / "chaos.yaml"
        self.file.write_text(TEXT)
        self.output = folder / "output.txt"
        self.sets = [f"{name.replace('__', '.')}={json.dumps(value)}" for name, value in sets.items()]
        self.options: dict[str, str] = {}
        self.prefix: list[str] = []
        self.process: subprocess.Popen[bytes]

    def start(self, trial: str = "paced", seconds: float = 0.2, faults: dict[str, Any] | None = None, **arguments: Any) -> None:
        """The same command each time, but for its faults."""
        chaos = {"trial": trial, "with": {"seconds": seconds, **arguments}, **(faults or {})}
        options = [part for name, value in self.options.items() for part in (f"--{name}", value)]
        options += [part for each in self.sets for part in ("--set", each)]
        command = [*self.prefix, sys.executable, "-m", "tests.chaos.drive", "run", str(self.file), *options]
        environment = {**os.environ, "SWEEP_HOME": str(self.home.root), "CHAOS": json.dumps(chaos), "PYTHONPATH": str(ROOT),
                       "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True)

    @property
    def text(self) -> str:
        """What all its processes have printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def family(self) -> list[int]:
        """The processes that the driver has started, and that must end with it."""
        found = [] if self.process.poll() is not None else psutil.Process(self.process.pid).children(recursive=True)
        return [process.pid for process in found if SLOW_TO_GO not in _name(process)]

    def kill(self) -> list[int]:
        """SIGKILL the driver and nothing else: its family, which must end by itself."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        return family

    def end(self, seconds: float = 240) -> int:
        """The exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended:\n{self.text[-4000:]}") from None

    def close(self) -> None:
        """Whatever is left of it ends."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()

    def assert_consistent(self) -> None:
        """The product's own judge finds the study complete, and the same in every place."""
        from sweeps.doctor import assert_consistent
        server = self.options.get("tracking-uri")
        assert_consistent(replace(self.home, tracking_uri=server) if server else self.home, STUDY)

    def trials(self) -> list[TrialRecord]:
        """What the ledger has; nothing where it is not there yet."""
        return self._read(lambda ledger, study_id: ledger.trials(study_id)) or []

    def attempts(self) -> list[AttemptRecord]:
        return self._read(lambda ledger, study_id: ledger.attempts(study_id)) or []

    def revision(self) -> int:
        return self._read(lambda ledger, study_id: ledger.head_revision(study_id)) or 0

    def num_ended(self) -> int:
        return sum(trial.state in FINAL_STATES for trial in self.trials())

    def _read(self, body: Callable[[Ledger, int], Any]) -> Any:
        try:
            with closing(Ledger.open(self.home.ledger, read_only=True)) as ledger:
                study = ledger.study(STUDY)
                return body(ledger, study.id) if study else None
        except LedgerError:  # the file is there a moment before its tables are
            return None

    def until(self, claim: Callable[[], Any], seconds: float = 120, *, dead: bool = False) -> Any:
        """Wait for a claim about the run, while it runs; unless it may be `dead`, its end before that is a failure."""
        deadline = time.monotonic() + seconds
        while not (found := claim()):
            over = self.process.poll() is not None
            if over and dead:
                return claim()
            assert not over, f"it ended with {self.process.returncode}:\n{self.text[-4000:]}"
            assert time.monotonic() < deadline, f"waited {seconds:g} s in vain:\n{self.text[-4000:]}"
            time.sleep(0.1)
        return found


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def gone(pids: list[int], seconds: float = 30) -> bool:
    """Whether no process of these is left after so long."""
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def worker_of(attempt: AttemptRecord) -> int:
    """The process of an attempt."""
    return int(attempt.worker.rpartition(":")[2])
