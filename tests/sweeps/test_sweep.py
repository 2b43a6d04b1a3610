"""The loop: the order of trials, exact budgets, and that a sweep goes on from any point as if it had never stopped."""

import random
import runpy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.answer import results_of
from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.ledger import Ledger
from sweeps.records import (
    FAILED,
    FINAL_STATES,
    FINISHED,
    INTERRUPTED,
    LOST,
    MEASURE,
    PENDING,
    PRUNED,
    RUNNING,
    SEARCH,
    WOULD_PRUNE,
    End,
    Report,
    Row,
    TrialRecord,
    TrialSpec,
)
from sweeps.sweep import Sweep, is_audited, run_locally

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_study, make_data, runner, value_of = SMALL["make_study"], SMALL["make_data"], SMALL["runner"], SMALL["value_of"]
DIGEST = "0" * 16


class Desk:
    """A ledger and a sweep on it, driven by hand; `again` is what a new driver would see."""

    def __init__(self, folder: Path, study: Any) -> None:
        self.folder, self.study = folder, study
        self.clock = 1000.0
        self.ledger = Ledger.open(folder / "ledger.db")
        self.record = self.ledger.register_study(study.name, study.identity(), study.to_dict(), 0.0)
        self.sweep = self.new_sweep()

    def new_sweep(self) -> Sweep:
        return Sweep(self.study, self.ledger, self.record, Brain(self.study), DIGEST, self.tick)

    def again(self, **changes: Any) -> "Desk":
        self.ledger.close()
        return Desk(self.folder, replace(self.study, **changes))

    def tick(self) -> float:
        self.clock += 1.0
        return self.clock

    def trials(self, stage: str | None = None) -> list[TrialRecord]:
        return self.ledger.trials(self.record.id, stage)

    def record_now(self) -> Any:
        """The ledger's record of the study, as it was last registered."""
        return self.ledger.study(self.study.name)

    def run_all(self) -> list[TrialSpec]:
        """Run what is left, one trial at a time."""
        specs = []
        while not self.sweep.done:
            specs.append(self.run_one())
        return specs

    def run_one(self) -> TrialSpec:
        spec = self.sweep.next_trial()
        assert spec is not None
        self.sweep.record(finished(spec))
        return spec


def rows(spec: TrialSpec, first: int, last: int) -> tuple[Row, ...]:
    return tuple(Row(epoch=epoch, at=float(epoch), seconds=60.0 * spec.config["width"], eval_seconds=0.0,
                     metrics={"val/error": value_of(spec.config) * (1 + 1 / epoch)}) for epoch in range(first, last + 1))


def report(spec: TrialSpec, first: int, last: int, token: str = "", end: End | None = None, started_at: float = 0.0) -> Report:
    return Report(key=spec.key, token=token or spec.key, worker="here:1", node="here", device="cpu", started_at=started_at,
                  rows=rows(spec, first, last), end=end)


def finished(spec: TrialSpec, token: str = "") -> Report:
    return report(spec, 1, spec.config["epochs"], token, End(state=FINISHED))


def failed(spec: TrialSpec, failure_class: str = "DIVERGED") -> Report:
    return report(spec, 1, 2, end=End(state=FAILED, failure_class=failure_class, failure_text="nan"))


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Desk]:
    return lambda **changes: Desk(tmp_path, make_study(**changes))


def test_n_asked_is_n_run(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=6)
    specs = there.run_all()
    assert there.sweep.complete
    assert Counter((spec.stage, spec.capacity) for spec in specs) == {
        (SEARCH, "width=0.25"): 6, (SEARCH, "width=0.5"): 6, (MEASURE, "width=0.25"): 4, (MEASURE, "width=0.5"): 4}
    assert {trial.state for trial in there.trials()} == {FINISHED}
    assert len({spec.key for spec in specs}) == 20


