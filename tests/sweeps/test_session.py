"""A run under Tune without Tune: what is dispatched, what is dropped, when the run ends and with which error."""

import copy
import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps import session as room
from sweeps.records import FINISHED, End, Report, TrialSpec
from sweeps.session import Finished, Forced, Session, signals
from trainable.errors import InfrastructureError


class FakeSweep:
    """A sweep that hands out `names`, and stops a trial as `stops` says."""

    def __init__(self, names: str = "abc", stops: dict[str, bool] | None = None) -> None:
        self.waiting, self.stops = list(names), stops or {}
        self.stopping, self.running, self.losses = False, set[str](), list[tuple[str, str, str]]()
        self.said: list[str] = []
        self.voice = self.said.append
        self.study = SimpleNamespace(compute=SimpleNamespace(no_progress_seconds=50.0))
        self.notes: list[str] = []
        self.interrupted = set[str]()

    @property
    def done(self) -> bool:
        return not self.running and (self.stopping or not self.waiting)

    @property
    def unfinished(self) -> set[str]:
        return self.running | self.interrupted

    def next_trial(self) -> TrialSpec | None:
        if self.stopping or not self.waiting:
            return None
        key = self.waiting.pop(0)
        self.running.add(key)
        return TrialSpec(key=key, stage="search", number=0, capacity="", arm_key="", split=0, repeat=0, config={}, setting={},
                         origin="")

    def rungs(self, spec: TrialSpec) -> tuple[int, ...]:
        return (2, 4)

    def record(self, report: Report) -> bool:
        stop = report.end is not None or self.stops.get(report.key, False) or self.stopping
        if stop:
            self.running.discard(report.key)
            if self.stopping and report.end is None:
                self.interrupted.add(report.key)
        return stop

    def lost(self, key: str, text: str, kind: str) -> None:
        self.running.discard(key)
        self.losses.append((key, text, kind))

    def stop(self) -> None:
        self.stopping = True


