"""The database under the ledger: its address, opening it, and transactions that survive a lock or a lost connection.

Owns the schema version's check, patience, and exactly-once commits. Knows no trial; what only SQLite does is elsewhere.
"""

import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Never, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from sweeps.ledger import postgres, sqlite
from sweeps.ledger.schema import EARLIER_VERSIONS, SCHEMA_VERSION, encode, heads, metadata, schema
from sweeps.redaction import redact
from trainable.errors import LedgerError, StudyLocked

T = TypeVar("T")

PATIENCE_SECONDS = 45.0
"""How long a locked file, a full disk or a vanished server is waited for before it becomes a LedgerError."""
LAST_PATIENCE_SECONDS = 1.0
"""How long each later operation waits once that was not enough: what a driver does to end must not add up to minutes."""


def _nothing(_point: str) -> None:
    """The fail point of every ordinary run."""


fail_point: Callable[[str], None] = _nothing
"""Called with `<operation>:before` and `<operation>:after` around each commit. Kill tests put a SIGKILL here."""


def parse_url(url: str | Path) -> URL:
    """The SQLAlchemy address for `url`; a plain path is a SQLite file. LedgerError for any other kind of database."""
    text = str(url)
    allowed = "allowed are a path, sqlite:///path and postgresql://user@host/database"
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        # Not shown: where it cannot be told apart, the password could be anywhere in it.
        scheme = text.partition("://")[0]
        raise LedgerError(f"ledger {scheme}://...: this address cannot be read; {allowed}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise LedgerError(f"ledger {parsed.drivername}://...: {allowed}")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise LedgerError("ledger sqlite://: a ledger in memory would not outlive the driver; give a path")
    return parsed


class Store:
    """An open ledger database. Made by `open_store`."""

    def __init__(self, url: URL, *, read_only: bool, patience_seconds: float) -> None:
        self.id = uuid.uuid4().hex
        self.read_only = read_only
        self.path = Path(str(url.database)) if url.drivername == "sqlite" else None
        self.name = str(self.path) if self.path else _shown(url)
        self._patience_seconds = patience_seconds
        self._is_lost, self._damage = False, ""
        self._secrets = [str(text) for text in (url.password, url.query.get("password")) if text]
        options = {} if self.path else postgres.connection_options(url)
        try:
            self._engine = sa.create_engine(url, json_serializer=encode, hide_parameters=True, connect_args=options)
        except ImportError as error:
            raise LedgerError(f"ledger {self.name}: {error}; pip install 'mixup-sweeps[postgres]'") from error
        # Short waits in the database, the long one around the transaction: Python serves Ctrl-C only between them.
        wait_seconds = min(1.0, patience_seconds)
        if self.path:
            sqlite.prepare(self._engine, read_only=read_only, wait_seconds=wait_seconds)
        else:
            postgres.prepare(self._engine, wait_seconds=wait_seconds)

    def __repr__(self) -> str:
        return f"Store({self.name})"

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def read(self, body: Callable[[Connection], T]) -> T:
        """What `body` returns. It may be run again after a lost connection."""

        def once() -> T:
            with self._engine.connect() as connection:
                return body(connection)

        return self._patiently(once)

    def begin(self, operation: str, body: Callable[[Connection], T], patience_seconds: float | None = None) -> T:
        """What `body` returns, once committed. It must be idempotent: it runs again if the answer to a commit is lost.

        Obstacles are waited for as long as the store's patience lasts, or `patience_seconds`.
        """
        if self.read_only:
            raise LedgerError(f"ledger {self.name}: opened for reading only, {operation} would write")

        def once() -> T:
            with self._engine.connect().execution_options(sweep_write=True) as connection, connection.begin():
                result = body(connection)
                fail_point(f"{operation}:before")
            fail_point(f"{operation}:after")
            return result

        return self._patiently(once, patience_seconds)

    def commit(self, study_id: int, operation: str, body: Callable[[Connection, int], T]) -> T:
        """What `body(connection, revision)` returns, committed exactly once, also if the answer to the commit is lost.

        Each commit leaves its own mark in the study's head, so that a second try knows whether the first one arrived.
        StudyLocked when another driver holds the study.
        """
        mark = uuid.uuid4().hex
        done: list[T] = []

        def once(connection: Connection) -> T:
            if done and connection.scalar(_LAST_COMMIT, {"study": study_id}) == mark:
                return done[0]
            done[:] = [body(connection, self._advance(connection, study_id, mark))]
            return done[0]

        return self.begin(operation, once)

    def _advance(self, connection: Connection, study_id: int, mark: str) -> int:
        """The study's next revision. Locks its head until the commit, so that revisions become visible in order."""
        revision = connection.scalar(_ADVANCE, {"study": study_id, "mark": mark, "me": self.id})
        if revision is not None:
            return int(revision)
        head = connection.execute(sa.select(heads).where(heads.c.study_id == study_id)).first()
        if head is None:
            raise LedgerError(f"ledger {self.name}: there is no study {study_id}")
        raise StudyLocked(f"ledger {self.name}: the study is held by process {head.pid} on host {head.host}")

    def _patiently(self, once: Callable[[], T], patience_seconds: float | None = None) -> T:
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        deadline = time.monotonic() + (min(patience, LAST_PATIENCE_SECONDS) if self._is_lost else patience)
        pause = 0.05
        while True:
            try:
                result = once()
            except DBAPIError as error:
                if not self._passes(error) or time.monotonic() + pause > deadline:
                    self._is_lost = True
                    self._give_up(error)
            else:
                self._is_lost = False
                return result
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _passes(self, error: DBAPIError) -> bool:
        """Whether the cause may go away by itself: a lock, a full disk, a server that restarts."""
        if self.path:
            return sqlite.is_locked(error) or sqlite.is_full(error)
        lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        return lost and not postgres.is_refused(error)

    def _give_up(self, error: DBAPIError) -> Never:
        cause = str(error.orig).strip()
        for secret in self._secrets:
            cause = cause.replace(secret, "***")
        if self.path and sqlite.is_damaged(error):
            # a file that a driver still writes to is a new one at every look: one copy is enough
            self._damage = self._damage or str(sqlite.damaged(self.path, cause))
            raise LedgerError(self._damage) from None
        if self.path and sqlite.is_locked(error):
            cause = f"another process has kept the file locked for {self._patience_seconds:g} s"
        raise LedgerError(f"ledger {self.name}: {redact(cause)}") from None


def open_store(url: str | Path, *, read_only: bool = False, patience_seconds: float = PATIENCE_SECONDS) -> Store:
    """An open ledger database, created unless `read_only`. One of an earlier version gets the tables it lacks, so too.

    LedgerError when it is missing (read only), damaged, locked, unreachable, or of an unknown schema version.
    """
    parsed = parse_url(url)
    store = Store(parsed, read_only=read_only, patience_seconds=patience_seconds)
    try:
        if store.path:
            sqlite.check_place(store.path, read_only=read_only)
            damage = None if read_only else store.read(sqlite.find_damage)
            if damage:
                raise sqlite.damaged(store.path, damage)
        readable = (*EARLIER_VERSIONS, SCHEMA_VERSION) if read_only else (SCHEMA_VERSION,)
        _check_version(store, store.read(_version) if read_only else store.begin("open", _create), readable)
    except BaseException:
        store.close()
        raise
    return store


def _create(connection: Connection) -> int | None:
    """The schema version, after making the tables that are not there yet. Two drivers may do this at once."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(7305911)))
    version = _version(connection)
    if version is None:
        metadata.create_all(connection)
        connection.execute(schema.insert(), {"version": SCHEMA_VERSION})
    elif version in EARLIER_VERSIONS:
        metadata.create_all(connection)
        connection.execute(schema.update().values(version=SCHEMA_VERSION))
    return _version(connection)


def _version(connection: Connection) -> int | None:
    return connection.scalar(sa.select(schema.c.version)) if sa.inspect(connection).has_table(schema.name) else None


def _check_version(store: Store, version: int | None, readable: tuple[int, ...]) -> None:
    if version is None:
        raise LedgerError(f"ledger {store.name}: there is no ledger in this database yet")
    if version not in readable:
        raise LedgerError(
            f"ledger {store.name}: its schema is version {version}, this program knows version {SCHEMA_VERSION}. "
            f"It was written by another release of mixup-sweeps: install that one, or use another ledger"
        )


def _shown(url: URL) -> str:
    """The address as messages show it: everything up to the last @ could be part of a badly quoted password."""
    return re.sub(r"://.*@", "://***@", url.set(query={}).render_as_string(hide_password=True))


_ADVANCE = (
    heads.update()
    .where(heads.c.study_id == sa.bindparam("study"))
    .where(sa.or_(heads.c.holder.is_(None), heads.c.holder == sa.bindparam("me")))
    .values(revision=heads.c.revision + 1, last_commit=sa.bindparam("mark"))
    .returning(heads.c.revision)
)
_LAST_COMMIT = sa.select(heads.c.last_commit).where(heads.c.study_id == sa.bindparam("study"))
