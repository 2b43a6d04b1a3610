"""The loop that sends: waiting after failures, what it tells its parent, how it ends."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.ledger import Ledger
from sweeps.tracking import environment
from sweeps.tracking.child import LONGEST_PAUSE_AT_THE_END_SECONDS, LONGEST_PAUSE_SECONDS, Sender, wait_seconds
from sweeps.tracking.faults import Gone, Refused
from sweeps.tracking.summary import Summary
from tests.sweeps.tracking.fake_runs import Down, FakeRuns


class Denied(Exception):
    error_code = "UNAUTHENTICATED"


class Script:
    """A projection whose steps give what is written here: True or False (more?), or an error."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.calls: list[str] = []
        self.num_refused = 0

    def open(self, runs: FakeRuns) -> None:
        self.calls.append("open")

    def num_behind(self) -> int:
        return 7

    def step(self, is_enough: Any) -> bool:
        self.calls.append("step")
        found = self.steps.pop(0) if self.steps else False
        if isinstance(found, Exception):
            raise found
        return bool(found)

    def publish(self, summary: Summary, at: float) -> None:
        self.calls.append(f"publish {summary.state}")


def sender(script: Script, connect: Any = FakeRuns) -> tuple[Sender, list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    return Sender(script, connect, "http://x", said.append), said  # type: ignore[arg-type]


def all_said(said: list[dict[str, Any]], name: str) -> list[Any]:
    return [words[name] for words in said if name in words]


@pytest.mark.parametrize(("failures", "low", "high"), [(1, 0.25, 0.5), (2, 0.5, 1.0), (4, 2.0, 4.0), (7, 15.0, 30.0),
                                                       (10_000, 15.0, 30.0)])
def test_waiting_doubles_up_to_half_a_minute_and_is_spread(failures: int, low: float, high: float) -> None:
    assert wait_seconds(failures, 30.0, lambda: 0.0) == low
    assert wait_seconds(failures, 30.0, lambda: 1.0) == high


def test_with_more_to_send_there_is_no_pause_and_the_lag_is_told() -> None:
    made, said = sender(Script(True, False))
    assert made.turn(2.0) == 0.0
    assert said[-1] == {"behind": 7, "error": None}
    assert made.turn(2.0) == 2.0
    assert said[-1] == {"behind": 0, "error": None}


def test_a_single_lost_call_is_nobodys_business() -> None:
    made, said = sender(Script(Down("x"), False, Down("x"), False))
    for _ in range(4):
        made.turn(2.0)
    assert all_said(said, "warning") == []
    assert all_said(said, "error")[-1] is None


def test_an_outage_is_one_warning_and_the_lag_goes_on_being_told() -> None:
    made, said = sender(Script(*(Down(f"at 0x{number}") for number in range(6)), False))
    pauses = [made.turn(2.0) for _ in range(7)]
    assert len(all_said(said, "warning")) == 1
    assert all_said(said, "behind") == [7] * 6 + [0]
    assert pauses[-1] == 2.0
    assert pauses[5] > pauses[0]


def test_what_only_a_person_can_mend_is_told_in_the_middle_of_an_outage_too() -> None:
    made, said = sender(Script(Down("x"), Down("y"), Denied(), Down("z")))
    for _ in range(4):
        made.turn(2.0)
    told = all_said(said, "warning")
    assert len(told) == 2
    assert "refuses the credentials" in told[1]


def test_mlflow_that_cannot_be_opened_is_tried_again() -> None:
    tries: list[int] = []

    def connect() -> FakeRuns:
        tries.append(1)
        if len(tries) < 3:
            raise Down("not yet")
        return FakeRuns()

    script = Script(False)
    made, said = sender(script, connect)
    for _ in range(3):
        made.turn(2.0)
    assert script.calls == ["open", "step"]
    assert said[-1]["error"] is None


def test_what_is_gone_is_looked_up_anew_at_once() -> None:
    script = Script(Gone("runs vanished"), False)
    made, said = sender(script)
    assert made.turn(2.0) <= 0.5
    made.turn(2.0)
    assert script.calls == ["open", "step", "open", "step"]
    assert all_said(said, "warning") == ["runs vanished"]


def test_the_end_comes_after_the_last_row_and_is_told_once() -> None:
    script = Script(True, False)
    made, said = sender(script)
    made.end_with(Summary())
    for _ in range(4):
        made.turn(2.0)
    assert script.calls == ["open", "step", "step", "publish FINISHED", "step", "step"]
    assert all_said(said, "ended") == [True]


def test_the_end_is_tried_again_while_waiting_helps() -> None:
    script = Script(Down("x"), Down("x"), False)
    made, said = sender(script)
    made.end_with(Summary())
    assert max(made.turn(2.0) for _ in range(2)) <= 2.0
    made.turn(2.0)
    assert all_said(said, "ended") == [True]


def test_a_busy_server_is_left_alone_as_long_as_it_asks_and_never_for_hours() -> None:
    asked = [7.0, 5.0, 1e6, 0.0, 1e6]
    script = Script(*(Down("too many 503 error responses") for _ in asked))
    made = Sender(script, FakeRuns, "http://x", lambda words: None, lambda uri: asked.pop(0))  # type: ignore[arg-type]
    assert 7.0 <= made.turn(2.0) <= 7.7
    assert 5.0 <= made.turn(2.0) <= 5.5
    assert LONGEST_PAUSE_SECONDS <= made.turn(2.0) <= 1.1 * LONGEST_PAUSE_SECONDS
    assert made.turn(2.0) <= 4.0
    made.end_with(Summary())
    assert made.turn(2.0) <= 1.1 * LONGEST_PAUSE_AT_THE_END_SECONDS


def test_a_server_that_is_only_away_is_not_asked_how_long() -> None:
    script = Script(Down("Connection refused"))
    made = Sender(script, FakeRuns, "http://x", lambda words: None, lambda uri: 1 / 0)  # type: ignore[arg-type]
    assert made.turn(2.0) <= 0.5


def test_what_was_deleted_since_the_start_is_looked_for_once_at_the_end() -> None:
    script = Script(False, False, True, False)
    made, said = sender(script)
    made.turn(2.0)
    made.end_with(Summary())
    assert [made.turn(2.0) for _ in range(3)] == [0.0, 2.0, 2.0]
    assert script.calls == ["open", "step", "step", "open", "step", "step", "publish FINISHED", "step"]
    assert all_said(said, "ended") == [True]


@pytest.mark.parametrize("error", [Denied(), Refused("no")])
def test_the_end_does_not_wait_for_what_only_a_person_can_mend(error: Exception) -> None:
    made, said = sender(Script(error))
    made.end_with(Summary())
    made.turn(2.0)
    assert all_said(said, "ended") == [False]
    assert all_said(said, "warning")


def test_a_trial_left_out_is_not_everything() -> None:
    script = Script(False)
    script.num_refused = 1
    made, said = sender(script)
    made.end_with(Summary())
    made.turn(2.0)
    assert all_said(said, "ended") == [False]


def test_the_process_ends_when_its_parent_does(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    settings = {"ledger": str(tmp_path / "ledger.db"), "uri": "http://127.0.0.1:9", "study": "x", "artifacts": None,
                "poll_seconds": 600.0}
    child = subprocess.run([sys.executable, "-m", "sweeps.tracking.child"], input=json.dumps(settings) + "\n", text=True,
                           env=environment(), timeout=120, check=False)
    assert child.returncode == 0


def test_words_on_the_output_are_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    Sender(Script(False), FakeRuns, "http://x", lambda words: print(json.dumps(words), file=text)).turn(1.0)  # type: ignore[arg-type]
    assert [json.loads(line) for line in text.getvalue().splitlines()] == [{"behind": 0, "error": None}]
