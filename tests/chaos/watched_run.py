"""A `mixup-sweep run` as a process whose words and trials can be waited for, and whether MLflow says the same as its ledger."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, FINISHED, TrialRecord
from tests.chaos.slow_trial import GATE
from tests.sweeps.tracking.stored_runs import trial_runs
from trainable.errors import LedgerError

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
STUDY = "smoke"
PLENTY_SECONDS = 240.0
ROOT = Path(__file__).parents[2]
PROGRAM = """
from sweeps.cli import main
from sweeps.executor import execute
from sweeps.ledger import Ledger
execute.__kwdefaults__["runner"] = "tests.chaos.slow_trial:run_slow"
if {patience_seconds} is not None:
    Ledger.open.__func__.__kwdefaults__["patience_seconds"] = {patience_seconds}
main()
"""
"""The command line with two defaults changed: what a trial is, and how long a ledger out of reach is waited for."""
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}


def until(claim: Callable[[], Any], what: str, seconds: float = PLENTY_SECONDS) -> Any:
    """What `claim` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := claim()):
        if time.monotonic() > deadline:
            pytest.fail(f"it did not happen: {what}")
        time.sleep(0.3)  # a look at the ledger takes 20 ms of a processor that the run needs
    return found


class WatchedRun:
    """`python -m sweeps run` of the smallest study with `splits` x 6 measured trials, in the folder `home`.

    With `is_slow` its trials take seconds until `hurry`. `patience_seconds` stands for the ledger's own.
    """

    def __init__(self, home: Path, *arguments: str, splits: int = 8, is_slow: bool = False, patience_seconds: float | None = None,
                 **environ: str) -> None:
        self.home = Home.resolve(ledger=environ.get("SWEEP_LEDGER"), environ={"SWEEP_HOME": str(home)})
        self.lines: list[str] = []
        self.num_planned = 2 * (2 + 3 * splits)
        home.mkdir(exist_ok=True)
        self._gate = home / GATE
        if is_slow:
            self._gate.touch()
        command = [sys.executable, "-c", PROGRAM.format(patience_seconds=patience_seconds), "run", STUDY]
        self.process = subprocess.Popen(
            [*command, "--set", f"measure.splits={splits}", *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, "SWEEP_HOME": str(home), **QUIET, **environ}, cwd=ROOT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def hurry(self) -> None:
        """From now on trials take no longer than they need."""
        self._gate.unlink(missing_ok=True)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for_word(self, word: str, num_lines_before: int = 0) -> None:
        """Until the run has said this, after so many lines."""
        def is_said() -> bool:
            return any(word in line for line in self.lines[num_lines_before:])

        until(lambda: is_said() or not self._reader.is_alive(), f"the run says {word!r}")
        assert is_said(), self.text

    def wait_for_trials(self, count: int) -> None:
        """Until this many trials have ended."""
        until(lambda: len(self.ended()) >= count or self.process.poll() is not None, f"{count} trials end")
        assert len(self.ended()) >= count, self.text

    def ended(self) -> dict[str, TrialRecord]:
        return {trial.key: trial for trial in self.trials() if trial.state in FINAL_STATES}

    def trials(self) -> list[TrialRecord]:
        with suppress(LedgerError), reading(self.home) as (ledger, study_id):  # not there yet, or out of reach
            return ledger.trials(study_id)
        return []

    def end(self) -> int:
        """The exit code, once the run is over."""
        code = self.process.wait(PLENTY_SECONDS)
        self._reader.join(30)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def __enter__(self) -> "WatchedRun":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


@contextmanager
def reading(home: Home) -> Iterator[tuple[Ledger, int]]:
    with Ledger.open(home.ledger, read_only=True, patience_seconds=1.0) as ledger:
        study = ledger.study(STUDY)
        if study is None:
            raise LedgerError("the study has not begun")
        yield ledger, study.id


def assert_whole(home: Home, num_trials: int, store: str) -> None:
    """The study is complete in the ledger, and the MLflow store at `store` has exactly its rows, at their original times."""
    with reading(home) as (ledger, study_id):
        trials, rows = ledger.trials(study_id), ledger.rows(study_id)
        assert not ledger.decisions(study_id, "contradiction")
    assert len(trials) == num_trials
    assert {trial.state for trial in trials} == {FINISHED}
    found = trial_runs(store, STUDY)
    assert sorted(found) == sorted(["", *(trial.key for trial in trials)])
    assert {len(runs) for runs in found.values()} == {1}
    for trial in trials:
        (run,) = found[trial.key]
        assert [row.epoch for row in rows[trial.id]] == list(range(1, trial.config["epochs"] + 1))
        points = {(name, row.epoch, round(1000 * row.at), value) for row in rows[trial.id] for name, value in row.metrics.items()}
        ended_ms = round(1000 * (trial.ended_at or 0))
        points |= {(name, trial.last_epoch, ended_ms, value) for name, value in trial.metrics.items()}
        assert run["points"] == points
        assert (run["status"], run["end"]) == ("FINISHED", ended_ms)
    assert found[""][0]["status"] == "FINISHED"
