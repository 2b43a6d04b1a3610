"""Racing in a sweep: the trials of a race, and that it goes on from any point as if it had never stopped."""

import runpy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.analysis.assemble import analyse
from sweeps.brain import Brain
from sweeps.ledger import Ledger
from sweeps.racing import Racer, distinct
from sweeps.records import FAILED, MEASURE, SEARCH, End, Report, Row, TrialRecord, TrialSpec
from sweeps.study import Measure
from sweeps.study.until import Until
from sweeps.sweep import Sweep
from trainable.seeding import stream_seed

make_study = runpy.run_path(str(Path(__file__).with_name("small_study.py")))["make_study"]
AT = {"weight_decay": 1e-4, "dropout": 0.1, "epochs": 4}
ALPHAS = (0.0, 0.3, 1.0, 3.0, 32.0)
RISK = {0.0: 0.2, 0.3: 0.1, 1.0: 0.02, 3.0: 0.021, 32.0: 0.2}
Desks = Callable[..., "Desk"]


class Desk:
    """A ledger and a sweep on it, driven by hand. `noise` is that of a trial, drawn from its key."""

    def __init__(self, folder: Path, study: Any, noise: float = 2e-3) -> None:
        self.folder, self.study, self.noise = folder, study, noise
        self.ledger = Ledger.open(folder / "ledger.db")
        self.record = self.ledger.register_study(study.name, study.identity(), study.to_dict(), 0.0)
        self.sweep = Sweep(study, self.ledger, self.record, Brain(study), "0" * 16, lambda: 1.0)

    def again(self, **changes: Any) -> "Desk":
        self.ledger.close()
        return Desk(self.folder, replace(self.study, **changes), self.noise)

    def trials(self, stage: str = MEASURE) -> list[TrialRecord]:
        return self.ledger.trials(self.record.id, stage)

    def run_one(self, failing: Callable[[TrialSpec], bool] = lambda _: False) -> TrialSpec | None:
        spec = self.sweep.next_trial()
        if spec:
            self.sweep.record(ended(spec, self.noise, failed=failing(spec)))
        return spec

    def run_all(self, **how: Any) -> list[TrialSpec]:
        specs = []
        while not self.sweep.done:
            specs.append(self.run_one(**how))
            assert specs[-1] is not None, "nothing runs and nothing is ready"
        return specs

    def results(self) -> Any:
        return analyse(self.study, self.ledger.trials(self.record.id), self.ledger.rows(self.record.id), (), lambda _: None, None)


def ended(spec: TrialSpec, noise: float, *, failed: bool = False) -> Report:
    error = RISK.get(spec.config["alpha"], 0.3) + 0.01 * spec.split + noise * np.random.default_rng(
        stream_seed(0, spec.key)).standard_normal()
    rows = tuple(Row(epoch=epoch, at=1.0, seconds=1.0, eval_seconds=0.0, metrics={"val/error": error, "val/loss": 2 * error})
                 for epoch in range(1, spec.config["epochs"] + 1))
    end = End(state=FAILED, failure_class="DIVERGED", failure_text="nan") if failed else End(state="FINISHED")
    return Report(key=spec.key, token=spec.key, worker="here:1", node="here", device="cpu", started_at=0.0, rows=rows, end=end)


@pytest.fixture
def desk(tmp_path: Path) -> Desks:
    def make(noise: float = 2e-3, capacities: tuple[float, ...] = (0.5,), **until: Any) -> Desk:
        measure = Measure(alphas=ALPHAS, splits=8, seeds=1, at=AT, until=Until(**until) if until else None)
        study = make_study(max_trials=0, first=(), capacities=capacities, measure=measure)
        return Desk(tmp_path, replace(study, base=replace(study.base, split_kind="disjoint")), noise)
    return make


def splits_of(there: Desk) -> dict[float, int]:
    return dict(Counter(trial.config["alpha"] for trial in there.trials()))


def test_only_the_tied_and_plain_training_get_more_splits(desk: Desks) -> None:
    there = desk(difference=1e-6)
    there.run_all()
    assert there.sweep.complete
    assert splits_of(there) == {0.0: 8, 0.3: 3, 1.0: 8, 3.0: 8, 32.0: 3}


def test_without_until_and_where_it_is_never_met_all_is_run(desk: Desks) -> None:
    there = desk(noise=0.3, width=1e-6)
    there.run_all()
    assert splits_of(there) == dict.fromkeys(ALPHAS, 8)
    raced = [trial.key for trial in there.trials()]
    whole = there.again(measure=replace(there.study.measure, until=None))
    assert whole.sweep.complete, "what a race leaves out is missing from the full factorial, and nothing else"
    assert sorted(raced) == sorted(trial.key for trial in whole.trials())


def test_the_rest_of_the_factorial_is_run_when_the_race_is_called_off(desk: Desks) -> None:
    there = desk(difference=1e-6)
    there.run_all()
    there = there.again(measure=replace(there.study.measure, until=None))
    assert len(there.run_all()) == 40 - 30
    assert splits_of(there) == dict.fromkeys(ALPHAS, 8)


@pytest.mark.parametrize("stop_after", [0, 7, 14, 15, 24])
def test_a_race_that_is_stopped_in_the_middle_decides_the_same(desk: Desks, stop_after: int) -> None:
    there = desk(difference=1e-6)
    specs = [there.run_one() for _ in range(stop_after)]
    if (running := there.sweep.next_trial()) is not None:
        there = there.again()  # the driver died while this one ran
        assert running.key in there.sweep.unfinished
    specs += there.run_all()
    assert sorted(spec.key for spec in specs if spec) == sorted(trial.key for trial in there.trials())
    assert splits_of(there) == {0.0: 8, 0.3: 3, 1.0: 8, 3.0: 8, 32.0: 3}