def test_searches_take_turns_the_costliest_first(desk: Callable[..., Desk]) -> None:
    specs = desk(max_trials=3, capacities=(0.25, 1.0, 0.5)).run_all()
    asked = [spec.capacity for spec in specs if spec.stage == SEARCH]
    assert asked == ["width=1", "width=0.5", "width=0.25"] * 3


def test_measuring_uses_the_best_setting_on_splits_the_search_never_saw(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=8)
    there.run_all()
    for capacity in there.sweep._dispatch.searches:
        searched = [trial for trial in there.trials(SEARCH) if trial.capacity == capacity]
        best = min(searched, key=lambda trial: value_of(trial.config) * (1 + 1 / trial.config["epochs"]))
        measured = [trial for trial in there.trials(MEASURE) if trial.capacity == capacity]
        assert {trial.split for trial in searched} == {0}
        assert sorted((trial.setting["alpha"], trial.split) for trial in measured) == [(0.0, 1), (0.0, 2), (1.0, 1), (1.0, 2)]
        assert all({**best.setting, "alpha": trial.setting["alpha"]} == trial.setting for trial in measured)


def test_a_capacity_is_measured_as_soon_as_its_own_search_is_complete(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2)
    held = there.sweep.next_trial()
    assert held
    for _ in range(3):
        there.run_one()
    following = [there.sweep.next_trial() for _ in range(4)]
    assert {(spec.stage, spec.capacity) for spec in following if spec} == {(MEASURE, {"width=0.5": "width=0.25"}[held.capacity])}
    assert there.sweep.next_trial() is None
    assert not there.sweep.done


def test_longest_measure_trials_go_first(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2)
    waiting = [there.sweep.next_trial() for _ in range(4)]
    for spec in waiting:
        there.sweep.record(finished(spec))
    order = [there.run_one() for _ in range(8)]
    seconds = [spec.config["width"] * spec.config["epochs"] for spec in order]
    assert seconds == sorted(seconds, reverse=True)


def test_an_arm_asked_again_is_its_next_repeat(desk: Callable[..., Desk]) -> None:
    twice = ({"alpha": 1.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 5},) * 3
    there = desk(max_trials=3, first=twice, capacities=(0.5,))
    specs = [there.run_one() for _ in range(3)]
    assert [spec.repeat for spec in specs] == [0, 1, 2]
    assert len({spec.key for spec in specs}) == 3
    assert len({spec.arm_key for spec in specs}) == 1


def test_hours_bound_the_search_of_each_capacity(desk: Callable[..., Desk]) -> None:
    """A trial of 5 epochs takes 300 s x width: 150 s at width 0.5, 75 s at 0.25, so 400 s are reached by the third and sixth."""
    same = ({"alpha": 1.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 5},) * 20
    there = desk(max_trials=20, max_hours=400 / 3600, first=same)
    there.run_all()
    assert Counter(trial.capacity for trial in there.trials(SEARCH)) == {"width=0.5": 3, "width=0.25": 6}
    assert len(there.trials(MEASURE)) == 8


def test_epochs_that_are_reported_again_cost_nothing(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2, capacities=(0.5,))
    spec = there.sweep.next_trial()
    there.sweep.record(report(spec, 1, 2, token="first"))
    there.sweep.lost(spec.key, "gone")
    again = there.sweep.next_trial()
    there.sweep.record(report(again, 1, 3, token="second"))
    assert there.sweep._dispatch.searches["width=0.5"].seconds == 3 * 30.0
    there = there.again()
    assert there.sweep._dispatch.searches["width=0.5"].seconds == 3 * 30.0


def test_what_a_dead_driver_left_running_is_interrupted_at_the_start(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2)
    spec = there.sweep.next_trial()
    there.sweep.record(report(spec, 1, 2))
    there = there.again()
    assert there.ledger.trial(there.record.id, spec.key).state == INTERRUPTED
    assert [attempt.state for attempt in there.ledger.attempts(there.record.id)] == [INTERRUPTED]


