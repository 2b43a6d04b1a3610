"""The command line of the product, with stand-in trials: what `python -m sweeps` does, and the faults that CHAOS asks for.

CHAOS is JSON: `trial`, a function of tests.chaos.trials, and `with`, its arguments; `die_at`: the number of the commit's fail
point at which this process kills itself; `head_seconds`: how long a silent head is waited for.
"""

import json
import os
import signal
from dataclasses import replace
from functools import partial
from typing import Any

from sweeps import executor, watch
from sweeps.cli import main
from sweeps.ledger import store
from tests.chaos import trials


def die_at(number: int) -> None:
    """SIGKILL this process at its so-manieth fail point: before a commit, or after it."""
    left = [number]

    def count(_point: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    store.fail_point = count


def prepare(asked: dict[str, Any]) -> None:
    runner, execute = partial(getattr(trials, asked["trial"]), **asked["with"]), executor.execute

    def with_stand_in(sweep: Any, source: Any, place: Any, **options: Any) -> str:
        quick = replace(place, slice_seconds=0.1, checkpoint_seconds=0.1)
        return execute(sweep, source, quick, runner=runner, **options)

    executor.execute = with_stand_in
    if "die_at" in asked:
        die_at(asked["die_at"])
    watch.HEAD_SECONDS = watch.STUCK_SECONDS = asked.get("head_seconds", watch.HEAD_SECONDS)


if __name__ == "__main__":
    prepare(json.loads(os.environ["CHAOS"]))
    main()
