"""How a try was lost, and what becomes of its trial then: another try, another try alone, or the end. Pure.

Owns the classes of a loss and the policy of retries. Knows no Ray: it reads the words that are left of a worker.
"""

import re
from collections import Counter

from sweeps.records import CRASHED, LOST, OOM, TIMEOUT

AGAIN, ALONE, GIVE_UP = "again", "alone", "give up"

CLASSES = (LOST, CRASHED, TIMEOUT, OOM)
"""The machine went; the process died; it made no progress; it had too little memory."""

MAX_MACHINES_LOST = 10
"""Machines may die without any fault of a trial, but one that has taken so many with it is given no more."""

_OUT_OF_MEMORY = re.compile(r"OutOfMemory|low on memory|MemoryError")
_MACHINE = re.compile(r"node has died|NodeDied|temporarily unavailable")
"""Ray's words for a machine that is dead, and for one that it cannot reach; of a process it says "its worker process has died"."""


def class_of(text: str) -> str:
    """The class of a loss, from what Ray says of the worker."""
    if _OUT_OF_MEMORY.search(text):
        return OOM
    return LOST if _MACHINE.search(text) else CRASHED


def worded(kind: str, text: str) -> str:
    """The text of a lost attempt: its class, then what is known."""
    return f"{kind}: {text}"


def class_recorded(text: str | None) -> str:
    """The class that `worded` put before the text of an attempt; a ledger from before there were classes has crashes."""
    kind = (text or "").partition(":")[0]
    return kind if kind in CLASSES else CRASHED


def consequence(losses: Counter[str], retries: int) -> str:
    """What follows for a trial that was lost so often, by class: AGAIN, ALONE or GIVE_UP.

    A lost machine is not the trial's fault and costs none of its `retries`. One that ran out of memory is tried once more
    with every machine to itself, then given up (at once where there are no `retries`).
    """
    if losses[OOM] > min(1, retries) or losses[CRASHED] + losses[TIMEOUT] > retries or losses[LOST] >= MAX_MACHINES_LOST:
        return GIVE_UP
    return ALONE if losses[OOM] else AGAIN
