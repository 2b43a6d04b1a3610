"""How much memory driver and workers take, and whether a worker grows."""

import statistics
import threading
from pathlib import Path

import psutil

from benchmarks.result import Result
from benchmarks.sweeping import scratch, sweep, written
from sweeps.study import load_study

GIGABYTE = 1e9
NUM_TRIALS = 200
STUDY = f"""
name: memory
data: {{name: fashion_mnist, train_size: 512, val_size: 256}}
model: {{name: convnet, capacity: [{{width: 0.25}}]}}
space: {{epochs: 1, alpha: {{low: 0, high: 8}}}}
search: {{sampler: random, max_trials: {NUM_TRIALS}, prune: none}}
measure: {{alphas: [0, 8], splits: 2}}
compute: {{max_concurrent: 2}}
tolerance: 1.0
"""


class Watch:
    """Samples the resident memory of this process and of Ray's workers below it, a few times a second."""

    def __init__(self) -> None:
        self.driver, self.workers = 0, {}  # type: ignore[var-annotated]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.3):
            self.driver = max(self.driver, me.memory_info().rss)
            for child in me.children(recursive=True):
                try:
                    if "Worker" in " ".join(child.cmdline()[:1]):
                        used = child.memory_full_info()
                        self.workers.setdefault(child.pid, []).append((used.rss, used.uss))
                except psutil.Error:
                    continue


def memory() -> Result:
    """Peak resident memory of the largest worker on Fashion-MNIST, over 200 trials, and its growth over the second half.

    Resident memory counts the shared copy of the data in every worker that has read it: the sum of all is not what is taken.
    """
    with scratch() as home, Watch() as watch:
        home.root.mkdir(exist_ok=True)
        ran = sweep(load_study(written(Path(home.root), STUDY)), home)
    pids = {int(attempt.worker.rsplit(":", 1)[1]) for attempt in ran.attempts}
    curves = [samples for pid, samples in watch.workers.items() if pid in pids]
    peak = max(rss for samples in curves for rss, _ in samples) / GIGABYTE
    unshared = max(uss for samples in curves for _, uss in samples) / GIGABYTE
    growth = max(_growth([rss for rss, _ in samples]) for samples in curves)
    return Result(name="memory", ours=peak, unit="GB, largest worker", bar="<= 1.2, growth <= 1.05 x", n=len(ran.trials),
                  met=peak <= 1.2 and growth <= 1.05,
                  detail={"of it unshared GB": unshared, "driver GB": watch.driver / GIGABYTE, "growth x": growth})


def _growth(samples: list[int]) -> float:
    """Median of the last fifth over the median of the middle fifth."""
    fifth = max(1, len(samples) // 5)
    middle = samples[2 * fifth:3 * fifth] or samples
    return statistics.median(samples[-fifth:]) / statistics.median(middle)
