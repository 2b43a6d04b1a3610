"""A ledger in a SQLite file as one whole file: taken beside a writer, looked into, and found sound or damaged.

Owns what a copy of a ledger is and what can be read from it without opening it as one. Knows no place to keep copies.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sweeps.ledger import lock
from sweeps.ledger.store import parse_url

WAIT_SECONDS = 30.0
"""How long a lock of another process is waited for."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a study is in a ledger file: commits seen, when it began, and the host and process that hold it, if any."""

    revision: int
    begun_at: float
    host: str | None
    pid: int | None

    def is_driven(self, heard_at: float, at: float) -> bool:
        """Whether that process runs still, as far as can be told here at time `at`, if it was last heard of at `heard_at`."""
        holder = _Holder(host=self.host, pid=self.pid, heartbeat_at=heard_at)
        return self.host is not None and lock.is_alive(holder, lock.here()[0], at)


@dataclass(frozen=True)
class _Holder:
    host: str | None
    pid: int | None
    heartbeat_at: float


def file_of(url: str) -> Path | None:
    """The file of a ledger's address; None for a database server."""
    parsed = parse_url(url)
    return Path(str(parsed.database)) if parsed.drivername == "sqlite" else None


def take(ledger: Path, target: Path) -> None:
    """The ledger, as it is between two commits, in the new file `target`; a driver may write meanwhile. Raises sqlite3.Error."""
    with closing(sqlite3.connect(ledger, timeout=WAIT_SECONDS)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


def standing(ledger: Path, study: str) -> Standing | None:
    """How far the study is in this file; None where the file does not know it. Raises sqlite3.Error for a damaged file."""
    with closing(sqlite3.connect(ledger, timeout=WAIT_SECONDS)) as connection:
        connection.execute("PRAGMA query_only = ON")
        there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sweep_heads'").fetchone()
        found = connection.execute(_STANDING, (study,)).fetchone() if there else None
    return Standing(revision=found[0], begun_at=found[1], host=found[2], pid=found[3]) if found else None


def find_damage(ledger: Path) -> str | None:
    """What is wrong with a file that no process has open, or None. Reads all of it."""
    try:
        with closing(sqlite3.connect(ledger)) as connection:
            found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else found


_STANDING = """SELECT heads.revision, studies.created_at, heads.host, heads.pid FROM sweep_studies AS studies
JOIN sweep_heads AS heads ON heads.study_id = studies.id WHERE studies.name = ?"""
