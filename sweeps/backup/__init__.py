"""Copies of a SQLite ledger in a storage that outlives the head node, so that another head node can go on.

Owns when a copy is written and when one is restored. A storage counts as such when it is a URL; beside a plain folder, and with
PostgreSQL, none is made. Never decides about trials.
"""

import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sweeps.backup.shelf import Card, Shelf, digest_of
from sweeps.home import Home
from sweeps.ledger import lock, snapshot
from sweeps.ledger.snapshot import Standing
from sweeps.redaction import redact
from trainable.errors import InfrastructureError, LedgerError, StudyLocked

COPY_SECONDS = 60.0
"""How often a copy is written: what a lost head node has recorded since is run again."""
LAST_SECONDS, LAST_SECONDS_IN_HASTE = 60.0, 10.0
"""How long the last copy may take, and after a second Ctrl-C."""
NUM_KEPT = 2

Say = Callable[[str], None]


class Copier:
    """Copies a study's ledger every minute and at the end, in a thread. Whatever fails is told once and tried again."""

    def __init__(self, ledger: Path, storage: str, study: str, say: Say) -> None:
        self._ledger, self._storage, self._study, self._say = ledger, storage, study, say
        self._over, self._has_warned, self._is_alone = threading.Event(), False, True
        self._last: Card | None = None
        self._thread = threading.Thread(target=self._run, name="ledger copies", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, timeout: float) -> None:
        """Write the last copy, and wait for it so long; nothing where it was never started."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if self._thread.is_alive():
            self._warn(f"it takes more than {timeout:.0f} s")

    def copy(self) -> None:
        """Write a copy if anything has changed since the last one, else only say that the driver lives."""
        try:
            if self._is_alone:
                self._copy()
        except Exception as error:  # of any of the many storages: a copy must not cost the sweep
            self._warn(redact(str(error)) or type(error).__name__)

    def _run(self) -> None:
        while not self._over.wait(COPY_SECONDS):
            self.copy()
        self.copy()

    def _copy(self) -> None:
        now = snapshot.standing(self._ledger, self._study)
        if now is None or (now.host is not None and (now.host, now.pid) != lock.here()):  # taken over: the other one copies
            return
        shelf, at = Shelf(self._storage, self._study), time.time()
        before = shelf.cards()
        if self._last and before and before[0].name != self._last.name:
            self._is_alone = False
            self._say(f"another driver writes copies of the ledger to {redact(shelf.url)}, and this one has ceased to: the study "
                      "goes on in two places, stop one of them")
            return
        if self._last and self._last.standing == now:
            content, card = None, replace(self._last, written_at=at)
        else:
            content, inside = self._content()
            number = max(before[0].number if before else 0, self._last.number if self._last else 0)
            card = Card(number=number + 1, digest=digest_of(content), written_at=at, standing=inside or now)
        shelf.write(card, content)
        self._last = card
        shelf.keep([card, *(one for one in before if one.name != card.name)][:NUM_KEPT])

    def _content(self) -> tuple[bytes, Standing | None]:
        with tempfile.TemporaryDirectory(prefix="mixup-sweep-") as folder:
            taken = Path(folder) / "ledger.db"
            snapshot.take(self._ledger, taken)
            return taken.read_bytes(), snapshot.standing(taken, self._study)

    def _warn(self, cause: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._say(f"no copy of the ledger could be written to {redact(self._storage)}; the sweep goes on without: {cause}")


@contextmanager
def copying(home: Home, study: str, say: Say) -> Iterator[Callable[[], None]]:
    """What begins the copies once this process drives the study; the last one is written when it has let go of it."""
    ledger = copied_file(home)
    if ledger is None:
        yield lambda: None
        return
    copier, seconds = Copier(ledger, home.storage, study, say), LAST_SECONDS
    try:
        yield copier.start
    except KeyboardInterrupt:
        seconds = LAST_SECONDS_IN_HASTE
        raise
    finally:
        copier.finish(seconds)


def copied_file(home: Home) -> Path | None:
    """The ledger file that is copied to the storage; None where none is."""
    return snapshot.file_of(home.ledger) if "://" in home.storage else None


def restore(home: Home, study: str, at: float) -> str | None:
    """Put the newest sound copy where the ledger should be and is not; which one, in words. None where nothing is to be done.

    StudyLocked where the driver that wrote it may be alive; LedgerError, with the way out, where there is a ledger here that is
    behind the copy or has another history, and where no copy is sound. Nothing here is ever overwritten.
    """
    ledger = copied_file(home)
    if ledger is None:
        return None
    place = redact(home.storage)
    try:
        shelf = Shelf(home.storage, study)
        cards = shelf.cards()
        if cards and ledger.exists():
            _refuse_older(ledger, study, cards[0], place)
        if not cards or ledger.exists():
            return None
        _refuse_driven(study, cards[0], at)
        for card in cards:
            content = shelf.read(card)
            if content is not None and _placed(content, ledger):
                lost = "" if card is cards[0] else "; the newest copy is damaged, this is the one before it"
                return (f"ledger {ledger} restored from its copy of {at - card.written_at:.0f} s ago in {place} "
                        f"(revision {card.standing.revision}){lost}")
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"the copies of the ledger in {place} cannot be read: {redact(str(error))}") from error
    raise LedgerError(f"study {study!r}: every copy of its ledger in {redact(shelf.url)} is damaged; remove that folder to begin "
                      "the study again, or give it a name of its own (--set name=NEW)")


def _refuse_older(ledger: Path, study: str, card: Card, place: str) -> None:
    """LedgerError where the ledger that is here lacks what the copy has."""
    try:
        here = snapshot.standing(ledger, study)
    except sqlite3.Error:  # opening it says what is wrong
        return
    if here and here.begun_at == card.standing.begun_at and here.revision >= card.standing.revision:
        return
    what = ("does not know the study" if here is None else "holds another study of this name"
            if here.begun_at != card.standing.begun_at else f"is behind it, with revision {here.revision}")
    raise LedgerError(f"study {study!r}: {place} has a copy of its ledger of revision {card.standing.revision}, and ledger "
                      f"{ledger} {what}. To go on from the copy, name a ledger that is not there yet (--ledger PATH, or another "
                      "SWEEP_HOME); to begin another study, give it a name of its own (--set name=NEW)")


def _refuse_driven(study: str, card: Card, at: float) -> None:
    """StudyLocked where the driver that wrote the copy may be alive: its next word is due a copy later than a heartbeat's."""
    if card.standing.is_driven(card.written_at, at - COPY_SECONDS):
        wait = card.written_at + COPY_SECONDS + lock.STALE_SECONDS - at
        raise StudyLocked(f"study {study!r} is being run by process {card.standing.pid} on host {card.standing.host}, as the copy "
                          f"of its ledger says. Stop that one first; if its host is gone, wait {wait:.0f} s")


def _placed(content: bytes, ledger: Path) -> bool:
    """Whether the content is a sound ledger, which then lies at `ledger`."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    part = ledger.with_name(f"{ledger.name}.{os.getpid()}.part")
    for left in (ledger.with_name(f"{ledger.name}{suffix}") for suffix in ("-wal", "-shm", "-journal")):
        if left.exists():  # SQLite would take it for the log of the ledger put beside it
            raise LedgerError(f"ledger {ledger}: {left.name} of an earlier ledger lies there without it; move it away first")
    try:
        part.write_bytes(content)
        if snapshot.find_damage(part) is not None:
            return False
        os.link(part, ledger)  # fails where another process was faster, so that nothing is overwritten
    except FileExistsError:
        raise LedgerError(f"ledger {ledger}: another process has just made it; give the command again") from None
    finally:
        part.unlink(missing_ok=True)
    return True
