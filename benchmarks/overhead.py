"""What a trial costs beside its training, at 200 and at 2,000 trials; stock Ray Tune with its MLflow callback beside it."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.result import Result
from benchmarks.sweeping import Ran, scratch, sweep, written
from sweeps.study import load_study

NOOP = "benchmarks.noop:run_noop"
WARM_UP_SECONDS = 25.0
PEER_SECONDS = 400.0
STUDY = """
name: noop
data: {{name: digits, train_size: 200, val_size: 100}}
model: {{name: mlp, capacity: [{{width: 0.25}}]}}
space: {{epochs: 5, alpha: {{low: 0, high: 8}}}}
search: {{sampler: random, max_trials: {num_trials}, prune: none}}
measure: {{alphas: [0, 8], splits: 2}}
compute: {{max_concurrent: 2}}
tolerance: 1.0
"""


def trial_overhead() -> Result:
    """Seconds of wall time a no-op trial of 5 epochs takes, MLflow fully caught up included, on 2 workers."""
    seconds, ran = _seconds_per_trial(200)
    found = {"stock Ray Tune": peer("fresh", 8), "reuse_actors + stock callback": peer("reuse", 30)}
    peers = {name: value for name, value in found.items() if value is not None}
    without = (ran.last_result - ran.first_start) / len(ran.trials)
    return Result(name="trial_overhead", ours=seconds, unit="s/trial", peers=peers, bar="<= 0.15", met=seconds <= 0.15,
                  n=len(ran.trials), detail={"until the last result": without})


def flat_cost() -> Result:
    """Cost of a trial among 2,000, over the cost among 200."""
    few, _ = _seconds_per_trial(200)
    many, ran = _seconds_per_trial(2000)
    return Result(name="flat_cost", ours=many / few, unit="x", bar="<= 1.3", met=many <= 1.3 * few, n=len(ran.trials),
                  detail={"s/trial at 200": few, "s/trial at 2000": many})


def _seconds_per_trial(num_trials: int) -> tuple[float, Ran]:
    with scratch() as home:
        home.root.mkdir(exist_ok=True)
        study = load_study(written(home.root, STUDY.format(num_trials=num_trials)))
        ran = sweep(study, home, NOOP, WARM_UP_SECONDS)
    assert all(trial.state == "FINISHED" for trial in ran.trials)
    return (ran.tracked_at - ran.first_start) / len(ran.trials), ran


def peer(kind: str, num_trials: int) -> float | None:
    """What stock Ray Tune needs: seconds a trial or, for digits, its efficiency. None when it does not end in PEER_SECONDS.

    In a process of its own, since its MLflow callback and ours want other settings.
    """
    root = Path(__file__).parents[1]
    with scratch() as home:
        command = [sys.executable, "-m", "benchmarks.stock", kind, str(num_trials), str(home.root)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=dict(os.environ),
                                  timeout=PEER_SECONDS)
        except subprocess.TimeoutExpired:
            return None
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.strip().splitlines()[-1])
