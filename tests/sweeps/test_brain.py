"""The search: the same history gives the same next setting, and no trial is remembered as what it was not."""

import json
import math
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from search_spaces import Choice, Integer, Real, SearchSpace, When
from sweeps.brain import Brain
from sweeps.dispatch import Ask
from sweeps.records import FAILED, FINISHED, INTERRUPTED, PRUNED, TrialRecord
from trainable.errors import LedgerError

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_study, value_of, FIRST, SPACE = SMALL["make_study"], SMALL["value_of"], SMALL["FIRST"], SMALL["SPACE"]
SAMPLERS = ("tpe", "gp", "cmaes", "random", "qmc", "grid")
STATES = {4: PRUNED, 5: FAILED, 9: INTERRUPTED, 13: PRUNED}
"""How the asks of a history end that do not finish."""


def record_of(ask: Ask, capacity: str, state: str, last_epoch: int) -> TrialRecord:
    """A trial as the ledger gives it back: everything has been JSON in between."""
    memory = json.loads(json.dumps(ask.memory, sort_keys=True))
    return TrialRecord(
        id=ask.number, study_id=1, key=f"{capacity}/{ask.number}", stage="search", number=ask.number, capacity=capacity,
        arm_key="", split=0, repeat=0, config=ask.setting, setting=json.loads(json.dumps(ask.setting)), origin=ask.origin,
        brain=memory, state=state, failure_class=None, failure_text=None, metrics={}, num_parameters=None,
        predictions_path=None, predictions_digest=None, provenance={}, last_epoch=last_epoch, created_at=0.0,
        started_at=0.0, ended_at=None, revision=0)


def curve_of(ask: Ask, num_epochs: int) -> dict[int, float]:
    return {epoch: value_of(ask.setting) * (1 + 1 / epoch) for epoch in range(1, num_epochs + 1)}


