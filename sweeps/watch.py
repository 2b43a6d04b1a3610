"""Whether there is still a cluster to run on: looks every few seconds, beside the driver's own loop.

Owns how long a silent head and a cluster without room are waited for. Knows no Ray: what it asks arrives as arguments.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from trainable.errors import InfrastructureError

LOOK_SECONDS = 2.0
HEAD_SECONDS = 15.0
"""How long a head may be silent. Ray's own client ends the whole process after 60 s of it, without a word of ours."""
STUCK_SECONDS, LEAVING_SECONDS = 15.0, 30.0
"""How long the driver may take to end once the head is gone. Ray may wait for an answer that nobody will give."""

LEAVE_SECONDS = 2.0
"""How long the end of a run waits for a look at the cluster that is just being taken."""


class Watch:
    """Looks at a cluster. `head_answers` and `num_fitting` (trials that the machines alive have room for, None
    where there is no telling) ask it.

    `say` is told what a person should know, `fail` why the run must end.
    """

    def __init__(self, head_answers: Callable[[], bool], num_fitting: Callable[[], int | None], *,
                 say: Callable[[str], None], fail: Callable[[InfrastructureError], None],
                 no_machine_seconds: float) -> None:
        self._head_answers, self._num_fitting = head_answers, num_fitting
        self._say, self._fail = say, fail
        self._no_machine_seconds = no_machine_seconds
        self._head_seen = time.monotonic()
        self._room_seen = time.monotonic()
        self._waiting = False
        self.head_gone: str | None = None

    def look(self) -> None:
        """One look: says, once, that there is no room and that there is again; fails the run when it has waited too long."""
        now = time.monotonic()
        if not self._head_answers():
            if now - self._head_seen >= HEAD_SECONDS and not self.head_gone:
                self.head_gone = (f"the head of the Ray cluster has not answered for {HEAD_SECONDS:.0f} s: it is gone, or cut off. "
                                  "The same command goes on, on a cluster that answers")
                self._fail(InfrastructureError(self.head_gone))
            return
        self._head_seen = now
        self._look_for_room(now)

    def _look_for_room(self, now: float) -> None:
        num_fitting = self._num_fitting()
        if num_fitting is None:
            return
        if num_fitting > 0:
            if self._waiting:
                self._say("a machine with room for a trial is there again")
            self._room_seen, self._waiting = now, False
            return
        if not self._waiting:
            self._waiting = True
            self._say("no machine with room for a trial is left: waiting for one, at most "
                      f"{self._no_machine_seconds:g} s (compute.no_machine_seconds)")
        if now - self._room_seen >= self._no_machine_seconds:
            self._fail(InfrastructureError(f"no machine has had room for a trial for {self._no_machine_seconds:g} s "
                                           "(compute.no_machine_seconds). The same command goes on, once there is one"))


class Guard:
    """A thread that keeps a Watch looking while the block runs. Where the head is gone and the process has not ended of itself
    in time, it calls `give_up` with the reason: Ray's calls then block until Ray ends the process without a word."""

    def __init__(self, watch: Watch, give_up: Callable[[str], None], is_held: Callable[[], bool] = lambda: True) -> None:
        self._watch, self._give_up, self._is_held = watch, give_up, is_held
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if not self._watch.head_gone:
            self._thread.join(LEAVE_SECONDS)  # else it might ask Ray after Ray was left, which is an error

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            with suppress(Exception):  # a look that fails is followed by another: without any a dead head would go unseen
                self._watch.look()
            if self._watch.head_gone:
                if self._over.wait(STUCK_SECONDS):  # the driver got out of its loop, and has a last word to say
                    time.sleep(LEAVING_SECONDS)
                if self._is_held():  # else Ray has let go of the process: it ends by itself
                    self._give_up(self._watch.head_gone)
                return
