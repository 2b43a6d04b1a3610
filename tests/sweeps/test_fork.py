"""A fork takes over what still applies and runs the rest: budgets stay exact, the study it comes from stays as it was."""

import runpy
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from search_spaces import Capacity
from sweeps.answer import results_of
from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.doctor import findings_of
from sweeps.doctor.recorded import read
from sweeps.fork import begin_fork, donors_of
from sweeps.fork.applies import ways_out
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.optuna_study import memory_of
from sweeps.records import FORKED, FORKED_FROM, MEASURE, PRUNED, SEARCH, WOULD_PRUNE, Row, StudyRecord, TrialRecord
from sweeps.study import Prune, Study
from sweeps.sweep import Sweep, run_locally
from trainable.errors import StudyError

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_study, make_data, runner, FIRST, SPACE = (SMALL[name] for name in ("make_study", "make_data", "runner", "FIRST", "SPACE"))
DIGEST = "0" * 16


class Desk:
    """One ledger and everything that was run into it; `ran` holds the keys of the trials that trained since it was cleared."""

    def __init__(self, folder: Path, ledger_url: str) -> None:
        self.folder, self.ledger, self.ran = folder, Ledger.open(ledger_url), list[str]()

    def run(self, study: Study, fork_of: str | None = None, digest: str = DIGEST) -> StudyRecord:
        """Run what is left of a study, begun as a fork if asked; its record."""
        if fork_of:
            begin_fork(self.ledger, fork_of, study, digest, partial(memory_of, study.space), 1.0)
        record = self.ledger.register_study(study.name, study.identity(), study.to_dict(), 1.0)
        self.ledger.set_study(record.id, data_digest=digest)
        sweep = Sweep(study, self.ledger, record, Brain(study), digest)
        sweep.donors = donors_of(self.ledger, record, study, digest)
        run_locally(sweep, make_data(), Place(storage=str(self.folder), study=study.name), self._counted)
        assert sweep.complete
        return record

    def _counted(self, config: Any, source: Any, device: str, *, slot: Any) -> Any:
        self.ran.append(config.trial_key(DIGEST))
        return (yield from runner(config, source, device, slot=slot))

    def trials(self, name: str, stage: str | None = None) -> list[TrialRecord]:
        return self.ledger.trials(self.ledger.study(name).id, stage)  # type: ignore[union-attr]

    def rows(self, name: str) -> dict[str, list[Row]]:
        """The rows of each trial of a study, by its key."""
        record = self.ledger.study(name)
        key_of = {trial.id: trial.key for trial in self.trials(name)}
        return {key_of[trial]: rows for trial, rows in self.ledger.rows(record.id).items()}  # type: ignore[union-attr]

    def everything(self, name: str) -> tuple[Any, ...]:
        """All that the ledger says about a study."""
        record = self.ledger.study(name)
        assert record
        return (record, self.trials(name), self.rows(name), self.ledger.attempts(record.id), self.ledger.decisions(record.id),
                self.ledger.findings(record.id))


@pytest.fixture
def desk(tmp_path: Path, ledger_url: str) -> Any:
    """In a file, and in PostgreSQL where that is selected."""
    made = Desk(tmp_path, ledger_url)
    with closing(made.ledger):
        yield made


def num_asked(study: Study) -> int:
    return len(study.capacities) * (study.search.max_trials + study.measure.num_trials)


def new_study(**changes: Any) -> Study:
    study: Study = make_study(name="new", **changes)
    return study


def begun(desk: Desk, **changes: Any) -> Study:
    """The study `small`, run to its end."""
    old: Study = make_study(**changes)
    desk.run(old)
    desk.ran.clear()
    return old


