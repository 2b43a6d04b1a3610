"""Real trials that take their time while a file says so: a run lasts until the test has done what it wanted to do to it."""

import os
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from trainable.trial import EpochRow, Outcome, run_trial

PAUSE_SECONDS = 1.0
GATE = "slow"


def run_slow(config: Any, source: Any, device: str = "cpu", **more: Any) -> Generator[EpochRow, None, Outcome]:
    """`run_trial` with a pause after each epoch, while `$SWEEP_HOME/slow` is there."""
    gate = Path(os.environ["SWEEP_HOME"]) / GATE
    with closing(run_trial(config, source, device, **more)) as rows:
        while True:
            try:
                row = next(rows)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if gate.exists():
                time.sleep(PAUSE_SECONDS)
            yield row
