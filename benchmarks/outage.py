"""The pace of a sweep while MLflow is away, beside its pace while MLflow is there, in one run."""

import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.result import Result
from benchmarks.sweeping import scratch, written
from sweeps.attempt import Place
from sweeps.executor import execute
from sweeps.home import Home
from sweeps.run import begun, driving, opened, prepared
from sweeps.study import load_study
from sweeps.sweep import Sweep
from sweeps.tracking import Tracker, environment, server_command

SHORT = "benchmarks.noop:run_short"
WINDOW_SECONDS, WARM_UP_SECONDS, READY_SECONDS, BAR = 60.0, 20.0, 120.0, 0.95
STUDY = """
name: outage
data: {name: digits, train_size: 200, val_size: 100}
model: {name: mlp, capacity: [{width: 0.25}]}
space: {epochs: 5, alpha: {low: 0, high: 8}}
search: {sampler: random, max_trials: 5000, prune: none}
measure: {alphas: [0, 8], splits: 2}
compute: {max_concurrent: 2}
tolerance: 1.0
"""


def outage_pace() -> Result:
    """Trials that end in a minute in which MLflow's server is killed, over those in the minute before; trials of half a second."""
    with scratch() as home:
        home.root.mkdir(exist_ok=True)
        study = load_study(written(home.root, STUDY))
        source = prepared(study)
        with opened(home) as ledger, serving(home) as server:
            record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
            with driving(ledger, record):
                sweep = begun(study, ledger, record, source, home)
                tracker = Tracker(home.ledger, server.uri, study.name)
                tracker.start()
                play = Play(sweep, server, tracker)
                play.start()
                execute(sweep, source, Place(storage=home.storage, study=study.name), runner=SHORT)
                play.join()
                server.start()
                is_whole = tracker.finish(timeout=READY_SECONDS)
            ends = [attempt.ended_at or 0.0 for attempt in ledger.attempts(record.id)]
    before, during = (sum(begin <= end < begin + WINDOW_SECONDS for end in ends) for begin in (play.began, play.killed))
    if not is_whole:
        raise RuntimeError(f"MLflow did not catch up: {tracker.last_error}")
    return Result(name="outage_pace", ours=during / before, unit="x", bar=f">= {BAR:g}", met=during >= BAR * before,
                  n=before + during, detail={"trials/s before": before / WINDOW_SECONDS, "during": during / WINDOW_SECONDS,
                                             "trials behind at its end": play.behind})


class Play(threading.Thread):
    """What happens beside the sweep: a minute with MLflow, a minute without, the end."""

    def __init__(self, sweep: Sweep, server: "Server", tracker: Tracker) -> None:
        super().__init__(daemon=True)
        self._sweep, self._server, self._tracker = sweep, server, tracker
        self.began = self.killed = 0.0
        self.behind = 0
        self._trials_end = threading.Event()
        sweep.observers.append(lambda trial: self._trials_end.set() if trial.ended_at else None)

    def run(self) -> None:
        self._trials_end.wait()
        time.sleep(WARM_UP_SECONDS)
        self.began = time.time()
        time.sleep(WINDOW_SECONDS)
        self._server.kill()
        self.killed = time.time()
        time.sleep(WINDOW_SECONDS)
        self.behind = self._tracker.lag()
        self._sweep.stop()


class Server:
    """`mlflow server` on the home's own store, as `mixup-sweep ui` starts it, which can be killed and started again."""

    def __init__(self, home: Home) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        self._command = server_command(home, port)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         start_new_session=True)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def serving(home: Home) -> Iterator[Server]:
    server = Server(home)
    try:
        yield server
    finally:
        server.kill()