def run(brain: Brain, num_asks: int, capacity: str = "width=0.5") -> tuple[list[TrialRecord], dict[str, dict[int, float]]]:
    """Ask and tell `num_asks` times; the history as a ledger would hold it."""
    trials, curves = [], {}
    for _ in range(num_asks):
        ask = brain.ask(capacity)
        state = STATES.get(ask.number, FINISHED)
        last_epoch = ask.setting["epochs"] if state == FINISHED else max(2, ask.setting["epochs"] * 6 // 10)
        curve = curve_of(ask, last_epoch)
        trial = record_of(ask, capacity, state, last_epoch)
        brain.report(trial, curve)
        if state != INTERRUPTED:
            brain.tell(trial, curve[last_epoch])
        trials.append(trial)
        curves[trial.key] = curve
    return trials, curves


def rebuilt(study: Any, trials: list[TrialRecord], curves: dict[str, dict[int, float]]) -> Brain:
    brain = Brain(study)
    brain.restore(trials, curves)
    return brain


def memory_of(brain: Brain, capacity: str = "width=0.5") -> list[tuple[Any, ...]]:
    """Everything Optuna knows of the trials of a capacity, but when they ran and what it shares of half-made asks."""
    kept = brain._searches[capacity]._study.get_trials(deepcopy=False)
    return [(trial.state, trial.values, trial.params, trial.distributions, trial.intermediate_values,
             {name: value for name, value in trial.system_attrs.items() if "relative_params" not in name}) for trial in kept]


@pytest.mark.parametrize(("sampler", "num_asks"), [
    *((sampler, num_asks) for sampler in SAMPLERS for num_asks in (0, 1, 2, 7)),
    *((sampler, 20) for sampler in SAMPLERS if sampler != "gp"), ("gp", 11)])
def test_a_rebuilt_search_asks_what_the_unbroken_one_asks(sampler: str, num_asks: int) -> None:
    study = make_study(sampler=sampler, max_trials=100, rule="asha")
    unbroken = Brain(study)
    trials, curves = run(unbroken, num_asks)
    resumed = rebuilt(study, trials, curves)
    assert memory_of(resumed) == memory_of(unbroken)
    for _ in range(2):  # two asks in a row, as for two workers
        assert resumed.ask("width=0.5") == unbroken.ask("width=0.5")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_seeds_agree_and_different_seeds_differ(sampler: str) -> None:
    def settings(**changes: Any) -> list[dict[str, Any]]:
        study = make_study(sampler=sampler, max_trials=100, first=(), **changes)
        return [trial.setting for trial in run(Brain(study), 6 if sampler == "gp" else 12)[0]]
    assert settings() == settings()
    assert settings() != settings(seed=1)


def test_another_process_asks_the_same() -> None:
    script = (f"import runpy, json; T = runpy.run_path({str(Path(__file__))!r})\n"
              "study = T['make_study'](sampler='tpe', max_trials=100)\n"
              "print(json.dumps([trial.setting for trial in T['run'](T['Brain'](study), 15)[0]]))")
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    here = [trial.setting for trial in run(Brain(make_study(sampler="tpe", max_trials=100)), 15)[0]]
    assert json.loads(output.splitlines()[-1]) == here


def test_capacities_search_apart() -> None:
    brain = Brain(make_study(max_trials=100, first=()))
    narrow = [brain.ask("width=0.25").setting for _ in range(3)]
    assert narrow != [brain.ask("width=0.5").setting for _ in range(3)]
    alone = Brain(make_study(max_trials=100, first=(), capacities=(0.25,)))
    assert narrow == [alone.ask("width=0.25").setting for _ in range(3)]


def test_first_settings_are_asked_first_and_exactly() -> None:
    brain = Brain(make_study(sampler="tpe"))
    asks = [brain.ask("width=0.5") for _ in range(3)]
    assert [ask.setting for ask in asks[:2]] == list(FIRST)
    assert [ask.origin for ask in asks] == ["first", "first", "sampler"]
    assert [ask.number for ask in asks] == [0, 1, 2]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_setting_lies_in_the_space(sampler: str) -> None:
    trials, _ = run(Brain(make_study(sampler=sampler, max_trials=100, first=())), 12 if sampler == "gp" else 25)
    for trial in trials:
        assert SPACE.problems(trial.setting) == []


def test_alpha_is_drawn_evenly_in_epsilon() -> None:
    """Half of the draws lie below the alpha whose epsilon is half of the largest: about 0.56, of a range up to 32."""
    space = SearchSpace((Real(name="alpha", low=0, high=32, scale="epsilon"), Integer(name="epochs", low=4, high=10)))
    brain = Brain(make_study(sampler="random", max_trials=1000, first=(), space=space))
    units = sorted(space["alpha"].to_unit(brain.ask("width=0.5").setting["alpha"]) for _ in range(200))
    # Kolmogorov-Smirnov at 1e-4 for n = 200
    assert max(abs(unit - place / 200) for place, unit in enumerate(units)) < 2.23 / math.sqrt(200)


def test_an_axis_that_does_not_exist_is_not_asked() -> None:
    space = SearchSpace((
        Real(name="alpha", low=0, high=8, scale="epsilon"), Choice(name="optimizer", options=("sgd", "adamw")),
        Real(name="momentum", low=0.5, high=0.99, when=(When(axis="optimizer", values=("sgd",)),)),
        Integer(name="epochs", low=4, high=10)))
    for sampler in SAMPLERS:
        brain = Brain(make_study(sampler=sampler, max_trials=100, first=(), space=space))
        kinds = set()
        for _ in range(14):
            ask = brain.ask("width=0.5")
            kinds.add(ask.setting["optimizer"])
            assert ("momentum" in ask.setting) == (ask.setting["optimizer"] == "sgd"), sampler
            brain.tell(record_of(ask, "width=0.5", FINISHED, 1), 0.1 + ask.setting["alpha"])
        assert kinds == {"sgd", "adamw"}, sampler


def test_a_grid_is_walked_whole_before_anything_comes_again() -> None:
    space = SearchSpace((Real(name="alpha", low=0, high=8, scale="epsilon", points=3),
                         Integer(name="epochs", low=4, high=6, points=2)))
    study = make_study(sampler="grid", max_trials=100, first=(), space=space)
    trials, curves = run(Brain(study), 4)
    brain = rebuilt(study, trials, curves)
    settings = [trial.setting for trial in trials] + [trial.setting for trial in run(brain, 2)[0]]
    assert sorted(map(str, settings)) == sorted(map(str, space.grid()))
    assert brain.ask("width=0.5").setting in space.grid()


@pytest.mark.parametrize(("state", "value", "told"), [
    (FINISHED, 0.25, "COMPLETE"), (FINISHED, math.nan, "FAIL"), (FINISHED, math.inf, "FAIL"), (FINISHED, None, "FAIL"),
    (FAILED, 0.25, "FAIL"), (FAILED, None, "FAIL"), (PRUNED, 0.25, "PRUNED"), (PRUNED, None, "PRUNED")])
def test_how_a_trial_ended_is_told_as_it_was(state: str, value: float | None, told: str) -> None:
    brain = Brain(make_study(sampler="tpe", rule="asha"))
    trial = record_of(brain.ask("width=0.5"), "width=0.5", state, 2)
    brain.report(trial, {1: 0.5, 2: 0.4})
    brain.tell(trial, value)
    known = brain._searches["width=0.5"]._study.get_trials()[0]
    assert known.state.name == told
    assert known.value == {"COMPLETE": 0.25, "PRUNED": 0.4, "FAIL": None}[told]
    assert brain.best("width=0.5") == (FIRST[0] if told == "COMPLETE" else None)


def test_only_trials_that_will_run_are_running_after_a_rebuild() -> None:
    study = make_study(sampler="tpe", max_trials=100, rule="asha")
    trials, curves = run(Brain(study), 12)
    known = rebuilt(study, trials, curves)._searches["width=0.5"]._study.get_trials()
    running = [trial.number for trial in known if trial.state == optuna.trial.TrialState.RUNNING]
    assert running == [number for number, state in STATES.items() if state == INTERRUPTED]


def test_a_missing_ask_is_refused() -> None:
    study = make_study(max_trials=100)
    trials, curves = run(Brain(study), 5)
    with pytest.raises(LedgerError, match=r"width=0.5: search trial 2 is missing, the next one is 3"):
        rebuilt(study, [trial for trial in trials if trial.number != 2], curves)


def test_the_best_setting_is_the_best_mean_of_its_arm() -> None:
    brain = Brain(make_study(max_trials=100))
    values = {0: 0.3, 1: 0.2, 2: 0.5}
    asks = [brain.ask("width=0.5") for _ in range(3)]
    for ask in asks:
        brain.tell(record_of(ask, "width=0.5", FINISHED, 5), values[ask.number])
    assert brain.best("width=0.5") == FIRST[1]
    assert brain.best("width=0.25") is None


def test_a_lucky_repeat_does_not_make_an_arm_the_best() -> None:
    brain = Brain(make_study(max_trials=100, first=(FIRST[0], FIRST[1], FIRST[0])))
    for value in (0.1, 0.25, 0.5):
        brain.tell(record_of(brain.ask("width=0.5"), "width=0.5", FINISHED, 5), value)
    assert brain.best("width=0.5") == FIRST[1]


def test_equal_bests_go_to_the_first_asked() -> None:
    brain = Brain(make_study(max_trials=100))
    asks = [brain.ask("width=0.5") for _ in range(2)]
    for ask in reversed(asks):
        brain.tell(record_of(ask, "width=0.5", FINISHED, 5), 0.2)
    assert brain.best("width=0.5") == FIRST[0]


def test_trials_of_all_lengths_meet_at_the_same_rung() -> None:
    """A short trial with a good value stays, a long one with a bad value goes, although their epochs differ."""
    brain = Brain(make_study(sampler="random", rule="asha", max_trials=100, first=tuple(
        {**FIRST[0], "epochs": epochs} for epochs in (4, 10, 10))))
    trials = [record_of(brain.ask("width=0.5"), "width=0.5", INTERRUPTED, 0) for _ in range(3)]
    assert brain.rungs(4) == (2,)
    assert brain.rungs(10) == (4, 8)
    assert not brain.report(trials[0], {1: 0.9, 2: 0.2})
    assert not brain.report(trials[1], {1: 0.9, 2: 0.9, 3: 0.9})
    assert brain.report(trials[1], {4: 0.3})
    assert not brain.report(trials[2], dict.fromkeys(range(1, 9), 0.1))


def test_a_rung_is_reported_once_however_often_its_epoch_comes() -> None:
    brain = Brain(make_study(rule="asha", max_trials=100))
    better, worse = (record_of(brain.ask("width=0.5"), "width=0.5", INTERRUPTED, 0) for _ in range(2))
    assert not brain.report(better, {2: 0.2})
    assert brain.report(worse, {2: 0.3})
    assert not brain.report(worse, {2: 0.3})  # the same epoch again, after the trial was interrupted: the decision was taken


def test_a_rebuilt_search_keeps_the_rungs_of_trials_that_reported_in_another_order() -> None:
    """Replayed by number, the second trial meets a rival at its first rung that came later in truth: it keeps its second rung."""
    study = make_study(rule="asha", max_trials=100, first=tuple({**FIRST[0], "epochs": 10} for _ in range(2)))
    brain = Brain(study)
    late, early = (record_of(brain.ask("width=0.5"), "width=0.5", INTERRUPTED, 0) for _ in range(2))
    curves = {early.key: dict.fromkeys(range(1, 9), 0.2), late.key: dict.fromkeys(range(1, 5), 0.1)}
    assert not brain.report(early, curves[early.key])
    assert not brain.report(late, curves[late.key])
    assert memory_of(rebuilt(study, [late, early], curves)) == memory_of(brain)


def test_a_rebuilt_search_knows_an_audited_trial_as_far_as_its_rung_and_its_true_end() -> None:
    study = make_study(rule="asha", max_trials=100, first=tuple({**FIRST[0], "epochs": 10} for _ in range(2)))
    brain = Brain(study)
    good, audited = (record_of(brain.ask("width=0.5"), "width=0.5", FINISHED, 10) for _ in range(2))
    curves = {good.key: dict.fromkeys(range(1, 11), 0.1), audited.key: dict.fromkeys(range(1, 11), 0.2)}
    assert not brain.report(good, curves[good.key])
    brain.tell(good, 0.1)
    assert brain.report(audited, dict.fromkeys(range(1, 5), 0.2))
    brain.tell(audited, 0.2)  # it ran on to its end, and no rung heard of it again
    resumed = Brain(study)
    resumed.restore([good, audited], curves, {audited.key: 4})
    assert memory_of(resumed) == memory_of(brain)
    assert memory_of(rebuilt(study, [good, audited], curves)) != memory_of(brain)


def test_the_median_rule_prunes_what_is_worse_than_half_and_decides_once() -> None:
    brain = Brain(make_study(rule="median", max_trials=100, first=(FIRST[0],) * 7))
    for number in range(5):
        trial = record_of(brain.ask("width=0.5"), "width=0.5", FINISHED, 5)
        assert not brain.report(trial, dict.fromkeys(range(1, 6), 0.1 * (number + 1)))
        brain.tell(trial, 0.1 * (number + 1))
    bad, good = (record_of(brain.ask("width=0.5"), "width=0.5", INTERRUPTED, 0) for _ in range(2))
    assert brain.report(bad, {2: 0.31})
    assert not brain.report(bad, {2: 0.31})
    assert not brain.report(good, {2: 0.3})


def test_a_search_over_one_axis_works_with_every_sampler() -> None:
    space = SearchSpace((Real(name="alpha", low=0, high=8, scale="epsilon"),))
    for sampler in SAMPLERS:
        brain = Brain(make_study(sampler=sampler, max_trials=100, first=(), space=space))
        for _ in range(8):
            ask = brain.ask("width=0.5")
            brain.tell(replace(record_of(ask, "width=0.5", FINISHED, 1), config={"epochs": 1}), ask.setting["alpha"])
        assert brain.best("width=0.5")
