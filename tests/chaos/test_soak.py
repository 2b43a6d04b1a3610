"""Everything at once: a sweep on a cluster and an MLflow server, under a killer that picks something every five seconds."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from sweeps.records import FINISHED, RUNNING
from tests.chaos.machines import Machines
from tests.chaos.runs import ROUNDS, Sweeping, worker_of
from tests.sweeps.tracking.test_server import Server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(2400)]
Make = Callable[..., Sweeping]
NUM_SEARCHED, NUM_SPLITS = 10 + 18 * ROUNDS, 4 + 9 * ROUNDS
"""54 trials in CI, 198 in `make chaos`."""
KILL_SECONDS = 5.0
VICTIMS = ("worker", "machine", "mlflow", "driver")


def kill_a_worker(sweep: Sweeping, chance: random.Random) -> None:
    pids = sorted(worker_of(attempt) for attempt in sweep.attempts() if attempt.state == RUNNING)
    with suppress(IndexError, psutil.NoSuchProcess):
        process = psutil.Process(chance.choice(pids))
        if process.name().startswith("ray::"):  # else the number is another process's by now
            process.send_signal(signal.SIGKILL)


def kill(victim: str, sweep: Sweeping, machines: Machines, server: Server, chance: random.Random) -> None:
    """And what comes back comes back at once."""
    if victim == "worker":
        kill_a_worker(sweep, chance)
    elif victim == "machine":
        machines.kill()
        machines.add()
    elif victim == "mlflow":
        server.kill()
        server.start()
    else:
        sweep.kill()
        sweep.start(seconds=0.3)


def test_a_sweep_under_a_killer_ends_whole(sweeping: Make, machines: Machines, empty_mlflow: Path, tmp_path: Path) -> None:
    shutil.copy(empty_mlflow, tmp_path / "server.db")
    server, chance, killed = Server(tmp_path), random.Random(int(os.environ.get("CHAOS_SEED", "0"))), Counter[str]()
    try:
        sweep = sweeping(search__max_trials=NUM_SEARCHED, measure__splits=NUM_SPLITS, compute__retries=100)
        # a driver may begin in the seconds in which MLflow is down
        sweep.options |= {"address": machines.address, "tracking-uri": server.uri, "tracker": "defer"}
        sweep.start(seconds=0.3)
        while sweep.num_ended() < NUM_SEARCHED + 2 * NUM_SPLITS:
            time.sleep(KILL_SECONDS)
            if sweep.process.poll() is not None:
                break
            victim = chance.choice(VICTIMS)
            killed[victim] += 1
            kill(victim, sweep, machines, server, chance)
        assert sweep.end() == 0, sweep.text[-4000:]
        print(f"killed: {dict(killed)}")
        sweep.assert_consistent()
        assert {trial.state for trial in sweep.trials()} == {FINISHED}
        assert killed.total() >= 3
    finally:
        server.kill()
