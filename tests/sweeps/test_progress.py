"""What a person sees while a sweep runs."""

import io

from rich.console import Console

from sweeps.pace import Pace, Workload
from sweeps.progress import Progress
from sweeps.records import FAILED, FINISHED, RUNNING
from tests.sweeps.fake_trials import trial

LOADS = (Workload(capacity="width=1", num_search=2, num_measure=4, max_epochs=10),)


def follow(width: int = 80, lag: int = 0) -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=False, width=width)
    return Progress(console, Pace(LOADS), objective="val/error", lag=lambda: lag, clock=lambda: 61.0), text


def test_the_line_counts_stages_failures_lag_and_names_the_best() -> None:
    progress, _ = follow(lag=3)
    progress.see(trial(key="a", state=FINISHED, last_epoch=10, metrics={"val/error": 0.052, "cost/seconds": 30.0}))
    progress.see(trial(key="b", state=RUNNING))
    line = progress.line().plain
    for part in ("search 1/2", "measure 0/4", "running 1", "best val/error 5.2 % at width=1", "MLflow 3 behind", "left"):
        assert part in line


def test_a_failure_is_said_at_once_with_the_last_line_of_its_traceback() -> None:
    progress, text = follow()
    progress.see(trial(state=FAILED, failure_class="CRASHED", failure_text="Traceback\n  File\nValueError: [no] width"))
    assert "trial k failed: CRASHED ValueError: [no] width" in text.getvalue()


def test_away_from_a_terminal_lines_are_plain_and_whole_at_any_width() -> None:
    progress, text = follow(width=40)
    with progress:
        progress.say("a note that is much longer than the forty columns of this console, yet stays one line")
    assert "\x1b" not in text.getvalue()
    assert len(text.getvalue().splitlines()) == 2
