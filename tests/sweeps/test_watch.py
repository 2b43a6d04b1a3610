"""The look at the cluster: what is said once, what ends the run, and that a driver which Ray holds fast gets out."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps import watch as room
from sweeps.watch import HEAD_SECONDS, Guard, Watch


class Cluster:
    """A cluster whose head and room are set, a clock, and what the watch made of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.head = 100.0, True
        self.fitting: int | None = 2
        self.said: list[str] = []
        self.failures: list[str] = []
        monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=lambda _seconds: None))
        self.watch = Watch(lambda: self.head, lambda: self.fitting, say=self.said.append,
                           fail=lambda error: self.failures.append(str(error)), no_machine_seconds=60.0)

    def look_after(self, seconds: float, **changes: Any) -> None:
        vars(self).update(changes)
        self.now += seconds
        self.watch.look()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_a_cluster_with_room_is_nobodys_business(cluster: Cluster) -> None:
    cluster.look_after(1e6)
    assert (cluster.said, cluster.failures) == ([], [])


def test_machines_that_come_back_in_time_are_said_and_nothing_ends(cluster: Cluster) -> None:
    for _ in range(5):
        cluster.look_after(10.0, fitting=0)
    cluster.look_after(5.0, fitting=1)
    assert [text.partition(":")[0] for text in cluster.said] == [
        "no machine with room for a trial is left", "a machine with room for a trial is there again"]
    assert "60 s (compute.no_machine_seconds)" in cluster.said[0]
    cluster.look_after(59.0, fitting=0)
    assert cluster.failures == []


def test_without_any_machine_for_too_long_the_run_ends(cluster: Cluster) -> None:
    cluster.look_after(59.9, fitting=0)
    assert cluster.failures == []
    cluster.look_after(0.1)
    assert len(cluster.failures) == 1
    assert "no machine has had room for a trial for 60 s" in cluster.failures[0]


@pytest.mark.parametrize(("silent_seconds", "num_failures"), [(HEAD_SECONDS - 0.1, 0), (HEAD_SECONDS, 1), (10 * HEAD_SECONDS, 1)])
def test_a_silent_head_is_waited_for_and_then_ends_the_run(cluster: Cluster, silent_seconds: float, num_failures: int) -> None:
    cluster.look_after(silent_seconds, head=False)
    assert len(cluster.failures) == num_failures
    assert bool(cluster.watch.head_gone) == bool(num_failures)
    cluster.look_after(0.0)
    assert len(cluster.failures) == num_failures


def test_a_head_that_answers_again_is_forgiven(cluster: Cluster) -> None:
    cluster.look_after(HEAD_SECONDS - 1, head=False)
    cluster.look_after(0.0, head=True)
    cluster.look_after(HEAD_SECONDS - 1, head=False)
    assert cluster.failures == []


def test_nothing_is_asked_of_a_cluster_whose_head_is_silent(cluster: Cluster) -> None:
    cluster.look_after(1.0, head=False, fitting=0)
    assert cluster.said == [], "Ray would block"


def test_a_cluster_that_cannot_be_asked_is_neither_full_nor_empty(cluster: Cluster) -> None:
    cluster.look_after(1e6, fitting=None)
    assert (cluster.said, cluster.failures) == ([], [])


def test_where_the_driver_is_held_fast_it_is_let_go(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(room, "STUCK_SECONDS", 0.01)
    reasons: list[str] = []
    guard = Guard(cluster.watch, reasons.append)
    cluster.head = False
    cluster.now += HEAD_SECONDS
    with guard:
        guard._thread.join(10)
    assert len(reasons) == 1
    assert "the head of the Ray cluster has not answered" in reasons[0]


@pytest.mark.parametrize("held", [False, True])
def test_a_driver_that_got_out_of_its_loop_is_let_go_only_if_ray_holds_it_then(
        cluster: Cluster, monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.01)
    reasons: list[str] = []
    guard = Guard(cluster.watch, reasons.append, lambda: held)
    cluster.head = False
    cluster.now += HEAD_SECONDS
    with guard:
        while not cluster.watch.head_gone:
            pass
    guard._thread.join(10)
    assert len(reasons) == held


def test_a_look_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.01)
    looks = threading.Semaphore(0)

    def failing() -> bool:
        looks.release()
        raise OSError("the terminal is gone")

    with Guard(Watch(failing, lambda: 1, say=print, fail=print, no_machine_seconds=60.0), print):
        assert all(looks.acquire(timeout=10) for _ in range(3))


def test_the_end_of_a_run_waits_for_a_look_that_is_just_being_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.01)
    began, leave, order = threading.Event(), threading.Event(), list[str]()

    def look() -> int:
        began.set()
        leave.wait(10)
        order.append("looked")
        return 1

    watch = Watch(lambda: True, look, say=order.append, fail=lambda error: order.append(str(error)), no_machine_seconds=60.0)
    with Guard(watch, order.append):
        began.wait(10)
        threading.Timer(0.2, leave.set).start()
    order.append("left")
    assert order == ["looked", "left"]