def test_failed_trials_consume_the_budget_and_are_kept(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=4)
    for number in range(4):
        spec = there.sweep.next_trial()
        assert there.sweep.record(failed(spec) if number < 2 else finished(spec))
    there.run_all()
    assert len(there.trials(SEARCH)) == 8
    assert Counter(trial.state for trial in there.trials(SEARCH)) == {FINISHED: 6, FAILED: 2}


def test_a_capacity_where_all_failed_is_noted_and_not_measured(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2)
    while not there.sweep.done:
        spec = there.sweep.next_trial()
        there.sweep.record(failed(spec) if spec.capacity == "width=0.5" else finished(spec))
    assert there.sweep.complete
    assert there.sweep.notes == ["width=0.5 is not measured: none of its 2 search trials finished"]
    assert {trial.capacity for trial in there.trials(MEASURE)} == {"width=0.25"}


def test_fixed_settings_are_measured_without_a_search(desk: Callable[..., Desk]) -> None:
    study = make_study(max_trials=0)
    at = {"weight_decay": 1e-4, "dropout": 0.1, "epochs": 4}
    there = desk(max_trials=0, measure=replace(study.measure, at=at))
    specs = there.run_all()
    assert {spec.stage for spec in specs} == {MEASURE}
    assert len(specs) == 8
    assert there.sweep.notes == []


def test_bad_trials_are_pruned_at_a_rung_and_nowhere_else(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=12, rule="asha", capacities=(0.5,))
    while not there.sweep.done:
        spec = there.sweep.next_trial()
        last, token = 0, spec.key
        for epoch in (*there.sweep.rungs(spec), spec.config["epochs"]):
            end = End(state=FINISHED) if epoch == spec.config["epochs"] else None
            if there.sweep.record(report(spec, last + 1, epoch, token, end)):
                break
            last = epoch
    pruned = [trial for trial in there.trials() if trial.state == PRUNED]
    assert len(pruned) > 2
    assert all(trial.stage == SEARCH and trial.last_epoch in there.sweep.brain.rungs(trial.config["epochs"]) for trial in pruned)
    decided = there.ledger.decisions(there.record.id, "prune")
    assert [decision.detail["epoch"] for decision in decided] == [trial.last_epoch for trial in pruned]
    assert len(there.trials(SEARCH)) == 12


def audited_study(share: float, **changes: Any) -> dict[str, Any]:
    """What makes a study of one capacity that prunes hard and audits so much of it."""
    search = make_study(max_trials=12, rule="asha").search
    return {"capacities": (0.5,), "search": replace(search, prune=replace(search.prune, audit=share)), **changes}


def run_by_rungs(there: Desk, num_reports: int = 10**6) -> None:
    """Run what is left as a worker would, a report a rung; at most so many reports."""
    while not there.sweep.done:
        spec = there.sweep.next_trial()
        known, began = there.ledger.trial(there.record.id, spec.key).last_epoch, there.clock
        for epoch in (*there.sweep.rungs(spec), spec.config["epochs"]):
            if epoch <= known:
                continue
            if num_reports == 0:
                return
            num_reports -= 1
            end = End(state=FINISHED) if epoch == spec.config["epochs"] else None
            if there.sweep.record(report(spec, 1, epoch, token=f"{spec.key} {began}", end=end, started_at=began)):
                break


def would_prune(there: Desk) -> dict[str, int]:
    """Trial key -> the epoch at which the rule would have stopped it, of the trials that run on."""
    key_of = {trial.id: trial.key for trial in there.trials()}
    return {key_of[one.trial_id]: one.detail["epoch"] for one in there.ledger.decisions(there.record.id, WOULD_PRUNE)}


def pruned_at(there: Desk) -> dict[str, int]:
    return {trial.key: trial.last_epoch for trial in there.trials() if trial.state == PRUNED}


def test_without_an_audit_every_trial_to_be_stopped_is(desk: Callable[..., Desk]) -> None:
    there = desk(**audited_study(0.0))
    run_by_rungs(there)
    assert would_prune(there) == {}
    assert len(pruned_at(there)) > 3


