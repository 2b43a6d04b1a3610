"""The study `smoke`, made smaller still, run by the command line in a process of its own."""

import os
import subprocess
import sys
import time
import weakref
from collections import Counter
from contextlib import suppress
from pathlib import Path

from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, FINISHED, TrialRecord
from trainable.errors import LedgerError

SMALL = ("--set", "measure.alphas=[0, 1]", "--set", "model.capacity={width: [0.25]}")
NUM_TRIALS = 6
"""2 searched, 2 alphas on 2 splits."""
WAIT_SECONDS = 400.0


class SmokeRun:
    """`mixup-sweep run smoke` under SWEEP_HOME = `home`; `environment` on top of ours, None to leave a variable out."""

    def __init__(self, home: Path, *arguments: str, study: tuple[str, ...] = SMALL, **environment: str | None) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "SWEEP_HOME": str(home), **environment}
        self._output = home.parent / f"{home.name} output {time.monotonic_ns()}"
        with self._output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sweeps", "run", "smoke", *study, *arguments], stdout=file, stderr=subprocess.STDOUT,
                env={name: value for name, value in variables.items() if value is not None})
        weakref.finalize(self, _end, self.process)

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait(self) -> int:
        """Its exit code; a run that hangs is killed and fails the test."""
        try:
            return self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the run hangs: {self.output}") from None

    def wait_for_trials(self, count: int, ledger: Path | None = None) -> None:
        """Until so many trials have ended."""
        deadline = time.monotonic() + WAIT_SECONDS
        while sum(trial.state in FINAL_STATES for trial in trials_in(ledger or self.home / "ledger.db")) < count:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Of a run whose test failed, leave nothing running."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def trials_in(ledger: Path, study: str = "smoke") -> list[TrialRecord]:
    """The trials of the study; none where there is no ledger yet."""
    if not ledger.exists():
        return []
    with suppress(LedgerError), Ledger.open(ledger, read_only=True) as opened:
        record = opened.study(study)
        return opened.trials(record.id) if record else []
    return []


def assert_whole(ledger: Path, count: int = NUM_TRIALS) -> None:
    """Every trial finished, with all its epochs, once."""
    trials = trials_in(ledger)
    assert Counter(trial.state for trial in trials) == {FINISHED: count}, [trial.failure_text for trial in trials]
    assert len({trial.key for trial in trials}) == count
    with Ledger.open(ledger, read_only=True) as opened:
        rows = opened.rows(trials[0].study_id)
    assert all([row.epoch for row in rows[trial.id]] == list(range(1, trial.config["epochs"] + 1)) for trial in trials)