def test_a_fork_runs_only_what_it_asks_beyond_the_other_study(desk: Desk) -> None:
    begun(desk)
    desk.run(new_study(max_trials=8), "small")
    asked = new_study(max_trials=8)
    trials = desk.trials("new")
    assert len(trials) == len({trial.key for trial in trials}) == num_asked(asked)
    known = {trial.key for trial in desk.trials("small")}
    assert not known & set(desk.ran)
    assert [trial.number for trial in desk.trials("new", SEARCH) if trial.capacity == "width=0.25"] == list(range(8))


def test_what_is_taken_over_is_there_with_everything_that_belongs_to_it(desk: Desk) -> None:
    begun(desk)
    desk.run(new_study(), "small")
    assert desk.ran == []
    old, new = desk.everything("small"), desk.everything("new")
    same = [name for name in TrialRecord.__dataclass_fields__ if name not in ("id", "study_id", "revision")]
    by_key = {trial.key: trial for trial in new[1]}
    for trial in old[1]:
        assert {name: getattr(by_key[trial.key], name) for name in same} == {name: getattr(trial, name) for name in same}
    assert old[2] == new[2]
    assert sorted(attempt.token for attempt in old[3]) == sorted(attempt.token for attempt in new[3])
    assert [decision.detail["study"] for decision in new[4] if decision.kind == FORKED] == ["small"] * len(old[1])
    assert new[0].provenance[FORKED_FROM] == "small"
    answers = [results_of(desk.ledger, record, str(desk.folder)) for record in (old[0], new[0])]
    assert answers[0].capacities == answers[1].capacities


def test_the_study_it_comes_from_stays_as_it_was(desk: Desk) -> None:
    begun(desk, rule="asha")
    before = desk.everything("small")
    desk.run(new_study(max_trials=9, rule="asha"), "small")
    assert desk.everything("small") == before


def test_a_smaller_budget_takes_over_the_first_ones_alone(desk: Desk) -> None:
    begun(desk)
    desk.run(new_study(max_trials=3), "small")
    expected = {trial.key for trial in desk.trials("small", SEARCH) if trial.number < 3}
    assert {trial.key for trial in desk.trials("new", SEARCH)} == expected


@pytest.mark.parametrize(("change", "inside"), [
    ({"dropout": {"low": 0, "high": 0.2}}, lambda setting: setting["dropout"] <= 0.2),
    ({"epochs": {"low": 4, "high": 12}}, lambda setting: True),
    ({"dropout": 0.0}, lambda setting: setting["dropout"] == 0.0),
])
def test_of_another_space_the_settings_inside_it_are_taken_over(desk: Desk, change: dict[str, Any],
                                                                inside: Callable[[dict[str, Any]], bool]) -> None:
    begun(desk)
    new = new_study(space=SPACE.narrow(change), first=())
    desk.run(new, "small")
    expected = {trial.key for trial in desk.trials("small", SEARCH) if inside(trial.setting)}
    assert expected
    assert {trial.key for trial in desk.trials("new", SEARCH)} - set(desk.ran) == expected
    assert all(new.space.contains(trial.setting) for trial in desk.trials("new", SEARCH))
    assert len(desk.trials("new")) == num_asked(new)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "qmc"])
@pytest.mark.parametrize("high", [0.5, 0.4])
def test_every_sampler_goes_on_from_what_it_did_not_choose(desk: Desk, sampler: str, high: float) -> None:
    begun(desk, sampler=sampler)
    new = new_study(sampler=sampler, max_trials=8, space=SPACE.narrow({"dropout": {"low": 0, "high": high}}))
    desk.run(new, "small")
    assert len(desk.trials("new")) == num_asked(new)