def test_an_audited_trial_is_never_stopped_and_the_others_are_judged_as_if_it_had_been(tmp_path: Path) -> None:
    """The sampler is a random one, which learns nothing: both runs ask the same, and differ in who is stopped alone."""
    stopped, whole, part = (Desk(tmp_path / name, make_study(**audited_study(share)))
                            for name, share in (("none", 0.0), ("all", 1.0), ("half", 0.5)) if not (tmp_path / name).mkdir())
    for there in (stopped, whole, part):
        run_by_rungs(there)
    assert [trial.setting for trial in whole.trials(SEARCH)] == [trial.setting for trial in stopped.trials(SEARCH)]
    assert would_prune(whole) == pruned_at(stopped) == would_prune(part) | pruned_at(part)
    assert pruned_at(whole) == {}
    assert {trial.state for trial in whole.trials(SEARCH)} == {FINISHED}
    assert all(trial.last_epoch == trial.config["epochs"] for trial in whole.trials(SEARCH))
    assert set(would_prune(part)) == {key for key in would_prune(whole) if is_audited(part.study, key)}
    assert would_prune(part)
    assert pruned_at(part)
    values = [one.detail["value"] for one in whole.ledger.decisions(whole.record.id, WOULD_PRUNE)]
    assert values == [one.detail["value"] for one in stopped.ledger.decisions(stopped.record.id, "prune")]


@pytest.mark.parametrize("num_reports", [3, 8, 14])
def test_a_restart_changes_no_decision_of_the_audit(tmp_path: Path, num_reports: int) -> None:
    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
    unbroken, broken = (Desk(tmp_path / name, make_study(**audited_study(0.5))) for name in ("unbroken", "broken"))
    run_by_rungs(unbroken)
    run_by_rungs(broken, num_reports)
    broken = broken.again()
    run_by_rungs(broken)
    assert would_prune(broken) == would_prune(unbroken)
    assert pruned_at(broken) == pruned_at(unbroken)
    assert [trial.setting for trial in broken.trials()] == [trial.setting for trial in unbroken.trials()]


def test_an_audit_that_began_is_kept_where_a_resumed_study_audits_nothing(desk: Callable[..., Desk]) -> None:
    there = desk(**audited_study(1.0))
    while not would_prune(there):
        run_by_rungs(there, 1)
    (key, epoch), = would_prune(there).items()
    later = there.again(search=audited_study(0.0)["search"])
    run_by_rungs(later)
    assert would_prune(later) == {key: epoch}
    assert later.ledger.trial(later.record.id, key).state == FINISHED
    assert pruned_at(later)


def test_an_audited_trial_tells_the_search_its_true_end(desk: Callable[..., Desk]) -> None:
    there = desk(**audited_study(1.0))
    run_by_rungs(there)
    for brain in (there.sweep.brain, there.again().sweep.brain):
        told = brain._searches["width=0.5"]._study.get_trials(deepcopy=False)
        assert {one.state.name for one in told} == {"COMPLETE"}
        for one, trial in zip(told, there.again().trials(SEARCH), strict=True):
            assert one.value == pytest.approx(value_of(trial.config) * (1 + 1 / trial.config["epochs"]), rel=1e-12)


def test_the_answer_holds_the_audit_of_what_the_ledger_says(desk: Callable[..., Desk]) -> None:
    there = desk(**audited_study(0.5))
    run_by_rungs(there)
    found = results_of(there.ledger, there.record_now(), str(there.folder)).pruning
    whole, = found.groups
    assert (found.rule, found.audit, found.rungs) == ("asha", 0.5, (40, 80))
    assert whole.num_trials == 12
    assert whole.num_stopped == len(would_prune(there)) + len(pruned_at(there))
    assert whole.wrong.n == len(would_prune(there))
    saved = sum(trial.config["epochs"] - trial.last_epoch for trial in there.trials() if trial.state == PRUNED)
    assert whole.epochs_saved == saved > 0
    nothing = there.again(search=make_study().search, name="unpruned")
    assert results_of(nothing.ledger, nothing.record_now(), str(there.folder)).pruning is None


