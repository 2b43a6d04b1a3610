"""Copies of a ledger in a storage: consistent beside a writer, two of them kept, restored whole or not at all."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.backup import COPY_SECONDS, Copier, copied_file, copying, restore
from sweeps.backup.shelf import Shelf, digest_of
from sweeps.home import Home
from sweeps.ledger import Ledger, lock, snapshot
from trainable.errors import InfrastructureError, LedgerError, StudyLocked

HOST, PID = lock.here()
STUDY = "digits"


class Head:
    """A head node: a home of its own on a storage that it shares with others."""

    def __init__(self, folder: Path, name: str) -> None:
        self.home = Home.resolve(storage=f"file://{folder / 'bucket'}", environ={"SWEEP_HOME": str(folder / name)})
        self.file = copied_file(self.home)
        assert self.file
        self.said: list[str] = []
        self.copier = Copier(self.file, self.home.storage, STUDY, self.said.append)
        self.shelf = Shelf(self.home.storage, STUDY)

    def begin(self, holder: tuple[str, int] | None = None, at: float = 1.0) -> Ledger:
        """The ledger with the study, held by this process on this host, or by another."""
        ledger = Ledger.open(self.home.ledger)
        record = ledger.register_study(STUDY, {}, {}, at)
        ledger.acquire(record.id, *(holder or (HOST, PID)), time.time())
        return ledger

    def run(self, *states: str) -> None:
        """Begin or go on, commit something, copy, and let go."""
        ledger = self.begin()
        for state in states:
            ledger.set_study(1, state=state)
        ledger.close()
        self.copier.copy()

    def restore(self, at: float | None = None) -> str | None:
        return restore(self.home, STUDY, time.time() if at is None else at)


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return Head(tmp_path, "first")


@pytest.fixture
def other(tmp_path: Path) -> Head:
    return Head(tmp_path, "second")


@pytest.fixture
def driven(head: Head) -> Iterator[Ledger]:
    """The first head's ledger while it is driven."""
    with head.begin() as ledger:
        yield ledger


def test_only_a_file_beside_a_storage_that_is_a_url_is_copied(tmp_path: Path) -> None:
    environ = {"SWEEP_HOME": str(tmp_path)}
    assert copied_file(Home.resolve(storage="s3://bucket/sweeps", environ=environ)) == tmp_path / "ledger.db"
    assert copied_file(Home.resolve(storage="file:///mnt/nfs", ledger=str(tmp_path / "x.db"), environ=environ)) == tmp_path / "x.db"
    assert copied_file(Home.resolve(environ=environ)) is None
    assert copied_file(Home.resolve(storage=str(tmp_path / "nfs"), environ=environ)) is None
    assert copied_file(Home.resolve(storage="s3://bucket", ledger="postgresql://u@h/d", environ=environ)) is None


def test_a_copy_is_restored_where_there_is_no_ledger_and_says_so(head: Head, other: Head) -> None:
    head.run("a", "b")
    told = other.restore()
    assert told
    assert str(other.file) in told
    assert "restored" in told
    with Ledger.open(other.home.ledger) as ledger:
        study = ledger.study(STUDY)
        assert study
        assert study.provenance == {"state": "b"}
    assert not [path for path in other.home.root.iterdir() if "part" in path.name]


def test_without_copies_nothing_is_restored_or_refused(head: Head) -> None:
    assert head.restore() is None
    head.begin().close()
    assert head.restore() is None


def test_a_copy_beside_a_writer_is_sound_and_stands_between_two_commits(head: Head, driven: Ledger, tmp_path: Path) -> None:
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            driven.set_study(1, number=number)  # each commit: the revision and the provenance together

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(20):
            copy = tmp_path / f"copy{number}.db"
            assert head.file
            snapshot.take(head.file, copy)
            assert snapshot.find_damage(copy) is None
            with sqlite3.connect(copy) as database:
                query = "select revision, provenance from sweep_heads join sweep_studies on id = 1"
                (revision, provenance), = database.execute(query)
            assert provenance in (f'{{"number": {revision}}}', "{}")
    finally:
        over.set()
        writer.join()


def test_the_last_two_copies_are_kept_and_halves_of_copies_are_not(head: Head, driven: Ledger) -> None:
    for state in "abcd":
        driven.set_study(1, state=state)
        head.copier.copy()
        Path(head.shelf.url.removeprefix("file://"), "000000-half.db").touch()
    driven.set_study(1, state="e")
    head.copier.copy()
    names = sorted(os.listdir(head.shelf.url.removeprefix("file://")))
    assert [card.number for card in head.shelf.cards()] == [5, 4]
    assert names == sorted(f"{card.name}.{suffix}" for card in head.shelf.cards() for suffix in ("db", "json"))


def test_where_nothing_changed_only_the_word_that_the_driver_lives_is_renewed(head: Head, driven: Ledger) -> None:
    head.copier.copy()
    first, = head.shelf.cards()
    head.copier.copy()
    second, = head.shelf.cards()
    assert second.name == first.name
    assert second.written_at > first.written_at


