"""One run of a sweep under Ray Tune, as far as it is not Ray's: what Tune's adapters ask and tell, and why the run ends.

Owns which of Tune's trials runs which of ours, what a worker is told, how long a stopping run and a silent trial are waited for,
and the signals. Knows no Ray, so that all of it can be tested without.
"""

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from sweeps.attempt import Order
from sweeps.losses import class_of
from sweeps.records import DISK, LOST, TIMEOUT, Report, last_line
from sweeps.sweep import Sweep
from trainable.errors import InfrastructureError

DRAIN_SECONDS = 20.0
"""How long a stopping sweep waits for each trial's next report, which keeps the epoch at work, before it cuts them off."""
PROBE_SECONDS = 30.0
"""How long a trial may be silent before its worker is spoken to, and before it is again. A connection that broke while nothing
travelled over it is found out only by sending: otherwise Ray waits seven minutes for a result that was thrown away."""
MAX_DROPPED = 64
"""How many pruned trials a worker is told of: it can have held only one that was pruned since it was given its present one."""


class Finished(Exception):
    """Nothing is left to run. The one exception that leaves an adapter: Tune's own way to end first describes every trial it
    ever ran on the disk, which costs more with each of them and is read by nobody. Workers are stopped either way."""


class Forced(KeyboardInterrupt):
    """The second signal: end at once."""


class Session:
    """What the adapters share during one run: which Tune trial runs which of ours, and why the run should end.

    `error` is the first thing that went wrong in an adapter.
    """

    def __init__(self, sweep: Sweep, num_workers: int) -> None:
        self.sweep, self.num_workers = sweep, num_workers
        self.error: BaseException | None = None
        self.drain_until = float("inf")
        self._keys: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._probed: dict[str, float] = {}
        self._hung: set[str] = set()
        self._has_said_stopping = False
        self._dropped: deque[str] = deque(maxlen=MAX_DROPPED)
        self._num_reports = self._num_lost = 0

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """An empty object: Tune pickles all it is given, for a restore that never comes."""
        return object, ()

    def stop(self) -> None:
        """Stop dispatching; what runs is cut off if it has not reported in time."""
        self.sweep.stop()
        self.drain_until = min(self.drain_until, time.monotonic() + DRAIN_SECONDS)

    def fail(self, error: BaseException) -> None:
        """End the run as soon as Tune lets us, and raise this afterwards."""
        self.error = self.error or error
        self.sweep.stop()
        self.drain_until = 0.0

    @property
    def over(self) -> bool:
        """Whether trials still running are to be cut off now."""
        if self.sweep.stopping and self.drain_until == float("inf"):  # somebody else stopped the sweep
            self.stop()
        if self.sweep.stopping and self.sweep.running and not self._has_said_stopping:
            self._has_said_stopping = True
            self.sweep.voice(f"stopping: running trials ({len(self.sweep.running)}) keep a checkpoint, which takes at most "
                             f"{DRAIN_SECONDS:.0f} s; a second Ctrl-C ends at once")
        return self.sweep.stopping and time.monotonic() >= self.drain_until

    def dispatch(self, trial_id: str) -> Order | None:
        """The next trial, or None where nothing is ready now. Raises Finished where nothing will be."""
        spec = None if self.error else self.sweep.next_trial()
        if spec is None:
            if self.error or self.sweep.done:
                raise Finished
            return None
        self._keys[trial_id] = spec.key
        return Order(spec=spec, rungs=self.sweep.rungs(spec), dropped=tuple(self._dropped))

    def is_hung(self, trial_id: str) -> bool:
        """Whether a trial that a worker has begun made no progress for too long, so that its worker is to be killed: said once.

        The clock of a trial starts when this is first asked, and again with each of its reports.
        """
        limit = self.sweep.study.compute.no_progress_seconds
        silent_seconds = time.monotonic() - self._heard.setdefault(trial_id, time.monotonic())
        if limit is None or silent_seconds < limit or trial_id not in self._keys or trial_id in self._hung:
            return False
        self._hung.add(trial_id)
        return True

    def is_to_be_probed(self, trial_id: str) -> bool:
        """Whether a trial has been silent for so long that its worker should be spoken to, now."""
        now = time.monotonic()
        silent_since = max(self._heard.get(trial_id, now), self._probed.get(trial_id, 0.0))
        if now - silent_since < PROBE_SECONDS:
            return False
        self._probed[trial_id] = now
        return True

    def record(self, trial_id: str, report: Report) -> bool:
        if trial_id not in self._keys:  # given up for lost: its trial has another try by now, which this must not end
            return True
        self._num_reports += 1
        self._heard[trial_id] = time.monotonic()
        if report.end and report.end.failure_class == DISK:  # every other trial would meet it too, and lose its training
            text = last_line(report.end.failure_text)
            self.fail(InfrastructureError(f"trial {report.key} on {report.worker} found no room in the storage: {text}; "
                                          "make room, and the same command goes on"))
            report = replace(report, end=None)
        stop = self.sweep.record(report)
        if stop:
            self._forget(trial_id)
            if report.end is None and report.key not in self.sweep.unfinished:
                self._dropped.append(report.key)
        return stop

    def lost(self, trial_id: str, text: str) -> None:
        """The worker of a trial is gone. Where none ever reported, something is wrong with all of them."""
        kind = TIMEOUT if trial_id in self._hung else class_of(text)
        key = self._forget(trial_id)
        if key is None:
            return
        if kind == TIMEOUT:
            text = f"no report for {self.sweep.study.compute.no_progress_seconds:g} s (compute.no_progress_seconds)"
        self._num_lost += kind != LOST
        self.sweep.lost(key, text, kind)
        if not self._num_reports and self._num_lost >= 2 * self.num_workers + 1:
            self.fail(InfrastructureError(f"no worker could begin a trial: {last_line(text)}"))

    def _forget(self, trial_id: str) -> str | None:
        self._heard.pop(trial_id, None)
        self._probed.pop(trial_id, None)
        self._hung.discard(trial_id)
        return self._keys.pop(trial_id, None)


@contextmanager
def signals(session: Session) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops the sweep in order, the second raises Forced at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if session.sweep.stopping:
            raise KeyboardInterrupt
        session.sweep.notes.append(f"stopped by {signal.Signals(number).name}")
        session.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt as error:  # ours, or what Ray makes of it on its way through C code
        raise Forced from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
