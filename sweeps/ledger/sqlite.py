"""What is particular to a ledger in a SQLite file: how it is opened, and what is done when it is locked or damaged.

Owns pragmas and error codes. Knows no table and no trial.
"""

import shutil
import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from trainable.errors import LedgerError

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def prepare(engine: Engine, *, read_only: bool, wait_seconds: float) -> None:
    """Make every connection of `engine` fit for a ledger; one that meets a lock reports it after `wait_seconds`."""
    wait_ms = round(1000 * wait_seconds)
    sa.event.listen(engine, "connect", lambda connection, _record: _configure(connection, read_only, wait_ms))
    sa.event.listen(engine, "begin", _begin)


def _configure(connection: sqlite3.Connection, read_only: bool, wait_ms: int) -> None:
    # Python's driver would open deferred transactions, which fail at their first write instead of waiting for the lock.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    # In WAL mode NORMAL loses nothing to a killed process. A power cut may take the last commits, whole, latest first.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("sweep_write"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_locked(error: DBAPIError) -> bool:
    """Whether another process has the file."""
    return _code(error) in _LOCKED


def is_full(error: DBAPIError) -> bool:
    """Whether the disk has no room."""
    return _code(error) == sqlite3.SQLITE_FULL


def is_damaged(error: DBAPIError) -> bool:
    """Whether the file is no longer, or never was, a sound SQLite database."""
    return _code(error) in _DAMAGED


def _code(error: DBAPIError) -> int:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # without the extension that says in which call


def check_place(path: Path, *, read_only: bool) -> None:
    """LedgerError if no ledger file can be at `path`; makes its directory."""
    if path.is_dir():
        raise LedgerError(f"ledger {path}: this is a directory, a file is needed")
    if read_only and not path.exists():
        raise LedgerError(f"ledger {path}: there is no such file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"ledger {path}: its directory cannot be made ({error.strerror})") from error


def find_damage(connection: Connection) -> str | None:
    """What is wrong with the file's pages, or None. Reads all of it: about 0.1 s for 100 MB."""
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    return None if found == "ok" else found


def damaged(path: Path, cause: str) -> LedgerError:
    """The error for a damaged file, after keeping a copy of it."""
    copy = _keep_copy(path)
    return LedgerError(
        f"ledger {path}: the file is damaged ({cause}). Nothing was overwritten, and a copy is kept as {copy}. "
        f"Put a backup in its place, or move it away to begin a new ledger"
    )


def _keep_copy(path: Path) -> Path:
    """The file and its write-ahead log, copied beside it, named by the file's time: one damage is copied once."""
    changed_at = time.strftime("%Y%m%d-%H%M%S", time.gmtime(path.stat().st_mtime))
    copy = path.with_name(f"{path.name}.damaged-{changed_at}")
    for suffix in ("", "-wal"):
        source, target = Path(f"{path}{suffix}"), Path(f"{copy}{suffix}")
        if source.exists() and source.stat().st_size and not target.exists():
            shutil.copy2(source, target)
    return copy