@pytest.mark.parametrize("spoil", ["cut", "empty", "flipped", "gone", "card"])
def test_a_damaged_copy_gives_way_to_the_one_before_it(head: Head, other: Head, spoil: str) -> None:
    head.run("a")
    head.run("b")
    newest = head.shelf.cards()[0]
    path = Path(head.shelf.url.removeprefix("file://"), f"{newest.name}.db")
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    spoilt = {"cut": bytes(content[:6000]), "empty": b"", "flipped": bytes(content)}
    if spoil == "gone":
        path.unlink()
    elif spoil == "card":
        path.with_suffix(".json").write_text("{")
    else:
        path.write_bytes(spoilt[spoil])
    told = other.restore()
    assert told
    assert spoil == "card" or "the one before it" in told
    with Ledger.open(other.home.ledger) as ledger:
        assert ledger.study(STUDY).provenance == {"state": "a"}  # type: ignore[union-attr]


def test_a_copy_that_is_as_it_was_written_and_yet_no_database_is_not_restored(head: Head, other: Head) -> None:
    head.run("a")
    card, = head.shelf.cards()
    head.shelf.write(replace(card, number=9, digest=digest_of(b"no database")), b"no database")
    assert "the one before it" in (other.restore() or "")


def test_without_a_sound_copy_it_is_said_what_to_do(head: Head, other: Head) -> None:
    head.run("a")
    card, = head.shelf.cards()
    Path(head.shelf.url.removeprefix("file://"), f"{card.name}.db").write_bytes(b"")
    with pytest.raises(LedgerError, match=r"every copy .* is damaged; remove that folder .*--set name=NEW"):
        other.restore()
    assert not other.file or not other.file.exists()


def test_a_ledger_that_is_level_or_ahead_is_used_as_it_is(head: Head) -> None:
    head.run("a")
    assert head.restore() is None
    with head.begin() as ledger:
        ledger.set_study(1, state="b")
    assert head.restore() is None


@pytest.mark.parametrize(("begun_at", "num_commits", "part"), [(1.0, 1, "is behind it, with revision 1"),
                                                               (2.0, 9, "another study of this name"), (None, 0, "does not know")])
def test_a_ledger_that_lacks_what_the_copy_has_is_never_overwritten(head: Head, other: Head, begun_at: float | None,
                                                                   num_commits: int, part: str) -> None:
    head.run("a", "b", "c")
    if begun_at is None:
        Ledger.open(other.home.ledger).close()
    else:
        with other.begin(at=begun_at) as ledger:
            for number in range(num_commits):
                ledger.set_study(1, number=number)
    assert other.file
    before = snapshot.standing(other.file, STUDY)
    with pytest.raises(LedgerError) as refused:
        other.restore()
    for text in (part, "--ledger PATH", "--set name=NEW"):
        assert text in str(refused.value)
    assert snapshot.standing(other.file, STUDY) == before


def test_a_driver_on_another_host_may_be_alive_for_a_copy_and_a_heartbeat(head: Head, other: Head, tmp_path: Path) -> None:
    head.run("a")
    newest = head.shelf.cards()[0]
    far = replace(newest.standing, host="far-host", pid=41)
    head.shelf.write(replace(newest, standing=far), None)
    patience = COPY_SECONDS + lock.STALE_SECONDS
    with pytest.raises(StudyLocked, match=r"process 41 on host far-host.*wait 1 s"):
        other.restore(newest.written_at + patience - 1)
    assert other.restore(newest.written_at + patience + 1)


def test_a_second_driver_makes_the_first_cease_to_copy_and_say_so(head: Head, other: Head) -> None:
    head.run("a")
    other.restore()
    other.run("b")
    number = other.shelf.cards()[0].number
    head.run("c")
    assert other.shelf.cards()[0].number == number
    assert len(head.said) == 1
    assert "in two places" in head.said[0]


def test_a_driver_that_does_not_hold_the_study_copies_nothing(head: Head) -> None:
    with head.begin(("far-host", 41)):
        head.copier.copy()
    assert head.shelf.cards() == []


def test_a_storage_that_fails_is_told_once_and_tried_again(head: Head, driven: Ledger, tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("a file where a folder should be")
    head.copier.copy()
    head.copier.copy()
    assert len(head.said) == 1
    assert "no copy of the ledger could be written" in head.said[0]
    (tmp_path / "bucket").unlink()
    head.copier.copy()
    assert len(head.shelf.cards()) == 1


def test_a_storage_that_cannot_be_read_is_said_before_anything_begins(other: Head, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Shelf) -> Any:
        raise PermissionError("denied")
    monkeypatch.setattr(Shelf, "cards", refuse)
    with pytest.raises(InfrastructureError, match="denied"):
        other.restore()


def test_the_last_copy_is_written_when_the_driver_has_let_go(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    with copying(head.home, STUDY, head.said.append) as begin:
        ledger = head.begin()
        begin()
        ledger.set_study(1, state="a")
        ledger.close()
    card, = head.shelf.cards()
    assert (card.standing.host, card.standing.revision) == (None, 1)
    assert head.said == []


def test_a_second_driver_that_was_refused_leaves_the_copies_alone(head: Head, driven: Ledger) -> None:
    with copying(head.home, STUDY, head.said.append):
        pass  # it never began
    assert head.shelf.cards() == []