def test_a_round_waits_for_its_own_capacity_alone(desk: Desks) -> None:
    there = desk(capacities=(0.25, 0.5), difference=1e-6)
    first = [there.sweep.next_trial() for _ in range(30)]
    assert there.sweep.next_trial() is None
    assert not there.sweep.done
    held, *others = [spec for spec in first if spec and spec.capacity == "width=0.25"]
    for spec in others:
        there.sweep.record(ended(spec, 2e-3))
    assert there.sweep.next_trial() is None, "one trial of the round still runs"
    there.sweep.record(ended(held, 2e-3))
    more = [there.sweep.next_trial() for _ in range(6)]
    assert {(spec.capacity, spec.split) for spec in more if spec} == {("width=0.25", 4), ("width=0.25", 5)}
    assert there.sweep.next_trial() is None


def test_a_failed_trial_does_not_hold_the_race_up(desk: Desks) -> None:
    there = desk(difference=1e-6)
    there.run_all(failing=lambda spec: spec.config["alpha"] == 0.3 and spec.split == 2)
    assert there.sweep.complete
    assert splits_of(there) == {0.0: 8, 0.3: 8, 1.0: 8, 3.0: 8, 32.0: 3}, "an arm that lacks a split is not decided against"
    assert there.results().capacities[0].sweet_error.alphas_in_set == (0.3, 1.0, 3.0)


def test_the_analysis_finds_the_race_that_the_sweep_ran(desk: Desks) -> None:
    there = desk(difference=1e-6)
    there.run_all()
    results = there.results()
    found = results.capacities[0]
    spot = found.sweet_error
    assert (spot.alphas_in_set, spot.verdict, spot.num_splits) == ((1.0, 3.0), "bracketed", 8)
    assert [(point.num_splits, point.missing) for point in found.points] == [(8, 0), (3, 0), (8, 0), (8, 0), (3, 0)]
    assert found.sweet_error.gain_over_erm.low < 0.18 < found.sweet_error.gain_over_erm.high
    assert found.sweet_loss.num_splits == 3, "the risk that decided nothing is judged on the splits that every rung has"
    notes = " ".join(results.notes)
    assert "decided sooner were alpha 0.3 after 3, alpha 32 after 3" in notes
    assert "missing" not in notes
    assert "left out" not in notes


def test_a_race_looks_the_same_to_the_analysis_in_the_middle(desk: Desks) -> None:
    there = desk(difference=1e-6)
    for _ in range(17):
        there.run_one()
    found = there.results().capacities[0]
    assert found.sweet_error.num_splits == 3
    assert "goes on" in found.sweet_error.advice
    assert found.point(1.0).missing + found.point(3.0).missing + found.point(0.0).missing == 4


def test_how_many_trials_it_comes_to_narrows_as_it_goes(desk: Desks) -> None:
    there = desk(difference=1e-6)
    bounds = [there.sweep.num_measures["width=0.5"]]
    while not there.sweep.done:
        there.run_one()
        bounds.append(there.sweep.num_measures["width=0.5"])
    assert (bounds[0], bounds[15], bounds[-1]) == ((15, 40), (21, 30), (30, 30))
    assert all(before[0] <= after[0] and before[1] >= after[1] for before, after in pairwise(bounds))
    assert desk_without_race(there).sweep.num_measures == {}


def desk_without_race(there: Desk) -> Desk:
    return there.again(measure=replace(there.study.measure, until=None))


def test_a_search_comes_before_its_race(tmp_path: Path) -> None:
    measure = Measure(alphas=ALPHAS, splits=4, seeds=1, at="best", until=Until(difference=1e-6))
    there = Desk(tmp_path, make_study(max_trials=2, measure=measure))
    stages = [spec.stage for spec in there.run_all()]
    assert stages[:4] == [SEARCH] * 4
    assert stages.count(MEASURE) == len(there.trials()) > 2 * 15


def test_arms_that_come_to_the_same_trials_race_once(desk: Desks) -> None:
    there = desk(width=0.1)
    spec = there.sweep.next_trial()
    twin = replace(spec, number=9, origin="arm: twin")
    assert distinct([spec, twin]) == [spec]
    racer = Racer(there.study, Until(width=0.1), [spec, twin])
    assert racer.field.arms == ()


def test_named_arms_race_beside_the_ladder(tmp_path: Path) -> None:
    arms = {"wet": {"dropout": 0.4}, "dry": {"alpha": 1.0, "dropout": 0.0}}
    study = make_study(max_trials=0, first=(), capacities=(0.5,), measure=Measure(
        alphas=ALPHAS, splits=5, seeds=1, at=AT, arms=arms, until=Until(difference=1e-6)))
    there = Desk(tmp_path, replace(study, base=replace(study.base, split_kind="disjoint")))
    there.run_all()
    asked = Counter(trial.origin for trial in there.trials())
    assert (asked["arm: wet"], asked["arm: dry"]) == (3, 5), "plain training with dropout loses, mixup without ties"
    found = {arm.name: (arm.in_set, arm.missing) for arm in there.results().capacities[0].arms}
    assert found["wet"] == (False, 0)
    assert found["dry"] == (True, 0)
    assert found["alpha 0"] == (False, 0)
    assert found["alpha 1"] == (True, 0)
