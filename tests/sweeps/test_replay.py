"""Replays: the record itself comes out unchanged, other rules meet its curves, and what was never recorded is said."""

import runpy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from search_spaces.dimension import Choice
from search_spaces.space import SearchSpace
from sweeps.brain import Brain
from sweeps.cli import app
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import FINISHED, MEASURE, PRUNED, SEARCH, End, Report, Row, TrialSpec
from sweeps.replay import compare, recorded, replay, variant
from sweeps.replay_curves import Recording, distance
from sweeps.study import Study, load_study
from sweeps.study.until import Until
from sweeps.sweep import Sweep
from trainable.errors import StudyError

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
SPACE, value_of = SMALL["SPACE"], SMALL["value_of"]
SETS = ["name=small", "data={name: digits, train_size: 20, val_size: 10, split_kind: disjoint}", "train.batch_size=10",
        "model={name: convnet, capacity: {width: [0.25, 0.5]}}", "space={epochs: {low: 4, high: 10}, dropout: {low: 0, high: 0.5}}",
        "search={sampler: random, max_trials: 6, prune: {rule: asha, audit: 0}}", "measure={alphas: [0, 1, 8], splits: 5}"]


def rows(spec: TrialSpec) -> tuple[Row, ...]:
    """A curve that falls towards the value of its setting, on a level of its split; an epoch takes 60 s x width."""
    level = 0.001 * spec.split * (1 + spec.config["alpha"])
    return tuple(Row(epoch=epoch, at=float(epoch), seconds=60.0 * spec.config["width"], eval_seconds=0.0,
                     metrics={"val/error": level + value_of(spec.config) * (1 + 1 / epoch), "val/loss": 1.0})
                 for epoch in range(1, spec.config["epochs"] + 1))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with a complete study, every rung of a search trial reported by itself."""
    path = tmp_path_factory.mktemp("record") / "ledger.db"
    study = load_study("smoke", SETS)
    with Ledger.open(path) as ledger:
        known = ledger.register_study(study.name, study.identity(), study.to_dict(), 0.0)
        ledger.set_study(known.id, data_digest="d" * 16)
        sweep = Sweep(study, ledger, known, Brain(study), "d" * 16, lambda: 1.0)
        while spec := sweep.next_trial():
            at = 0
            for epoch in (*sweep.rungs(spec), spec.config["epochs"]):
                end = End(state=FINISHED, metrics={"cost/seconds": 1.0}) if epoch == spec.config["epochs"] else None
                report = Report(key=spec.key, token="t", worker="w", node="n", device="cpu", started_at=0.0, end=end,
                                rows=tuple(row for row in rows(spec) if at < row.epoch <= epoch))
                at = epoch
                if sweep.record(report):
                    break
        assert sweep.complete
    return path


@pytest.fixture(scope="module")
def recording(record: Path) -> tuple[Study, Recording]:
    with Ledger.open(record, read_only=True) as ledger:
        known = ledger.study("small")
        study = Study.from_dict(known.spec)
        return study, Recording(space=study.space, trials=ledger.trials(known.id), rows=ledger.rows(known.id), data_digest="d" * 16)


@pytest.mark.parametrize("num_workers", [1, 2, 7])
def test_a_replay_that_changes_nothing_is_the_record(recording: tuple[Study, Recording], num_workers: int) -> None:
    study, curves = recording
    before, after = recorded(study, curves), replay(study, curves, num_workers, same_search=True)
    assert (after.num_trials, after.trial_epochs) == (before.num_trials, before.trial_epochs)
    assert after.results.capacities == before.results.capacities
    assert after.distances == {SEARCH: [], MEASURE: []}
    assert {trial.state for trial in curves.trials if trial.stage == SEARCH} == {FINISHED, PRUNED}


def test_one_virtual_worker_is_busy_with_every_recorded_second(recording: tuple[Study, Recording]) -> None:
    study, curves = recording
    work = sum(row.seconds for each in curves.rows.values() for row in each)
    assert replay(study, curves, 1, same_search=True).seconds == pytest.approx(work)
    assert recorded(study, curves, 1).seconds == pytest.approx(work)
    assert work / 4 <= replay(study, curves, 4, same_search=True).seconds < work / 3


def test_a_replay_is_the_same_every_time(recording: tuple[Study, Recording]) -> None:
    study, curves = recording
    first, second = (replay(study, curves, 3) for _ in range(2))
    assert (first.seconds, first.trial_epochs, first.distances) == (second.seconds, second.trial_epochs, second.distances)


def test_a_race_is_replayed_on_the_recorded_trials_alone(recording: tuple[Study, Recording]) -> None:
    study, curves = recording
    raced = replace(study, measure=replace(study.measure, until=Until(width=0.5)))
    after = replay(raced, curves, same_search=True)
    assert after.num_trials[MEASURE] == 2 * 3 * 3
    assert after.distances[MEASURE] == []


def test_what_was_never_recorded_follows_the_nearest_and_says_how_far(record: Path) -> None:
    home = Home.resolve(ledger=f"sqlite:///{record}")
    table = compare(home, "small", ["search.sampler=tpe", "search.prune.rule=none", "search.first=[]"])
    lines = {line[""]: (line["recorded"], line["replayed"]) for line in table}
    assert lines["trials of the search stage"] == ("12", "12")
    assert int(lines["trial-epochs of the search stage"][1]) > int(lines["trial-epochs of the search stage"][0])
    assert "alpha* at width=0.5" in lines
    assert "virtual seconds, 2 workers" in lines
    followed = [both for what, both in lines.items() if what.endswith("a guess")]
    assert len(followed) == 2, "of both stages: another search ends at another best setting"
    assert all(before == "0" and float(after.split("(")[1].rstrip(")")) > 0 for before, after in followed)


def test_a_pruned_trial_that_goes_on_keeps_its_own_rows_and_meets_another(recording: tuple[Study, Recording]) -> None:
    _, curves = recording
    trial = next(one for one in curves.trials if one.state == PRUNED)
    spec = TrialSpec(**{name: getattr(trial, name) for name in TrialSpec.__dataclass_fields__})
    curve = curves.curve(spec)
    own = curves.rows[trial.id]
    assert curve.rows[:len(own)] == tuple(own)
    assert (curve.num_own, curve.last_epoch, curve.end.state) == (len(own), spec.config["epochs"], FINISHED)
    steps = [abs(after.metrics["val/error"] - before.metrics["val/error"]) for before, after in pairwise(curve.rows)]
    assert steps[len(own) - 1] <= max(steps[:len(own)]), "no jump where it goes over"


def test_splits_can_be_taken_in_another_order(recording: tuple[Study, Recording]) -> None:
    _, curves = recording
    turned = replace(curves, splits={1: 5, 2: 4, 3: 3, 4: 2, 5: 1})
    spec = next(one for one in curves.trials if one.stage == MEASURE and one.split == 1)
    other = next(one for one in curves.trials if (one.stage, one.arm_key, one.split) == (MEASURE, spec.arm_key, 5))
    asked = TrialSpec(**{name: getattr(spec, name) for name in TrialSpec.__dataclass_fields__})
    assert turned.curve(asked).rows == tuple(curves.rows[other.id])


@pytest.mark.parametrize(("sets", "words"), [
    (["train.lr=0.5"], "train.lr"), (["data.label_noise=0.5"], "data.label_noise"), (["seed=1"], "seed: recorded 0, now 1"),
    (["space.dropout={low: 0, high: 0.4}"], "space.dropout")])
def test_what_a_trial_is_cannot_be_changed(recording: tuple[Study, Recording], sets: list[str], words: str) -> None:
    study, _ = recording
    with pytest.raises(StudyError, match="cannot change what a trial is") as caught:
        variant(study, study.to_dict(), sets)
    assert words in str(caught.value)


@pytest.mark.parametrize("sets", [["measure.splits=6"], ["measure.alphas=[0, 0.5]"], ["measure.seeds=2"]])
def test_more_than_was_recorded_cannot_be_replayed(record: Path, sets: list[str]) -> None:
    with pytest.raises(StudyError, match="no trial of the measure stage was recorded"):
        compare(Home.resolve(ledger=f"sqlite:///{record}"), "small", sets)


def test_distance_is_on_each_axis_own_scale() -> None:
    near = {"alpha": 1.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 5}
    assert distance(SPACE, near, near) == 0.0
    assert distance(SPACE, near, {**near, "dropout": 0.5}) == pytest.approx(0.5), "one of four axes, from end to end"
    assert distance(SPACE, near, {**near, "weight_decay": 1e-3}) == pytest.approx((1 / 3) / 2)
    space = SearchSpace((*SPACE, Choice(name="lam_per", options=("batch", "sample"))))
    assert distance(space, {**near, "lam_per": "batch"}, {**near, "lam_per": "sample"}) == pytest.approx(5**-0.5)
    assert distance(space, {**near, "lam_per": "batch"}, near) == pytest.approx(5**-0.5)


def test_the_command_prints_the_table(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_HOME", str(record.parent))
    result: Any = CliRunner().invoke(app, ["replay", "small", "--set", "measure.until.width=0.5", "--ledger", f"sqlite:///{record}"])
    assert result.exit_code == 0, result.output
    assert "trials of the measure stage" in result.output
    assert "18" in result.output
