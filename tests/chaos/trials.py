"""Stand-ins for run_trial that take their time, hang, or kill their own process. Imported by the workers.

The final metric `resumed` is the epoch from which the last attempt went on: 0 where it began anew.
"""

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from trainable.config import TrialConfig
from trainable.data import Source

Rows = Generator[SimpleNamespace, None, SimpleNamespace]


def error_of(config: TrialConfig, epoch: int) -> float:
    """Falls with the epochs, towards a value of the setting alone: any attempt of a trial gives the same rows."""
    return (0.1 + 0.01 * (math.log1p(config.alpha) - 1) ** 2 + 0.1 * config.weight_decay) * (1 + 1 / epoch)


def paced(config: TrialConfig, source: Source, device: str, *, slot: Any, seconds: float) -> Rows:
    """So many seconds an epoch, asleep, with checkpoints."""
    start = (slot.load() or {"epoch": 0})["epoch"]
    for epoch in range(1, config.epochs + 1):
        if epoch > start:
            time.sleep(seconds)
            if slot.due():
                slot.save({"epoch": epoch})
        error = error_of(config, epoch)
        try:
            yield SimpleNamespace(epoch=epoch, at=time.time(), seconds=0.01, eval_seconds=0.0,
                                  metrics={"val/error": error, "train/loss": 2 * error})
        except GeneratorExit:
            if not slot.discarded:
                slot.save({"epoch": max(epoch, start)})
            raise
    guess = np.full((len(source.test_labels), source.num_classes), -math.log(source.num_classes), np.float16)
    return SimpleNamespace(metrics={"test/error": error, "resumed": float(start)}, num_parameters=10, predictions=guess)


def deadly(config: TrialConfig, source: Source, device: str, *, slot: Any, seconds: float) -> Rows:
    """Without mixup (alpha 0) every attempt takes its process with it, after an epoch."""
    rows = paced(config, source, device, slot=slot, seconds=seconds)
    if config.alpha == 0:
        yield next(rows)
        os.kill(os.getpid(), signal.SIGKILL)
    return (yield from rows)


def hanging(config: TrialConfig, source: Source, device: str, *, slot: Any, seconds: float, notes: str) -> Rows:
    """Without mixup (alpha 0) every attempt starts a process that starts another, writes down whose they are, and hangs.

    On an odd split it does so in C code that never lets another Python thread run, else asleep.
    """
    rows = paced(config, source, device, slot=slot, seconds=seconds)
    if config.alpha == 0:
        yield next(rows)
        child = "import subprocess, time; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); time.sleep(1000)"
        process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
        grandchild = process.stdout.readline().strip()  # type: ignore[union-attr]
        with Path(notes).open("a") as file:
            file.write(f"{os.getpid()} {process.pid} {grandchild}\n")
        (ctypes.PyDLL(None).sleep if config.split % 2 else time.sleep)(1000)
    return (yield from rows)
