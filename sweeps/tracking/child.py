"""The process that writes to MLflow: `python -m sweeps.tracking.child`, started by Tracker and fed through its input.

Owns the loop, the waiting after a failure and the lines it says to its parent. A process of its own, since in a thread
of the driver its imports and MLflow's Python slow each ledger commit by half (measured: 6.3 to 9.4 ms) and the sending
too (40 to 62 ms a trial). It dies with the driver: the end of its input ends it, whatever it is doing.
"""

import json
import os
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from sweeps.ledger import Ledger
from sweeps.tracking.address import check_database, pause_asked
from sweeps.tracking.faults import Fault, Gone, explain
from sweeps.tracking.projection import Projection, Runs
from sweeps.tracking.summary import Summary

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, LONGEST_WAIT_AT_THE_END_SECONDS = 0.5, 30.0, 2.0
LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_AT_THE_END_SECONDS = 300.0, 30.0
"""Of what a busy server may ask for (Retry-After): at the end somebody waits."""

COUNT_SECONDS = 3.0
STEP_SECONDS = 2.0
"""Also with a slow server the parent hears this often that it gets on."""

Say = Callable[[dict[str, Any]], None]


def wait_seconds(num_failures: int, longest: float, draw: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failures in a row: doubling up to `longest`, times a random 0.5 to 1."""
    return min(longest, FIRST_WAIT_SECONDS * 2.0 ** min(num_failures - 1, 30)) * (0.5 + draw() / 2)


class Sender:
    """Keeps one projection going. `connect` opens MLflow (seconds), `say` tells the parent what and how far.

    Nothing MLflow does ends it: whatever is raised is told and tried again later.
    """

    def __init__(self, projection: Projection, connect: Callable[[], Runs], uri: str, say: Say,
                 pause: Callable[[str], float] = pause_asked) -> None:
        self._projection, self._connect, self._uri, self._say, self._pause = projection, connect, uri, say, pause
        self._runs: Runs | None = None
        self._is_open = False
        self._num_failures = 0
        self._has_warned = False
        self._num_behind, self._counted_at = 0, -COUNT_SECONDS
        self._summary: Summary | None = None
        self._has_looked = False
        self.is_ending = False

    def end_with(self, summary: Summary | None) -> None:
        """From now on, once everything is sent, put `summary` on the parent run and say that it has ended."""
        self._summary, self.is_ending, self._num_failures, self._has_looked = summary, True, 0, False

    def turn(self, poll_seconds: float) -> float:
        """Send once; how many seconds to wait before the next turn."""
        try:
            more = self._send()
        except Exception as error:
            return self._failed(error)
        self._num_failures, self._has_warned = 0, False
        self._say({"behind": self._behind() if more else 0, "error": None})
        if more:
            return 0.0
        if self.is_ending:
            self.is_ending = False
            self._say({"ended": self._projection.num_refused == 0})
        return poll_seconds

    def _send(self) -> bool:
        if self._runs is None:
            self._runs = self._connect()
        if not self._is_open:
            self._projection.open(self._runs)
            self._is_open, self._has_looked = True, self.is_ending
        until = time.monotonic() + STEP_SECONDS
        more = self._projection.step(lambda: time.monotonic() > until)
        if more or not self.is_ending:
            return more
        if not self._has_looked:  # a run that somebody deleted after its trial had ended is missed by nobody else
            self._projection.open(self._runs)
            self._has_looked = True
            if self._projection.step(lambda: time.monotonic() > until):
                return True
        if self._summary:
            self._projection.publish(self._summary, time.time())
        return False

    def _failed(self, error: Exception) -> float:
        self._num_failures += 1
        fault = explain(error, self._uri)
        if isinstance(error, Gone):
            self._is_open = False
        alone = self._num_failures == 1 and not fault.permanent and not isinstance(error, Gone)
        # one lost call is nobody's business, an outage is told once; what only a person can mend is told in mid-outage too
        if not alone and (fault.permanent or not self._has_warned):
            self._has_warned = True
            self._say({"warning": fault.text})
        self._say({"behind": self._behind(), "error": fault.text})
        if self.is_ending and fault.permanent:
            self.is_ending = False
            self._say({"ended": False})
        return self._wait(fault)

    def _wait(self, fault: Fault) -> float:
        own, most = LONGEST_WAIT_SECONDS, LONGEST_PAUSE_SECONDS
        if self.is_ending:
            own, most = LONGEST_WAIT_AT_THE_END_SECONDS, LONGEST_PAUSE_AT_THE_END_SECONDS
        asked = min(self._pause(self._uri), most) if fault.is_busy else 0.0
        # later than asked, each sender at another time: all that were sent away would come back at once
        return max(wait_seconds(20 if fault.permanent else self._num_failures, own), asked * (1 + random.random() / 10))

    def _behind(self) -> int:
        """How many trials are unsent; with many of them counting takes a while, so a count is good for some seconds."""
        now = time.monotonic()
        if now >= self._counted_at + COUNT_SECONDS:
            try:
                self._num_behind, self._counted_at = self._projection.num_behind(), now
            except Exception:  # the ledger is what failed: its error is told already
                return self._num_behind
        return self._num_behind


def main() -> None:
    """Read settings from the first line of the input, then send until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when to end, and flushes through this process
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(5)  # trials first
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    settings = json.loads(sys.stdin.readline() or "{}")
    if not settings:
        return
    commands: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin, commands), daemon=True).start()

    def say(words: dict[str, Any]) -> None:
        out.write(json.dumps({"tracking": words}) + "\n")

    warned: set[str] = set()

    def warn(text: str) -> None:
        if text not in warned:
            warned.add(text)
            say({"warning": text})

    def connect() -> Runs:
        check_database(settings["uri"])
        from sweeps.tracking.runs import MlflowRuns  # seconds, and the parent is told of any failure
        return MlflowRuns(settings["uri"], warn)

    ledger = Ledger.open(settings["ledger"], read_only=True)
    projection = Projection(ledger, settings["study"], settings["artifacts"], warn)
    _serve(Sender(projection, connect, settings["uri"], say), commands, settings["poll_seconds"])


def _serve(sender: Sender, commands: queue.Queue[dict[str, Any]], poll_seconds: float) -> None:
    while True:
        pause = sender.turn(poll_seconds)
        try:
            command = commands.get(timeout=pause) if pause else commands.get_nowait()
        except queue.Empty:
            continue
        sender.end_with(Summary.from_dict(command["end"]) if command["end"] else None)


def _listen(lines: TextIO, commands: queue.Queue[dict[str, Any]]) -> None:
    for line in lines:
        commands.put(json.loads(line))
    os._exit(0)  # also out of a call that hangs: the driver is gone or has seen enough


if __name__ == "__main__":
    main()
