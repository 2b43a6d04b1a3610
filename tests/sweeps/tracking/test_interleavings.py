"""Whatever fails, and whenever: calls that do not arrive, answers that do not, processes that die while the ledger grows.
MLflow ends with what one undisturbed sending of the whole ledger gives."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, INTERRUPTED, PRUNED, RUNNING, End, StudyRecord
from sweeps.tracking.projection import Projection, Runs
from tests.sweeps.tracking.fake_runs import Down, FakeRuns
from tests.sweeps.tracking.stored_runs import trial_runs
from tests.sweeps.tracking.trial_reports import BEGAN, DIVERGED, EPOCHS, begin, end, report, spec

ARRIVES, BEFORE, AFTER = "arrives", "fails before", "fails after"
NUMBERS = range(3)
_studies = itertools.count()

what_happens = st.tuples(st.sampled_from(["report", "report", "report", "interrupt", "prune", "fail", "finish"]),
                         st.sampled_from(NUMBERS))
sender_does = st.tuples(st.sampled_from(["step", "step", "restart"]), st.just(0))
histories = st.lists(st.one_of(what_happens, what_happens, sender_does), min_size=6, max_size=30)
faults = st.lists(st.sampled_from([ARRIVES, BEFORE, AFTER]), max_size=40)


class Faulty:
    """Calls on another object, of which each of `names` takes the next fault: raised before it has any effect, or after."""

    def __init__(self, target: Any, names: set[str], drawn: list[str]) -> None:
        self._target, self._names, self._drawn = target, names, iter(drawn)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._failing(found) if name in self._names else found

    def _failing(self, call: Any) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            fault = next(self._drawn, ARRIVES)
            if fault == BEFORE:
                raise Down
            answer = call(*arguments, **named)
            if fault == AFTER:
                raise Down
            return answer
        return called


class History:
    """A study whose trials live as they are told to; what cannot happen now does not."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.study = ledger, begin(ledger, f"study{next(_studies)}")
        self._num_attempts = dict.fromkeys(NUMBERS, 1)

    def play(self, kind: str, number: int) -> None:
        key = spec(number).key
        trial = self.ledger.trial(self.study.id, key) or self.ledger.add_trial(self.study.id, spec(number), BEGAN)
        if trial.state in FINAL_STATES:
            return
        ends = {"fail": DIVERGED, "finish": end(number)}.get(kind)
        if kind in ("report", "fail", "finish"):
            last = EPOCHS if kind == "finish" else min(trial.last_epoch + 2, EPOCHS)
            told = report(number, trial.last_epoch + 1, last, ends, token=f"{self._num_attempts[number]} ")
            assert self.ledger.append(self.study.id, told, BEGAN + 50 + trial.revision)
        elif kind == "interrupt":
            self._num_attempts[number] += 1
            self.ledger.close_attempt(self.study.id, key, INTERRUPTED, "stopped", BEGAN)
        elif trial.state == RUNNING:
            self.ledger.end_trial(self.study.id, key, End(state=PRUNED), BEGAN + 60)


class Sending:
    """A sender that dies and begins again. `connect` gives what a new process has."""

    def __init__(self, ledger: Ledger, study: StudyRecord, connect: Any) -> None:
        self._ledger, self._study, self._connect = ledger, study, connect
        self.restart()

    def restart(self) -> None:
        self._runs: Runs = self._connect()
        self._projection = Projection(self._ledger, self._study.name, None, lambda _: None)
        self._is_open = False

    def step(self) -> bool:
        """Whether more may be left; what fails is for the next step."""
        try:
            if not self._is_open:
                self._projection.open(self._runs)
                self._is_open = True
            return self._projection.step()
        except Down:
            return True

    def send_all(self) -> None:
        while self.step():
            pass


def disturbed(history: History, events: list[tuple[str, int]], connect: Any) -> None:
    sending = Sending(history.ledger, history.study, connect)
    for kind, number in events:
        if kind == "step":
            sending.step()
        elif kind == "restart":
            sending.restart()
        else:
            history.play(kind, number)
    sending.send_all()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One file for all examples: each has a study of its own in it."""
    with Ledger.open(tmp_path_factory.mktemp("interleavings") / "ledger.db") as ledger:
        yield ledger


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=histories, drawn=faults)
def test_any_interleaving_of_failures_gives_what_an_undisturbed_sending_gives(
        shared: Ledger, events: list[tuple[str, int]], drawn: list[str]) -> None:
    history, fake = History(shared), FakeRuns()
    calls = {"open", "create", "write", "add_data", "put_findings", "set_status", "save_cursor"}
    faulty = Faulty(fake, calls, drawn)
    disturbed(history, events, lambda: faulty)
    alone = FakeRuns()
    Sending(shared, history.study, lambda: alone).send_all()
    assert fake.runs == alone.runs
    assert fake.cursor == alone.cursor


@pytest.fixture(scope="module")
def stores(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two real MLflow stores: one that is disturbed, one that is not."""
    folder = tmp_path_factory.mktemp("stores")
    return tuple(f"sqlite:///{shutil.copy(migrated, folder / name)}" for name in ("disturbed.db", "quiet.db"))  # type: ignore[return-value]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(events=histories, drawn=faults)
def test_a_real_store_has_each_trial_once_and_whole_after_any_failures(
        shared: Ledger, stores: tuple[str, str], events: list[tuple[str, int]], drawn: list[str]) -> None:
    from sweeps.tracking.runs import MlflowRuns
    calls = {"create_run", "create_experiment", "log_batch", "log_inputs", "update_run", "set_terminated", "search_runs",
             "delete_run", "restore_run", "get_experiment_by_name"}
    faulty: list[Any] = []

    def connect() -> MlflowRuns:
        runs = MlflowRuns(stores[0], lambda _: None)
        if not faulty:
            faulty.append(Faulty(runs._store.client, calls, drawn))
        runs._store.client = faulty[0]
        return runs

    history = History(shared)
    disturbed(history, events, connect)
    Sending(shared, history.study, lambda: MlflowRuns(stores[1], lambda _: None)).send_all()
    name = history.study.name
    assert {key: len(runs) for key, runs in trial_runs(stores[0], name).items() if len(runs) != 1} == {}
    assert trial_runs(stores[0], name) == trial_runs(stores[1], name)
