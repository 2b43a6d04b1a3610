"""What a trial leaves behind: bytes in the ledger, and memory of the driver, among 1,000 trials and among 10,000.

`python -m benchmarks.growth FOLDER NUM_TRIALS` drives a sweep in a process of its own and prints what it measured, as JSON. Ray
is not there: 10,000 trials of it would take a quarter of an hour, and what grows with trials is ledger, search and dispatch.
"""

import gc
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.noop import run_noop
from benchmarks.result import Result
from benchmarks.sweeping import scratch, written
from sweeps.attempt import Place
from sweeps.home import Home
from sweeps.pace import Pace
from sweeps.records import FINAL_STATES, TrialRecord
from sweeps.run import begun, driving, opened, prepared, workloads
from sweeps.study import load_study
from sweeps.sweep import run_locally

FEW, MANY = 1_000, 10_000
KILOBYTE = 1e3
STUDY = """
name: growth
data: {{name: digits, train_size: 200, val_size: 100}}
model: {{name: mlp, capacity: [{{width: 0.25}}]}}
space: {{epochs: 5, alpha: {{low: 0, high: 8}}}}
search: {{sampler: random, max_trials: {num_trials}, prune: none}}
measure: {{alphas: [0, 8], splits: 2}}
tolerance: 1.0
"""


def ledger_growth() -> Result:
    """Bytes that a no-op trial of 5 epochs takes in the ledger among 10,000, over what it takes among 1,000."""
    root = Path(__file__).parents[1]
    with scratch() as home:
        command = [sys.executable, "-m", "benchmarks.growth", str(home.root), str(MANY)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    few, half, many = json.loads(done.stdout.strip().splitlines()[-1])
    first, second = _kilobytes_a_trial(few, half), _kilobytes_a_trial(half, many)
    small, large = few["bytes"] / few["trials"], many["bytes"] / many["trials"]
    return Result(name="ledger_growth", ours=large / small, unit="x", bar="<= 1.05, driver <= 10 kB/trial", n=many["trials"],
                  met=large <= 1.05 * small and second <= 10,
                  detail={"ledger kB/trial": large / KILOBYTE, "driver kB/trial, first half": first, "second half": second,
                          "s/trial at 1,000": few["seconds"], "s/trial at 10,000": many["seconds"]})


def _kilobytes_a_trial(before: dict[str, float], after: dict[str, float]) -> float:
    return (after["memory"] - before["memory"]) / (after["trials"] - before["trials"]) / KILOBYTE


class Scale:
    """Weighs ledger and process when these many trials have ended. An observer of a sweep."""

    def __init__(self, path: Path, at: list[int]) -> None:
        self.found: list[dict[str, float]] = []
        self._path, self._at, self._ended = path, at, 0
        self._since, self._counted = time.monotonic(), 0

    def see(self, trial: TrialRecord) -> None:
        self._ended += trial.state in FINAL_STATES
        if self._at and self._ended >= self._at[0] and trial.state in FINAL_STATES:
            self._weigh(self._at.pop(0))

    def _weigh(self, num_trials: int) -> None:
        seconds = (time.monotonic() - self._since) / (num_trials - self._counted)
        with sqlite3.connect(self._path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        gc.collect()
        self.found.append({"trials": num_trials, "bytes": self._path.stat().st_size, "seconds": seconds,
                           "memory": psutil.Process().memory_info().rss})
        self._since, self._counted = time.monotonic(), num_trials


def main() -> None:
    root, num_trials = Path(sys.argv[1]), int(sys.argv[2])
    home = Home.resolve(environ={"SWEEP_HOME": str(root)})
    root.mkdir(parents=True, exist_ok=True)
    study = load_study(written(root, STUDY.format(num_trials=num_trials)))
    source = prepared(study)
    with opened(home) as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
        with driving(ledger, record):
            sweep = begun(study, ledger, record, source, home)
            pace, scale = Pace(workloads(study)), Scale(root / "ledger.db", [FEW, (FEW + num_trials) // 2, num_trials])
            sweep.observers += [pace.see, scale.see]
            run_locally(sweep, source, Place(storage=home.storage, study=study.name), run_noop)
    print(json.dumps(scale.found))


if __name__ == "__main__":
    main()
