"""What is read from Ray's last words of a worker, and what follows from a trial's losses."""

from collections import Counter

import pytest

from sweeps.losses import AGAIN, ALONE, GIVE_UP, class_of, class_recorded, consequence, worded
from sweeps.records import CRASHED, LOST, OOM, TIMEOUT


@pytest.mark.parametrize(("text", "kind"), [
    ("The actor died because its node has died. Node Id: f7bb\n\tthe actor's node was terminated unexpectedly", LOST),
    ("The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: (1) The process is "
     "killed by SIGKILL by OOM killer due to high memory usage. (2) ray stop --force is called.", CRASHED),
    ("ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.", OOM),
    ("The actor 1a36 is unavailable: The actor is temporarily unavailable: RpcError: RPC Error message: Socket closed. The task "
     "may or may not have been executed on the actor.", LOST),
    ("its worker is gone", CRASHED),
    ("", CRASHED)])
def test_the_class_of_a_loss_is_read_from_what_ray_says(text: str, kind: str) -> None:
    assert class_of(text) == kind
    assert class_recorded(worded(kind, text)) == kind


def test_an_attempt_of_an_older_ledger_counts_as_a_crash() -> None:
    assert class_recorded("The actor died unexpectedly: its node has died") == CRASHED
    assert class_recorded(None) == CRASHED


@pytest.mark.parametrize(("losses", "retries", "expected"), [
    ({}, 0, AGAIN),
    ({CRASHED: 1}, 0, GIVE_UP), ({CRASHED: 2}, 2, AGAIN), ({CRASHED: 3}, 2, GIVE_UP),
    ({TIMEOUT: 1, CRASHED: 1}, 1, GIVE_UP), ({TIMEOUT: 1}, 1, AGAIN),
    ({LOST: 9}, 0, AGAIN), ({LOST: 10}, 100, GIVE_UP), ({LOST: 3, CRASHED: 1}, 1, AGAIN),
    ({OOM: 1}, 0, GIVE_UP), ({OOM: 1}, 1, ALONE), ({OOM: 2}, 5, GIVE_UP), ({OOM: 1, LOST: 2, CRASHED: 1}, 1, ALONE)])
def test_what_follows_from_losses(losses: dict[str, int], retries: int, expected: str) -> None:
    assert consequence(Counter(losses), retries) == expected
