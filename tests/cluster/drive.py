"""A driver as a process of its own, for tests that kill it: python drive.py FOLDER [SECONDS_PER_EPOCH].

Runs the small study of the tests on a local Ray, with trials that take their time. Prints `dispatched KEY` and the end.
"""

import os
import runpy
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.executor import execute
from sweeps.ledger import Ledger
from sweeps.sweep import Sweep

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "sweeps" / "small_study.py"))
DIGEST = "0" * 16


def make_slow(value_of: Any, seconds: float) -> Any:
    """A stand-in for run_trial that takes its time. Final metric `resumed` is the epoch from which its last attempt went on."""
    def slow(config: Any, source: Any, device: str, *, slot: Any) -> Generator[SimpleNamespace, None, SimpleNamespace]:
        start = (slot.load() or {"epoch": 0})["epoch"]
        for epoch in range(1, config.epochs + 1):
            if epoch > start:
                time.sleep(seconds)
                if slot.due():
                    slot.save({"epoch": epoch})
            try:
                yield SimpleNamespace(epoch=epoch, at=time.time(), seconds=0.01, eval_seconds=0.0, metrics={
                    "val/error": value_of(config.to_dict()) * (1 + 1 / epoch)})
            except GeneratorExit:
                if not slot.discarded:
                    slot.save({"epoch": max(epoch, start)})
                raise
        return SimpleNamespace(metrics={"resumed": float(start)}, num_parameters=10,
                               predictions=np.zeros((len(source.test_labels), source.num_classes), np.float16))
    return slow


def study() -> Any:
    return SMALL["make_study"](max_trials=4, rule="asha", max_concurrent=2, retries=3)


def open_sweep(folder: Path) -> Sweep:
    ledger = Ledger.open(folder / "ledger.db")
    asked = study()
    record = ledger.register_study(asked.name, asked.identity(), asked.to_dict(), time.time())
    ledger.acquire(record.id, os.uname().nodename, os.getpid(), time.time())
    ledger.set_study(record.id, data_digest=DIGEST, complete=False)
    return Sweep(asked, ledger, record, Brain(asked), DIGEST)


def main() -> None:
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
    sweep = open_sweep(folder)
    sweep.observers.append(lambda trial: print(trial.state, trial.key, trial.last_epoch, flush=True))
    place = Place(storage=str(folder), study=sweep.study.name, slice_seconds=0.1, checkpoint_seconds=0.1)
    print("end", execute(sweep, SMALL["make_data"](), place, runner=make_slow(SMALL["value_of"], seconds)), flush=True)
    sweep.ledger.set_study(sweep.record_of_study.id, complete=sweep.complete)
    sweep.ledger.close()


if __name__ == "__main__":
    main()
