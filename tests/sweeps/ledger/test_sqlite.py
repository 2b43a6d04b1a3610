"""A ledger in a SQLite file: locked, damaged, misplaced, out of room."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from sweeps.ledger import Ledger
from sweeps.ledger import store as ledger_store
from sweeps.ledger.store import LAST_PATIENCE_SECONDS, PATIENCE_SECONDS
from trainable.errors import LedgerError

AT = 2000.0


class TestSqliteFiles:
    @pytest.fixture
    def path(self, tmp_path, make):
        """A ledger file of some size, closed."""
        path = tmp_path / "ledger.db"
        with Ledger.open(path) as ledger:
            study_id = ledger.register_study("digits", {}, {}, AT).id
            for number in range(20):
                ledger.add_trial(study_id, make.spec(number), AT)
                ledger.append(study_id, make.report(f"key{number}", epochs=(1, 20), end=make.finish), AT)
        return path

    def test_the_file_is_one_whole_file_after_closing(self, path):
        assert [entry.name for entry in path.parent.iterdir()] == ["ledger.db"]

    @pytest.mark.parametrize("damage", ["garbage", "truncated", "overwritten page", "foreign"])
    def test_a_damaged_file_is_named_kept_and_left_alone(self, path, damage):
        content = bytearray(path.read_bytes())
        if damage == "garbage":
            content = bytearray(b"this is no database" * 500)
        elif damage == "truncated":
            del content[len(content) // 2 :]
        elif damage == "foreign":
            content[:16] = b"SQLite format 9\x00"
        else:
            content[8192:12288] = bytes(range(256)) * 16
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(LedgerError, match="damaged") as refused:
                Ledger.open(path)
            (copy,) = path.parent.glob("*.damaged-*")
            assert str(path) in str(refused.value)
            assert str(copy) in str(refused.value)
            assert path.read_bytes() == copy.read_bytes() == bytes(content)

    def test_damage_met_by_a_reader_is_named_too(self, path):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(LedgerError, match="damaged"), Ledger.open(path, read_only=True) as reader:
            reader.rows(1)

    def test_damage_that_is_met_again_and_again_is_copied_once_though_the_file_changes(self, path):
        with Ledger.open(path, read_only=True) as reader:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            for moment in (1000, 2000, 3000):
                os.utime(path, (moment, moment))
                with pytest.raises(LedgerError, match="damaged"):
                    reader.rows(1)
            assert len(list(path.parent.glob("*.damaged-*"))) == 1

    def test_a_lock_is_waited_for(self, path, make):
        blocker = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        with Ledger.open(path, patience_seconds=30) as ledger:
            blocker.execute("BEGIN IMMEDIATE")
            threading.Timer(0.3, blocker.rollback).start()
            ledger.add_trial(1, make.spec(99), AT)
        blocker.close()

    @pytest.mark.slow
    def test_another_process_may_hold_the_file_for_ten_seconds(self, path, make):
        hold = (
            "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
            "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); time.sleep(10); c.execute('ROLLBACK')"
        )
        with Ledger.open(path) as ledger:
            holder = subprocess.Popen([sys.executable, "-c", hold, str(path)], stdout=subprocess.PIPE)
            assert holder.stdout.readline() == b"held\n"
            assert ledger.add_trial(1, make.spec(99), AT).number == 99
            assert holder.wait() == 0

    @pytest.mark.parametrize("when", ["writing", "opening"])
    def test_a_lock_that_stays_is_an_error_that_names_the_file(self, path, make, when):
        blocker = sqlite3.connect(path, isolation_level=None)
        ledger = Ledger.open(path, patience_seconds=0.2)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError) as refused:
            ledger.add_trial(1, make.spec(99), AT) if when == "writing" else Ledger.open(path, patience_seconds=0.2)
        assert str(refused.value) == f"ledger {path}: another process has kept the file locked for 0.2 s"
        blocker.rollback()
        blocker.close()
        assert ledger.add_trial(1, make.spec(99), AT).number == 99
        ledger.close()

    def test_after_a_lock_that_stayed_nothing_waits_long_until_something_succeeds(self, path, make, monkeypatch):
        pauses = []
        blocker = sqlite3.connect(path, isolation_level=None)
        with Ledger.open(path, patience_seconds=3) as ledger:
            blocker.execute("BEGIN IMMEDIATE")
            ledger._store._engine.dispose()
            monkeypatch.setattr(ledger_store.time, "monotonic", lambda: sum(pauses))  # a clock that only pauses move
            monkeypatch.setattr(ledger_store.time, "sleep", pauses.append)
            waited = []
            for _ in range(3):
                pauses.clear()
                with pytest.raises(LedgerError, match="locked"):
                    ledger.add_trial(1, make.spec(99), AT)
                waited.append(sum(pauses))
            blocker.rollback()
            ledger.add_trial(1, make.spec(99), AT)
            blocker.execute("BEGIN IMMEDIATE")
            pauses.clear()
            with pytest.raises(LedgerError, match="locked"):
                ledger.add_trial(1, make.spec(98), AT)
            blocker.rollback()
        blocker.close()
        assert waited[0] > LAST_PATIENCE_SECONDS >= waited[1] == waited[2]
        assert sum(pauses) == waited[0]

    def test_ten_seconds_are_waited_for_and_a_minute_is_not(self):
        assert 10 < PATIENCE_SECONDS < 60

    def test_a_reader_is_not_stopped_by_a_writer(self, path):
        blocker = sqlite3.connect(path, isolation_level=None)
        with Ledger.open(path, read_only=True, patience_seconds=0.2) as reader:
            blocker.execute("BEGIN IMMEDIATE")
            assert len(reader.trials(1)) == 20
        blocker.rollback()
        blocker.close()

    def test_places_where_no_file_can_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        for place, text in [(tmp_path, "directory"), (tmp_path / "file" / "ledger.db", "cannot be made")]:
            with pytest.raises(LedgerError, match=text) as refused:
                Ledger.open(place)
            assert str(place) in str(refused.value)

    def test_directories_are_made_and_an_empty_file_becomes_a_ledger(self, tmp_path):
        path = tmp_path / "a" / "b" / "ledger.db"
        path.parent.mkdir(parents=True)
        path.touch()
        Ledger.open(path).close()
        Ledger.open(tmp_path / "c" / "d" / "ledger.db").close()

    def test_writing_does_not_wait_for_the_disk_but_keeps_order(self, path):
        with Ledger.open(path) as ledger:
            read = ledger._store.read
            assert read(lambda connection: connection.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"
            assert read(lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar()) == 1

    def test_a_full_disk_is_waited_for_then_named(self, path, make):
        with Ledger.open(path, patience_seconds=0.2) as ledger:
            # SQLite takes a limit below the size the file has for that size: from here on there is no more room.
            ledger._store.read(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1").all())
            with pytest.raises(LedgerError, match="full") as refused:
                ledger.add_trial(1, make.spec(99, config={"x": "y" * 50_000}), AT)
            assert str(path) in str(refused.value)