def test_who_audits_is_drawn_by_seed_and_key_alone() -> None:
    def drawn(share: float, seed: int = 0) -> set[int]:
        study = make_study(seed=seed, **audited_study(share))
        return {number for number in range(2000) if is_audited(study, f"key{number}")}
    assert drawn(0.0) == set()
    assert len(drawn(1.0)) == 2000
    assert drawn(0.1) == drawn(0.1) < drawn(0.3)
    assert drawn(0.1) != drawn(0.1, seed=1)
    assert abs(len(drawn(0.1)) - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5


def test_measure_trials_are_never_pruned(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2, rule="asha")
    specs = there.run_all()
    assert all(there.sweep.rungs(spec) == () for spec in specs if spec.stage == MEASURE)


def test_a_lost_trial_is_tried_again_first_and_then_given_up(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=2)
    spec = there.sweep.next_trial()
    there.sweep.record(report(spec, 1, 2))
    for attempt in range(2):
        there.sweep.lost(spec.key, "its worker died")
        assert there.ledger.trial(there.record.id, spec.key).state == INTERRUPTED
        again = there.sweep.next_trial()
        assert again.key == spec.key
        there.sweep.record(report(again, 1, 3 + attempt, token=f"try {attempt}", started_at=10.0 * attempt))
    there.sweep.lost(spec.key, "its worker died")
    trial = there.ledger.trial(there.record.id, spec.key)
    assert (trial.state, trial.failure_class, trial.failure_text, trial.last_epoch) == (FAILED, "CRASHED", "its worker died", 4)
    assert there.sweep.next_trial().key != spec.key
    assert [attempt.state for attempt in there.ledger.attempts(there.record.id)] == [LOST, LOST, LOST]


def test_losses_are_counted_over_restarts(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=1)
    spec = there.sweep.next_trial()
    there.sweep.lost(spec.key, "gone")
    there = there.again()
    assert there.sweep.next_trial().key == spec.key
    there.sweep.lost(spec.key, "gone")
    assert there.ledger.trial(there.record.id, spec.key).state == FAILED


def test_machines_that_die_cost_no_retry_but_ten_of_them_end_a_trial(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=0)
    spec = there.sweep.next_trial()
    for number in range(10):
        assert there.ledger.trial(there.record.id, spec.key).state in (PENDING, INTERRUPTED), number
        there.sweep.lost(spec.key, "its node has died", "LOST")
        assert number == 9 or there.sweep.next_trial().key == spec.key
    trial = there.ledger.trial(there.record.id, spec.key)
    assert (trial.state, trial.failure_class) == (FAILED, "LOST")


def out_of_memory(spec: TrialSpec, last: int, token: str = "t", started_at: float = 0.0) -> Report:
    end = End(state=FAILED, failure_class="OOM", failure_text="CUDA out of memory")
    return report(spec, 1, last, token, end, started_at)


def test_a_trial_out_of_memory_is_tried_once_more_while_nothing_else_runs(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=2)
    large, other = there.sweep.next_trial(), there.sweep.next_trial()
    assert there.sweep.record(out_of_memory(large, 2))
    assert there.ledger.trial(there.record.id, large.key).state == INTERRUPTED
    assert large.key in there.sweep.unfinished
    assert there.sweep.next_trial() is None, "the other one still runs"
    assert not there.sweep.done
    there.sweep.record(finished(other))
    assert there.sweep.next_trial().key == large.key
    assert there.sweep.next_trial() is None, "it has everything to itself"
    assert there.sweep.record(out_of_memory(large, 2, "again", started_at=99.0))
    trial = there.ledger.trial(there.record.id, large.key)
    assert (trial.state, trial.failure_class, trial.failure_text) == (FAILED, "OOM", "CUDA out of memory")
    assert there.sweep.next_trial() is not None, "the sweep goes on"


def test_that_a_trial_must_run_alone_is_known_after_a_restart(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=2)
    large, other = there.sweep.next_trial(), there.sweep.next_trial()
    there.sweep.lost(large.key, "ray.exceptions.OutOfMemoryError", "OOM")
    there.sweep.stop()
    there.sweep.close()
    there = there.again()
    first = there.sweep.next_trial()
    assert first.key == large.key
    assert there.sweep.next_trial() is None
    there.sweep.record(report(first, 1, first.config["epochs"], "again", End(state=FINISHED), there.tick()))
    assert there.ledger.trial(there.record.id, large.key).state == FINISHED
    assert there.sweep.next_trial().key == other.key


def test_without_retries_out_of_memory_is_the_end(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=0)
    spec = there.sweep.next_trial()
    assert there.sweep.record(out_of_memory(spec, 1))
    assert there.ledger.trial(there.record.id, spec.key).failure_class == "OOM"


def test_a_trial_that_ended_is_not_lost(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3)
    spec = there.run_one()
    there.sweep.lost(spec.key, "gone")
    assert there.ledger.trial(there.record.id, spec.key).state == FINISHED


def test_a_stop_interrupts_each_trial_with_its_next_report_and_asks_for_nothing(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=4)
    first, second, third = (there.sweep.next_trial() for _ in range(3))
    there.sweep.stop()
    assert there.sweep.next_trial() is None
    assert there.sweep.record(report(first, 1, 2))
    assert there.sweep.record(finished(second))
    assert not there.sweep.done
    there.sweep.close()
    assert there.sweep.done
    assert not there.sweep.complete
    assert [there.ledger.trial(there.record.id, spec.key).state for spec in (first, second, third)] == [
        INTERRUPTED, FINISHED, INTERRUPTED]
    there = there.again()
    assert {there.sweep.next_trial().key for _ in range(2)} == {first.key, third.key}


def test_a_study_stopped_in_its_last_trial_is_not_complete(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=1, capacities=(0.5,))
    for _ in range(4):
        there.run_one()
    last = there.sweep.next_trial()
    there.sweep.stop()
    there.sweep.record(report(last, 1, 2))
    assert there.sweep.done
    assert not there.sweep.complete
    assert there.sweep.unfinished == {last.key}


def test_a_late_report_of_an_old_attempt_changes_nothing(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3)
    spec = there.sweep.next_trial()
    there.sweep.record(report(spec, 1, 2, token="old", started_at=1.0))
    there.sweep.lost(spec.key, "the node was cut off")
    again = there.sweep.next_trial()
    there.sweep.record(report(again, 1, 3, token="new", started_at=2.0))
    assert there.sweep.record(report(spec, 3, 5, token="old", started_at=1.0))
    trial = there.ledger.trial(there.record.id, spec.key)
    assert (trial.state, trial.last_epoch) == (RUNNING, 3)
    assert spec.key in there.sweep.running
    assert there.sweep.record(report(again, 4, spec.config["epochs"], token="new", started_at=2.0, end=End(state=FINISHED)))
    assert there.ledger.trial(there.record.id, spec.key).state == FINISHED


def test_a_refused_report_of_the_present_attempt_is_a_loss_not_a_hang(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, retries=0)
    spec = there.sweep.next_trial()
    there.sweep.record(report(spec, 1, 2, token="only"))
    there.ledger.close_attempt(there.record.id, spec.key, INTERRUPTED, "another hand", 5.0)
    assert there.sweep.record(report(spec, 3, 4, token="only"))
    assert there.ledger.trial(there.record.id, spec.key).state == FAILED
    assert spec.key not in there.sweep.running


def test_observers_see_every_commit_and_cannot_stop_it(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=1, capacities=(0.5,))
    seen: list[tuple[str, str]] = []

    def broken(trial: TrialRecord) -> None:
        raise ValueError("no paper")

    there.sweep.observers += [broken, lambda trial: seen.append((trial.key, trial.state))]
    spec = there.sweep.next_trial()
    there.sweep.record(report(spec, 1, 2))
    there.sweep.record(report(spec, 3, spec.config["epochs"], end=End(state=FINISHED)))
    assert seen == [(spec.key, PENDING), (spec.key, RUNNING), (spec.key, FINISHED)]
    assert there.sweep.observer_errors == [f"{spec.key}: ValueError: no paper"] * 3


def test_a_finished_study_is_done_at_once(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2)
    there.run_all()
    there = there.again()
    assert there.sweep.done
    assert there.sweep.complete
    assert there.sweep.next_trial() is None


def test_a_larger_budget_continues_a_finished_study(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=2)
    keys = {spec.key for spec in there.run_all()}
    there = there.again(search=replace(there.study.search, max_trials=4),
                        measure=replace(there.study.measure, alphas=(0.0, 1.0, 3.0)))
    more = there.run_all()
    assert not keys & {spec.key for spec in more}
    assert Counter(trial.stage for trial in there.trials())[SEARCH] == 8
    measured = {(trial.capacity, trial.setting["alpha"], trial.split) for trial in there.trials(MEASURE)}
    assert len(measured) == 12


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_point_it_ends_as_if_never_killed(desk: Callable[..., Desk], tmp_path: Path, seed: int) -> None:
    """Two workers; the driver dies without a word at random points and a new one takes over: every trial once, budget exact."""
    chance = random.Random(seed)
    there = desk(max_trials=5, rule="asha", sampler="tpe")
    at_work: dict[str, tuple[TrialSpec, int, str]] = {}
    num_drivers, num_runs = 1, Counter[str]()
    while not there.sweep.done:
        if chance.random() < 0.08:
            there, at_work, num_drivers = there.again(), {}, num_drivers + 1
            continue
        spec = there.sweep.next_trial() if len(at_work) < 2 else None
        if spec:
            at_work[spec.key] = (spec, 0, f"driver {num_drivers}")
            continue
        if not at_work:
            continue
        spec, last, token = at_work[chance.choice(sorted(at_work))]
        upto = min([rung for rung in (*there.sweep.rungs(spec), spec.config["epochs"]) if rung > last])
        end = End(state=FINISHED) if upto == spec.config["epochs"] else None
        stop = there.sweep.record(report(spec, last + 1, upto, token + spec.key, end, started_at=float(num_drivers)))
        num_runs[spec.key] += stop
        at_work[spec.key] = (spec, upto, token)
        if stop:
            del at_work[spec.key]
    assert num_drivers > 1
    assert there.sweep.complete
    trials = there.trials()
    assert Counter(trial.stage for trial in trials) == {SEARCH: 10, MEASURE: 8}
    assert {trial.state for trial in trials} <= set(FINAL_STATES)
    assert set(num_runs.values()) == {1}
    by_id = there.ledger.rows(there.record.id)
    for trial in trials:
        assert [row.epoch for row in by_id[trial.id]] == list(range(1, trial.last_epoch + 1))
        assert trial.state != FINISHED or trial.last_epoch == trial.config["epochs"]
    assert not [attempt for attempt in there.ledger.attempts(there.record.id) if attempt.state == RUNNING]


def test_a_local_run_leaves_predictions_and_no_checkpoints(tmp_path: Path, desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, rule="asha")
    run_locally(there.sweep, make_data(), Place(storage=str(tmp_path), study="small"), runner)
    assert there.sweep.complete
    for trial in there.trials():
        path = tmp_path / "predictions" / "small" / f"{trial.key}.npy"
        assert path.exists() == (trial.state == FINISHED)
    assert not list(tmp_path.glob("checkpoints/**/latest"))


def test_diverged_trials_are_recorded_as_such(tmp_path: Path, desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3)
    run_locally(there.sweep, make_data(), Place(storage=str(tmp_path), study="small"), SMALL["diverging"])
    for trial in there.trials():
        expected = (FAILED, "DIVERGED", 1) if trial.setting["alpha"] > 0 else (FINISHED, None, trial.config["epochs"])
        assert (trial.state, trial.failure_class, trial.last_epoch) == expected


ARMS = {"dropout": {"dropout": 0.4}, "both": {"alpha": 1.0, "dropout": 0.4}, "short": {"alpha": 0.5, "epochs": 4}}


def test_arms_are_measured_and_compared_beside_the_ladder(tmp_path: Path, desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3)
    there.study = replace(there.study, measure=replace(there.study.measure, arms=ARMS))
    there = there.again()
    run_locally(there.sweep, make_data(), Place(storage=str(tmp_path), study="small"), runner)
    assert there.sweep.complete
    assert Counter(trial.origin for trial in there.trials(MEASURE)) == {
        "ladder": 8, "arm: dropout": 4, "arm: both": 4, "arm: short": 4}
    results = results_of(there.ledger, there.record_now(), str(tmp_path))
    for found in results.capacities:
        assert [(arm.name, arm.num_splits, arm.missing) for arm in found.arms] == [
            (name, 2, 0) for name in ("alpha 0", "alpha 1", *ARMS)]
        for arm in found.arms[2:]:
            expected = value_of({**found.setting, "alpha": 0.0, **ARMS[arm.name]})
            epochs = ARMS[arm.name].get("epochs", found.setting["epochs"])
            assert arm.val_error.value == pytest.approx(expected * (1 + 1 / epochs))
            assert arm.difference.value == pytest.approx(arm.val_error.value - found.arms[0].val_error.value)
        assert len(found.points) == 2, "the ladder is what it was"


def test_arms_added_to_a_study_that_is_complete_are_all_that_runs(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3)
    before = {spec.key for spec in there.run_all()}
    there = there.again(measure=replace(there.study.measure, arms=ARMS))
    assert not there.sweep.complete
    added = there.run_all()
    assert Counter(spec.origin for spec in added) == {f"arm: {name}": 4 for name in ARMS}
    assert not before & {spec.key for spec in added}


def test_an_arm_that_comes_to_a_rung_or_to_another_arm_runs_once(tmp_path: Path, desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, capacities=(0.5,))
    there.run_all()
    best = there.sweep.brain.best("width=0.5")
    same = {"dropout": best["dropout"]}
    arms = {"rung": {"alpha": 1.0, **same}, "a": {"alpha": 0.5, **same}, "b": {"alpha": 0.5}}
    there = there.again(measure=replace(there.study.measure, arms=arms))
    assert {spec.origin for spec in there.run_all()} == {"arm: a"}
    found = results_of(there.ledger, there.record_now(), str(tmp_path)).capacities[0].arms
    assert {arm.name: (arm.same_as, arm.missing) for arm in found[2:]} == {"rung": ("alpha 1", 0), "a": ("", 0), "b": ("a", 0)}


def test_the_longest_arm_is_begun_first(desk: Callable[..., Desk]) -> None:
    there = desk(max_trials=3, capacities=(0.5,))
    there.run_all()
    long = {"long": {"alpha": 0.5, "epochs": 90}, "short": {"alpha": 0.6, "epochs": 1}}
    there = there.again(measure=replace(there.study.measure, arms=long))
    assert [spec.origin for spec in there.run_all()] == ["arm: long"] * 2 + ["arm: short"] * 2


def test_an_arm_that_the_best_setting_rules_out_is_told_and_the_rest_runs(desk: Callable[..., Desk]) -> None:
    space = SMALL["SPACE"].narrow({"lam_per": {"choices": ["sample"]}})
    there = desk(max_trials=3, capacities=(0.5,), space=space, first=())
    there = there.again(measure=replace(there.study.measure, arms={"plain": {"method": "erm"}, "other": {"alpha": 0.5}}))
    assert {spec.origin for spec in there.run_all() if spec.stage == MEASURE} == {"ladder", "arm: other"}
    assert there.sweep.notes == ["width=0.5: arm plain is not measured: what it sets contradicts the best setting found"]
