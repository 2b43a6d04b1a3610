"""What Optuna is asked for: the rungs of a rule, and which axis matters."""

import math
import runpy
from pathlib import Path
from typing import Any

import pytest

from search_spaces import Choice, Real, SearchSpace, When
from sweeps.brain import Brain
from sweeps.optuna_study import FEW_TREES, importance, rung_epochs, rung_steps
from sweeps.study import Prune

SMALL = runpy.run_path(str(Path(__file__).with_name("small_study.py")))
make_study, SPACE = SMALL["make_study"], SMALL["SPACE"]


def asked(study: Any, count: int) -> list[dict[str, Any]]:
    """So many settings as the study's search asks for."""
    brain = Brain(study)
    return [brain.ask("width=0.5").setting for _ in range(count)]


@pytest.mark.parametrize(("rule", "grace", "reduction", "steps"), [
    ("asha", 0.4, 2, (40, 80)), ("asha", 0.1, 3, (10, 30, 90)), ("asha", 1.0, 2, ()), ("asha", 0.5, 2, (50,)),
    ("median", 0.75, 2, (75, 85, 95)), ("none", 0.4, 2, ())])
def test_rungs_are_fractions_of_a_trials_own_epochs(rule: str, grace: float, reduction: int, steps: tuple[int, ...]) -> None:
    assert rung_steps(Prune(rule=rule, grace=grace, reduction=reduction)) == steps


@pytest.mark.parametrize(("epochs", "reached"), [
    (1, {}), (2, {40: 1}), (3, {40: 2}), (4, {40: 2}), (5, {40: 2, 80: 4}), (10, {40: 4, 80: 8}), (30, {40: 12, 80: 24})])
def test_a_rung_is_the_first_epoch_that_reaches_it_and_never_the_last(epochs: int, reached: dict[int, int]) -> None:
    assert rung_epochs((40, 80), epochs) == reached


def test_importance_finds_the_axis_that_matters() -> None:
    settings = asked(make_study(sampler="random", max_trials=100, first=()), 60)
    found = importance(SPACE, settings, [setting["dropout"] ** 2 for setting in settings])
    assert list(found) == ["alpha", "weight_decay", "dropout", "epochs"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["dropout"] > 0.9
    assert found == importance(SPACE, settings, [setting["dropout"] ** 2 for setting in settings])


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.2, 0.3], [0.2] * 20, [math.nan] * 20])
def test_importance_says_nothing_without_data(values: list[float]) -> None:
    assert importance(SPACE, asked(make_study(max_trials=100, first=()), len(values)), values) == {}


def test_importance_copes_with_axes_that_some_settings_lack() -> None:
    space = SearchSpace((Real(name="alpha", low=0, high=8), Choice(name="optimizer", options=("sgd", "adamw")),
                         Real(name="momentum", low=0.5, high=0.99, when=(When(axis="optimizer", values=("sgd",)),))))
    settings = asked(make_study(max_trials=100, first=(), space=space), 40)
    found = importance(space, settings, [setting["alpha"] for setting in settings])
    assert set(found) == {"alpha", "optimizer", "momentum"}
    assert max(found, key=lambda name: found[name]) == "alpha"


def test_few_trees_tell_much_the_same() -> None:
    settings = asked(make_study(sampler="random", max_trials=100, first=()), 60)
    values = [setting["dropout"] ** 2 for setting in settings]
    many, few = (importance(SPACE, settings, values, num_trees=count) for count in (64, FEW_TREES))
    assert few == pytest.approx(many, abs=0.1)
