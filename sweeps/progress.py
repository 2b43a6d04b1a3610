"""What a person sees while a sweep runs: one live line on a terminal, a plain line now and then elsewhere.

Shows and never decides. Beside the command line, the only place that prints.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeps.pace import Pace
from sweeps.records import FAILED, FINISHED, MEASURE, SEARCH, TrialRecord, last_line

PLAIN_LINE_SECONDS = 15.0


class Progress:
    """Follows a sweep: `see` every committed trial, `say` what a person must know. Use as a context manager.

    `lag` tells how many trial changes MLflow does not have yet. `clock` is in seconds.
    """

    def __init__(self, console: Console, pace: Pace, *, objective: str,
                 lag: Callable[[], int] = lambda: 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._pace, self._objective = console, pace, objective
        self._lag, self._clock = lag, clock
        self._began = clock()
        self._best: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._live = Live(console=console, get_renderable=self.line, refresh_per_second=2, transient=True,
                          redirect_stdout=False, redirect_stderr=False)
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def see(self, trial: TrialRecord) -> None:
        """Take note of a trial's newest state; a failure is said at once."""
        with self._lock:
            self._pace.see(trial)
            value = trial.metrics.get(self._objective)
            if trial.state == FINISHED and trial.stage == SEARCH and value is not None:
                self._best[trial.capacity] = min(value, self._best.get(trial.capacity, value))
        if trial.state == FAILED:
            self.say(f"trial {trial.key} failed: {trial.failure_class} {last_line(trial.failure_text)}")

    def say(self, text: str) -> None:
        """One line above the live one."""
        self._console.print(Text(text), soft_wrap=True)

    def line(self) -> Text:
        """The progress line, as it is now."""
        with self._lock:
            pace, best = self._pace, dict(self._best)
            left = pace.seconds_left()
            parts = [f"[{_duration(self._clock() - self._began)}]"]
            parts += [f"{stage} {pace.num_ended(stage)}/{pace.num_planned(stage)}" for stage in (SEARCH, MEASURE)]
            parts.append(f"running {pace.num_running}")
            if pace.num_failed:
                parts.append(f"failed {pace.num_failed}")
        if best:
            capacity, value = min(best.items(), key=lambda item: item[1])
            shown = f"{100 * value:.1f} %" if self._objective.endswith("error") else f"{value:.3f}"
            parts.append(f"best {self._objective} {shown} at {capacity}")
        if lag := self._lag():
            parts.append(f"MLflow {lag} behind")
        parts.append("time left: not known yet" if left is None else f"about {_duration(left)} left")
        return Text("  ".join(parts))

    def __enter__(self) -> "Progress":
        self._live.start() if self._console.is_terminal else self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if self._console.is_terminal:
            self._live.stop()
        self._console.print(self.line(), soft_wrap=True)

    def _tick(self) -> None:
        while not self._over.wait(PLAIN_LINE_SECONDS):
            self._console.print(self.line(), soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(int(seconds + 0.5), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
