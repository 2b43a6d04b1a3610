"""Longer training: the change of mixup's gain along a ladder of epochs.

Axes: C steps of the ladder, S splits, A rungs.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sweeps.analysis.assemble import analyse
from sweeps.analysis.training import gain_change, judge_training, steps_of_epochs
from sweeps.tables import headline

ALPHAS = (0.0, 0.1, 1.0)
EPOCHS = (10, 30, 100)


def risks(change: float, num_splits: int = 5) -> np.ndarray:
    """The gain of every rung above 0 is 0.02 + change x log10(epochs / 10)."""
    stream = np.random.default_rng(0)
    gain_C = 0.02 + change * np.log10(np.array(EPOCHS) / 10)
    risk_CSA = 0.2 + 0.02 * stream.standard_normal((3, num_splits, 1)) + 0.002 * stream.standard_normal((3, num_splits, 3))
    risk_CSA[:, :, 1:] -= gain_C[:, None, None]
    return risk_CSA


@pytest.mark.parametrize(("change", "verdict"), [(0.02, "supported"), (-0.02, "contradicted"), (0.0, "undecided")])
def test_the_claim_is_judged_by_the_interval_of_the_change_of_the_gain(change: float, verdict: str) -> None:
    found = gain_change(risks(change), ALPHAS, EPOCHS)
    assert found.low <= change <= found.high
    judged = judge_training(found, [], "val/error")
    assert judged.verdict == verdict
    assert verdict in judged.text


def test_the_difficulty_of_a_split_and_of_a_length_cancels() -> None:
    moved = risks(0.02) + 0.3 * np.arange(3)[:, None, None] + 0.1 * np.arange(5)[:, None]
    assert gain_change(moved, ALPHAS, EPOCHS).value == pytest.approx(gain_change(risks(0.02), ALPHAS, EPOCHS).value)


def test_two_lengths_are_the_paired_difference_of_gains() -> None:
    risk_CSA = risks(0.02)[[0, 2]]
    gain_CS = risk_CSA[:, :, 0] - risk_CSA[:, :, 1:].mean(axis=2)
    assert gain_change(risk_CSA, ALPHAS, (10, 100)).value == pytest.approx((gain_CS[1] - gain_CS[0]).mean())


def test_no_answer_without_two_lengths_without_alpha_0_or_from_one_split() -> None:
    assert gain_change(risks(0.02), ALPHAS, (10, 10, 10)) is None
    assert gain_change(risks(0.02), (0.05, 0.1, 1.0), EPOCHS) is None
    one = gain_change(risks(0.02)[:, :1], ALPHAS, EPOCHS)
    assert one.low is None
    assert judge_training(one, [], "val/error").verdict == "undecided"
    assert "needs two lengths" in judge_training(None, [], "val/loss").text


@pytest.mark.parametrize(("fields", "found"), [
    ({"a": {"epochs": 10}, "b": {"epochs": 30}}, {"a": 10, "b": 30}),
    ({"a": {"width": 1.0}, "b": {"width": 2.0}}, {}),
    ({"a": {"epochs": 10}}, {}),
    ({"a": {"width": 1.0, "epochs": 10}, "b": {"width": 2.0, "epochs": 30}}, {}),
    ({"a": {"width": 1.0, "epochs": 10}, "b": {"width": 1.0, "epochs": 30}, "c": {"width": 2.0, "epochs": 90}}, {"a": 10, "b": 30}),
])
def test_only_steps_that_differ_in_epochs_alone_are_compared(fields: dict, found: dict) -> None:
    assert steps_of_epochs(fields) == found


def test_a_study_with_a_ladder_of_epochs_answers_and_any_other_is_silent(made: SimpleNamespace) -> None:
    names = {"width=0.25": "epochs=10", "width=1": "epochs=100"}
    trials = [replace(trial, capacity=names[trial.capacity], num_parameters=150_000) for trial in made.whole_ladder()]
    steps = (made.Capacity("epochs=10", {"epochs": 10}), made.Capacity("epochs=100", {"epochs": 100}))
    found = analyse(made.Study(capacities=steps), trials, {}, [], made.predictions, None)
    assert found.training.verdict == "supported"  # the gain rises from .0067 to .05
    assert found.training.interaction.value == pytest.approx(0.05 - 0.02 / 3, abs=0.003)
    assert "rises with epochs" in found.training.text
    assert headline(found)[-1].startswith("Epochs: supported. Per tenfold epochs")
    assert found.conjecture.verdict == "undecided"
    assert analyse(made.Study(), made.whole_ladder(), {}, [], made.predictions, None).training is None