def test_a_grid_of_another_space_is_searched_whole_and_one_of_the_same_goes_on(desk: Desk) -> None:
    grid = SPACE.narrow({"alpha": {"low": 0, "high": 8, "points": 4}, "weight_decay": 1e-4, "dropout": 0, "epochs": 5})
    begun(desk, sampler="grid", space=grid, max_trials=2, first=())
    desk.run(new_study(sampler="grid", space=grid, max_trials=4, first=()), "small")
    assert len({trial.arm_key for trial in desk.trials("new", SEARCH)}) == 8
    assert len([trial for trial in desk.trials("new", SEARCH) if trial.key in desk.ran]) == 4
    other = grid.narrow({"alpha": {"low": 0, "high": 8, "points": 5}})
    desk.run(make_study(name="other", sampler="grid", space=other, max_trials=5, first=()), "small")
    assert len({trial.arm_key for trial in desk.trials("other", SEARCH)}) == 10


def test_the_first_settings_are_tried_also_behind_those_taken_over(desk: Desk) -> None:
    begun(desk)
    first = (FIRST[1], {"alpha": 8.0, "weight_decay": 1e-3, "dropout": 0.1, "epochs": 6})
    desk.run(new_study(max_trials=7, first=first), "small")
    for capacity in ("width=0.25", "width=0.5"):
        settings = [trial.setting for trial in desk.trials("new", SEARCH) if trial.capacity == capacity]
        assert settings.count(first[0]) == 1
        assert settings[6] == first[1]


@pytest.mark.parametrize(("rule", "grace", "alike"), [("asha", 0.4, True), ("asha", 0.5, False), ("none", 0.4, False)])
def test_pruned_trials_and_what_was_decided_count_under_the_same_rule_only(desk: Desk, rule: str, grace: float,
                                                                           alike: bool) -> None:
    old = make_study(rule="asha", max_trials=12)
    old = replace(old, search=replace(old.search, prune=replace(old.search.prune, audit=0.5)))
    desk.run(old)
    pruned = {trial.key for trial in desk.trials("small") if trial.state == PRUNED}
    audited = desk.ledger.decisions(desk.ledger.study("small").id, WOULD_PRUNE)  # type: ignore[union-attr]
    assert pruned
    assert audited
    new = new_study(max_trials=12)
    new = replace(new, search=replace(new.search, prune=Prune(rule=rule, grace=grace, reduction=2)))
    begin_fork(desk.ledger, "small", new, DIGEST, partial(memory_of, new.space), 1.0)
    record = desk.ledger.study("new")
    assert record
    taken = {trial.key for trial in desk.trials("new") if trial.state == PRUNED}
    assert taken == (pruned if alike else set())
    assert len(desk.ledger.decisions(record.id, WOULD_PRUNE)) == (len(audited) if alike else 0)
    desk.run(new, "small")
    assert len(desk.trials("new")) == num_asked(new)


def test_measured_trials_of_another_best_setting_are_not_taken_over(desk: Desk) -> None:
    begun(desk)
    worse = SPACE.narrow({"dropout": {"low": 0.3, "high": 0.5}})
    new = new_study(space=worse, first=(), max_trials=6)
    desk.run(new, "small")
    assert len(desk.trials("new", MEASURE)) == len(new.capacities) * new.measure.num_trials
    record = desk.ledger.study("new")
    assert record
    assert donors_of(desk.ledger, record, new, DIGEST), "they would apply, were they asked for"
    assert {trial.key for trial in desk.trials("new", MEASURE)} <= set(desk.ran)


def test_more_splits_measure_only_those(desk: Desk) -> None:
    begun(desk)
    new = new_study()
    new = replace(new, measure=replace(new.measure, splits=3, alphas=(0.0, 1.0, 4.0)))
    desk.run(new, "small")
    assert len(desk.ran) == 2 * (3 * 3 - 2 * 2)
    assert len(desk.trials("new")) == num_asked(new)


def test_another_ladder_of_models_keeps_the_steps_that_both_have(desk: Desk) -> None:
    begun(desk)
    new = new_study(capacities=(0.5, 1.0))
    desk.run(new, "small")
    taken = {trial.capacity for trial in desk.trials("new") if trial.key not in desk.ran}
    assert taken == {"width=0.5"}
    assert len(desk.trials("new")) == num_asked(new)
    alone = replace(new_study(), name="alone", base=replace(new.base, width=0.25), capacities=(Capacity(label="model", fields={}),))
    desk.run(alone, "small")
    assert [trial.key for trial in desk.trials("alone") if trial.capacity == "model"], "a step is known by what it sets"