def report(key: str, *, end: bool = False) -> Report:
    return Report(key=key, token="t", worker="", node="", device="cpu", started_at=0.0, end=End(state=FINISHED) if end else None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [100.0]
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def make_session(*arguments: Any, num_workers: int = 2) -> tuple[Session, Any]:
    sweep: Any = FakeSweep(*arguments)
    return Session(sweep, num_workers), sweep


def test_an_order_holds_the_trial_its_rungs_and_what_was_pruned_before() -> None:
    session, _ = make_session("abc", {"a": True})
    first = session.dispatch("1")
    assert first is not None
    assert (first.spec.key, first.rungs, first.dropped) == ("a", (2, 4), ())
    assert session.record("1", report("a"))
    second = session.dispatch("2")
    assert second is not None
    assert second.dropped == ("a",)


def test_a_finished_trial_and_an_interrupted_one_are_not_dropped() -> None:
    session, sweep = make_session("abc")
    session.dispatch("1")
    assert session.record("1", report("a", end=True))
    session.dispatch("2")
    sweep.stop()
    assert session.record("2", report("b"))
    sweep.stopping = False
    third = session.dispatch("3")
    assert third is not None
    assert third.dropped == ()


def test_nothing_ready_is_not_the_end_but_nothing_left_is() -> None:
    session, _ = make_session("a")
    session.dispatch("1")
    assert session.dispatch("2") is None
    session.record("1", report("a", end=True))
    with pytest.raises(Finished):
        session.dispatch("2")


def test_a_stop_waits_for_reports_and_then_cuts_off(clock: Callable[[float], None]) -> None:
    session, _ = make_session("a")
    session.dispatch("1")
    assert not session.over
    session.stop()
    assert not session.over
    clock(19.0)
    session.stop()  # asking again does not prolong it
    assert not session.over
    clock(1.0)
    assert session.over


def test_a_sweep_that_others_stopped_is_cut_off_too(clock: Callable[[float], None]) -> None:
    session, sweep = make_session("a")
    sweep.stop()
    assert not session.over
    clock(20.0)
    assert session.over


def test_the_first_error_is_kept_and_ends_the_run_at_once() -> None:
    session, sweep = make_session("a")
    session.fail(ValueError("first"))
    session.fail(ValueError("second"))
    assert str(session.error) == "first"
    assert session.over
    assert sweep.stopping
    with pytest.raises(Finished):
        session.dispatch("1")


@pytest.mark.parametrize(("num_lost", "reported", "fails"), [(4, False, False), (5, False, True), (9, True, False)])
def test_workers_that_all_die_before_any_report_end_the_run(num_lost: int, reported: bool, fails: bool) -> None:
    session, sweep = make_session("abcdefghijk")
    if reported:
        session.dispatch("0")
        session.record("0", report("a", end=True))
    for number in range(num_lost):
        session.dispatch(f"lost {number}")
        session.lost(f"lost {number}", "Traceback\nModuleNotFoundError: no torch")
    assert isinstance(session.error, InfrastructureError) == fails
    assert not fails or str(session.error) == "no worker could begin a trial: ModuleNotFoundError: no torch"
    assert len(sweep.losses) == num_lost


def test_a_worker_lost_after_its_trial_ended_is_no_loss() -> None:
    session, sweep = make_session("ab")
    session.dispatch("1")
    session.record("1", report("a", end=True))
    session.lost("1", "gone")
    session.lost("unknown", "gone")
    assert sweep.losses == []


def test_machines_that_die_do_not_say_that_no_worker_can_begin() -> None:
    session, sweep = make_session("abcdefghijk")
    for number in range(9):
        session.dispatch(str(number))
        session.lost(str(number), "The actor died because its node has died.")
    assert session.error is None
    assert {kind for _, _, kind in sweep.losses} == {"LOST"}


def test_a_silent_trial_hangs_from_the_moment_it_was_first_asked_about(clock: Callable[[float], None]) -> None:
    session, sweep = make_session("ab")
    session.dispatch("1")
    clock(1000.0)  # waiting for a worker is no hanging
    assert not session.is_hung("1")
    clock(49.0)
    session.record("1", report("a"))
    clock(49.0)
    assert not session.is_hung("1")
    clock(1.0)
    assert session.is_hung("1")
    assert not session.is_hung("1"), "it is killed once"
    session.lost("1", "The actor is dead because its worker process has died.")
    assert sweep.losses == [("a", "no report for 50 s (compute.no_progress_seconds)", "TIMEOUT")]
    assert not session.is_hung("unknown")


def test_a_silent_trial_is_spoken_to_every_half_minute(clock: Callable[[float], None]) -> None:
    session, _ = make_session("a")
    session.dispatch("1")
    clock(1000.0)
    assert not session.is_hung("1")
    assert not session.is_to_be_probed("1"), "its clock has just begun"
    probes = []
    for _ in range(9):
        clock(10.0)
        probes.append(session.is_to_be_probed("1"))
    assert probes == [False, False, True] * 3
    clock(29.0)
    session.record("1", report("a"))
    clock(29.0)
    assert not session.is_to_be_probed("1")


def test_a_trial_hangs_for_ever_where_the_study_says_so(clock: Callable[[float], None]) -> None:
    session, sweep = make_session("a")
    sweep.study.compute.no_progress_seconds = None
    session.dispatch("1")
    session.is_hung("1")
    clock(1e9)
    assert not session.is_hung("1")


def test_an_orderly_stop_is_said_once_with_how_long_it_may_take() -> None:
    session, sweep = make_session("ab")
    session.dispatch("1")
    session.stop()
    assert not session.over
    assert not session.over
    assert sweep.said == ["stopping: running trials (1) keep a checkpoint, which takes at most 20 s; a second Ctrl-C ends at once"]


def test_a_late_report_of_a_lost_try_reaches_nobody() -> None:
    session, sweep = make_session("ab")
    session.dispatch("1")
    session.lost("1", "its node has died")
    sweep.waiting = ["a"]
    session.dispatch("2")
    assert session.record("1", report("a", end=True))
    assert sweep.running == {"a"}
    assert session.record("2", report("a", end=True))
    assert sweep.running == set()


def test_tune_may_pickle_it_but_gets_nothing() -> None:
    session, _ = make_session("a")
    assert type(pickle.loads(pickle.dumps(session))) is object
    assert type(copy.deepcopy(session)) is object


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_second_raises_and_handlers_are_put_back(number: int) -> None:
    session, sweep = make_session("a")
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    with signals(session):
        os.kill(os.getpid(), number)
        assert sweep.stopping
        assert sweep.notes == [f"stopped by {signal.Signals(number).name}"]
    with pytest.raises(Forced), signals(session):
        os.kill(os.getpid(), number)
    assert {one: signal.getsignal(one) for one in before} == before


def test_a_full_storage_ends_the_run_and_not_the_trial() -> None:
    session, sweep = make_session("ab")
    session.dispatch("1")
    end = End(state="FAILED", failure_class="DISK", failure_text="Traceback ..\nOSError: [Errno 28] No space left on device: '/x'")
    assert session.record("1", replace(report("a"), end=end))
    assert sweep.interrupted == {"a"}, "with room again it goes on"
    assert isinstance(session.error, InfrastructureError)
    assert "No space left on device: '/x'" in str(session.error)
    assert session.over
