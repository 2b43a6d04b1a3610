"""Diagnostics by name, at the end of a trial: all of them are there, and none changes a number of training."""

import dataclasses
import json
import math

import pytest
import torch

from trainable.config import TrialConfig
from trainable.data import load
from trainable.diagnostics import DIAGNOSTICS, check
from trainable.errors import ConfigError
from trainable.trial import run_trial

CONFIG = TrialConfig(width=0.125, train_size=100, val_size=60, batch_size=32, epochs=2, alpha=1.0, label_noise=0.3, dropout=0.2)
SOURCE = load("digits")


def finished(config=CONFIG, **options):
    trial, rows = run_trial(config, SOURCE, **options), []
    while True:
        try:
            rows.append(next(trial).metrics)
        except StopIteration as stop:
            return rows, stop.value


@pytest.fixture(scope="module")
def plain():
    return finished()


@pytest.fixture(scope="module")
def diagnosed():
    return finished(diagnostics=tuple(DIAGNOSTICS), keep_weights=True)


def test_they_change_no_number_of_training(plain, diagnosed):
    rows, outcome = plain
    for row, other in zip(rows, diagnosed[0], strict=True):
        assert {name: other[name] for name in row} == row
        assert set(other) - set(row) == {"oracle/test_error"}
    same = {name: value for name, value in outcome.metrics.items() if not name.startswith("cost/")}
    assert {name: diagnosed[1].metrics[name] for name in same} == same
    assert (outcome.predictions == diagnosed[1].predictions).all()


@pytest.mark.parametrize("name", DIAGNOSTICS)
def test_each_finds_finite_numbers_under_its_own_name_and_curves_that_json_holds(diagnosed, name):
    _, outcome = diagnosed
    values = {key: value for key, value in outcome.metrics.items() if key.startswith(f"{name}/")}
    assert values
    assert all(type(value) is float and math.isfinite(value) for value in values.values())
    curves = {key: value for key, value in outcome.curves.items() if key.startswith(f"{name}/")}
    assert json.loads(json.dumps(curves, allow_nan=False)) == curves


def test_a_trial_without_them_has_none(plain):
    _, outcome = plain
    assert outcome.curves == {}
    assert outcome.weights is None
    assert not any(key.split("/")[0] in DIAGNOSTICS for key in outcome.metrics)


def test_the_weights_that_are_kept_are_those_that_were_judged(diagnosed):
    from trainable.device import resolve
    from trainable.evaluation import measure_test
    from trainable.learner import Learner
    learner = Learner(CONFIG, SOURCE, resolve("cpu"))
    learner.model.load_state_dict(diagnosed[1].weights)
    assert measure_test(learner)[0]["test/loss"] == diagnosed[1].metrics["test/loss"]
    assert all(value.device == torch.device("cpu") for value in diagnosed[1].weights.values())


def test_a_wrong_name_stops_before_the_first_epoch_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean calibration"):
        next(run_trial(CONFIG, SOURCE, diagnostics=("calibraton",)))
    with pytest.raises(ConfigError, match="must be of calibration"):
        check(["robustness", "zzz"])


@pytest.mark.parametrize("changes", [
    {"alpha": 0.0}, {"method": "cutmix"}, {"method": "approximate_mixup"}, {"model": "mlp"}], ids=str)
def test_every_kind_of_trial_can_be_diagnosed(changes):
    config = dataclasses.replace(CONFIG, epochs=1, **changes)
    _, outcome = finished(config, diagnostics=tuple(DIAGNOSTICS))
    assert {key.split("/")[0] for key in outcome.metrics} >= set(DIAGNOSTICS)