def test_measured_trials_without_a_diagnostic_asked_for_now_are_run_again(desk: Desk) -> None:
    begun(desk)
    new = new_study(diagnostics=("calibration",))
    begin_fork(desk.ledger, "small", new, DIGEST, partial(memory_of, new.space), 1.0)
    record = desk.ledger.study("new")
    assert record
    assert donors_of(desk.ledger, record, new, DIGEST) == {}


def test_a_fork_goes_on_with_and_without_being_told_so_again(desk: Desk) -> None:
    begun(desk)
    new = new_study(max_trials=8)
    for fork_of in ("small", "small", None):
        desk.run(new, fork_of)
        assert len(desk.trials("new")) == num_asked(new)


def test_readers_that_page_by_revision_see_every_copy(desk: Desk) -> None:
    begun(desk)
    desk.run(new_study(), "small")
    record = desk.ledger.study("new")
    assert record
    seen, revision = list[str](), 0
    while page := desk.ledger.changed_since(record.id, revision, limit=3):
        seen += [trial.key for trial in page]
        revision = page[-1].revision
    assert sorted(seen) == sorted(trial.key for trial in desk.trials("new"))


def test_the_doctor_finds_nothing_wrong_with_a_fork(desk: Desk) -> None:
    begun(desk, rule="asha", max_trials=12)
    new = new_study(rule="asha", max_trials=14, space=SPACE.narrow({"dropout": {"low": 0, "high": 0.6}}))
    record = desk.run(new, "small")
    assert len(desk.ran) < num_asked(new)
    desk.ledger.set_study(record.id, complete=True)
    now = desk.ledger.study("new")
    assert now
    home = Home.resolve(environ={"SWEEP_HOME": str(desk.folder)})
    assert [str(finding) for finding in findings_of(read(desk.ledger, now, None), home)] == []


@pytest.mark.parametrize(("study", "fork_of", "digest", "parts"), [
    ({}, "smal", DIGEST, ("'smal'", "did you mean small?")),
    ({"name": "small"}, "small", DIGEST, ("is the study itself", "--set name=NEW")),
    ({"name": "taken"}, "small", DIGEST, ("has begun already", "leave --fork out")),
    ({}, "small", "f" * 16, ("other data", "leave --fork out")),
    ({"seed": 1}, "small", DIGEST, ("none of its 20 finished trials applies", "seed: recorded 0, now 1")),
])
def test_what_cannot_be_forked_is_refused_with_the_way_out(desk: Desk, study: dict[str, Any], fork_of: str, digest: str,
                                                           parts: tuple[str, ...]) -> None:
    begun(desk)
    desk.run(make_study(name="taken"))
    names = [each.name for each in desk.ledger.studies()]
    new = make_study(**{"name": "new", **study})
    if "seed" in study:
        new = replace(new, base=replace(new.base, seed=1))
    with pytest.raises(StudyError) as refused:
        begin_fork(desk.ledger, fork_of, new, digest, partial(memory_of, new.space), 1.0)
    for part in parts:
        assert part in str(refused.value)
    assert [each.name for each in desk.ledger.studies()] == names


def test_the_ways_out_are_commands_with_a_name_that_is_free() -> None:
    text = ways_out("mixup-sweep run digits --set train.lr=0.2", "digits", ["digits", "digits-2", "smoke"])
    assert "\n  mixup-sweep run digits --set train.lr=0.2 --set name=digits-3\n" in text
    assert text.endswith("\n  mixup-sweep run digits --set train.lr=0.2 --set name=digits-3 --fork digits")
