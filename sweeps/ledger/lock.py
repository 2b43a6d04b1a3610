"""Who may write a study: one driver at a time, by a lease in the study's head that a dead or silent driver loses.

Owns the rule of take-over. Every commit checks the lease as well (see `Store.commit`), so that a driver which slept
through its loss, suspended for instance, can write nothing afterwards.
"""

import os
import socket
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweeps.ledger.schema import heads
from trainable.errors import LedgerError, StudyLocked

STALE_SECONDS = 60.0
"""A driver that has not been heard of for this long has lost its study. Hosts' clocks must agree to well within it."""
START_SECONDS = 1.0
"""How far the start of a process, as the system tells it, may be off: Linux rounds the boot time that it counts from."""


def here() -> tuple[str, int]:
    """This process as the ledger names it: host name and process id."""
    return socket.gethostname(), os.getpid()


def refuse_if_held(head: Any, host: str, pid: int, at: float) -> None:
    """StudyLocked if a driver other than process `pid` on `host` holds the study and is alive as far as we can tell.

    The same process may take its own study again: the earlier holder in it, an object left behind, is fenced off then.
    """
    if head.holder is None or (head.host == host and head.pid == pid) or not is_alive(head, host, at):
        return
    silent_seconds = max(0.0, at - head.heartbeat_at)
    raise StudyLocked(
        f"the study is being run by process {head.pid} on host {head.host}, heard of {silent_seconds:.0f} s ago. "
        f"Stop that one first; if its host is gone, wait {STALE_SECONDS:.0f} s"
    )


def is_alive(head: Any, host: str, at: float) -> bool:
    """Whether the driver that holds this head runs still, as far as can be told from `host` at time `at`."""
    silent_seconds = at - head.heartbeat_at
    return bool(silent_seconds <= STALE_SECONDS and (head.host != host or _is_driver(head.pid, head.heartbeat_at)))


def _is_driver(pid: int, heartbeat_at: float) -> bool:
    """Whether the process of that number here can be the driver last heard of then, and can still act.

    One that died but was not yet reaped cannot; one that began later was given the number of a driver that is dead.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= heartbeat_at + START_SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def read_head(connection: Connection, study_id: int) -> Any:
    """The head of a study, locked against other writers until the transaction ends."""
    head = connection.execute(sa.select(heads).where(heads.c.study_id == study_id).with_for_update()).first()
    if head is None:
        raise LedgerError(f"the ledger has no study {study_id}")
    return head


def take(connection: Connection, study_id: int, holder: str, host: str, pid: int, at: float) -> None:
    """Make `holder` the study's only writer. StudyLocked when a live one has it."""
    refuse_if_held(read_head(connection, study_id), host, pid, at)
    values = {"holder": holder, "host": host, "pid": pid, "heartbeat_at": at}
    connection.execute(heads.update().where(heads.c.study_id == study_id).values(**values))


def renew(connection: Connection, study_id: int, holder: str, at: float) -> None:
    """Note that `holder` is alive. StudyLocked when it has lost the study to another driver."""
    mine = (heads.c.study_id == study_id) & (heads.c.holder == holder)
    if connection.execute(heads.update().where(mine).values(heartbeat_at=at)).rowcount == 0:
        head = read_head(connection, study_id)
        raise StudyLocked(f"the study was taken over by process {head.pid} on host {head.host}; this driver must end")


def drop(connection: Connection, holder: str, study_id: int | None = None) -> None:
    """Give up the study, or all studies, that `holder` has."""
    mine = heads.c.holder == holder
    if study_id is not None:
        mine &= heads.c.study_id == study_id
    connection.execute(heads.update().where(mine).values(holder=None, host=None, pid=None, heartbeat_at=None))
