"""Ways to damage a study in its ledger, its storage or MLflow: by hand, past all our code.

Each is given the home and the key of a trial in each state.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.plan import measure_specs
from sweeps.records import FAILED, FINISHED, End
from tests.sweeps.doctor.sound_study import DATA_DIGEST, asked

Damage = Callable[[Home, dict[str, str]], None]


def in_ledger(*statements: str) -> Damage:
    """Statements on the ledger; `<FINISHED>` is the id of a finished trial, and so on, `{FINISHED}` its key."""
    def damage(home: Home, keys: dict[str, str]) -> None:
        with closing(sqlite3.connect(home.root / "ledger.db")) as connection:
            for text in statements:
                statement = text.format(**keys)
                for state, key in keys.items():
                    statement = statement.replace(f"<{state}>", f"(select id from sweep_trials where key = '{key}')")
                run(connection, statement)
            connection.commit()
    return damage


def in_mlflow(*statements: str) -> Damage:
    """Statements on MLflow's database; `{FINISHED}` is the run of a finished trial, and so on, `{parent}` the sweep's."""
    def damage(home: Home, keys: dict[str, str]) -> None:
        with closing(sqlite3.connect(home.root / "mlflow.db")) as connection:
            runs = {state: run_of(connection, key) for state, key in keys.items()}
            parent = connection.execute("select run_uuid from tags where key = 'sweep.cursor'").fetchone()[0]
            for statement in statements:
                run(connection, statement.format(parent=parent, **runs))
            connection.commit()
    return damage


def run(connection: sqlite3.Connection, statement: str) -> None:
    assert connection.execute(statement).rowcount, f"changes nothing: {statement}"


def run_of(connection: sqlite3.Connection, key: str) -> str:
    found = connection.execute("select run_uuid from tags where key = 'sweep.trial_key' and value = ?", (key,)).fetchone()
    return str(found[0])


def twin_run(home: Home, keys: dict[str, str]) -> None:
    """A second run of a finished trial, as a lost answer makes one."""
    with closing(sqlite3.connect(home.root / "mlflow.db")) as connection:
        one = run_of(connection, keys[FINISHED])
        names = ", ".join(row[1] for row in connection.execute("pragma table_info(runs)") if row[1] != "run_uuid")
        connection.execute(f"insert into runs (run_uuid, {names}) select 'twin', {names} from runs where run_uuid = ?", (one,))
        names = ", ".join(row[1] for row in connection.execute("pragma table_info(tags)") if row[1] != "run_uuid")
        connection.execute(f"insert into tags (run_uuid, {names}) select 'twin', {names} from tags where run_uuid = ?", (one,))
        connection.commit()


def extra_trial(home: Home, keys: dict[str, str]) -> None:
    """One trial more than the study asks for: on another split, and whole but for having failed before it began."""
    study = asked()
    more = replace(study, measure=replace(study.measure, splits=study.measure.splits + 1))
    spec = measure_specs(more, DATA_DIGEST, {"width=0.5": {"alpha": 1.0, "weight_decay": 1e-3, "dropout": 0.0, "epochs": 5}})[-1]
    with Ledger.open(home.ledger) as ledger:
        ledger.add_trial(1, spec, 1e9)
        ledger.end_trial(1, spec.key, End(state=FAILED, failure_class="LOST", failure_text="no worker"), 1e9)


def file(path: str, content: bytes | None) -> Damage:
    """A file below the home with other content, or gone."""
    def damage(home: Home, keys: dict[str, str]) -> None:
        target = home.root / path.format(**keys)
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.unlink()
        else:
            target.write_bytes(content)
    return damage


def cut(path: str, share: float) -> Damage:
    """A file that ends early."""
    def damage(home: Home, keys: dict[str, str]) -> None:
        target = home.root / path.format(**keys)
        whole = target.read_bytes()
        target.write_bytes(whole[:int(share * len(whole))])
    return damage


def flipped(path: str) -> Damage:
    """A file with one other bit, in its last byte."""
    def damage(home: Home, keys: dict[str, str]) -> None:
        target = home.root / path.format(**keys)
        whole = bytearray(target.read_bytes())
        whole[-1] ^= 1
        target.write_bytes(whole)
    return damage
