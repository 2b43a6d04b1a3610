"""Scores of a model that is known, and what counts as diverged."""

import math

import pytest
import torch
from torch import nn

from trainable.errors import Diverged
from trainable.metrics import LARGEST_LOSS, check_finite, count_parameters, fetch, predict, score

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])


def test_score_gives_the_loss_and_the_error_of_each_example_in_order():
    labels = torch.tensor([0, 0, 1])
    batches = [(LOGITS[:2], labels[:2]), (LOGITS[2:], labels[2:])]
    losses, errors = score(lambda logits: logits, batches)
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-2)), math.log1p(math.e), math.log1p(math.exp(-3))])
    assert errors.tolist() == [0.0, 1.0, 0.0]


def test_a_prediction_of_nan_is_wrong_even_where_class_zero_is_right():
    _, errors = score(lambda logits: logits * math.nan, [(LOGITS, torch.tensor([0, 0, 0]))])
    assert errors.tolist() == [1.0, 1.0, 1.0]


def test_predict_gives_log_probabilities_in_float32():
    found = predict(lambda logits: logits.bfloat16(), [LOGITS[:2], LOGITS[2:]])
    torch.testing.assert_close(found, LOGITS.log_softmax(1))
    assert found.dtype == torch.float32


def test_fetch_gives_each_value_under_its_name():
    assert fetch({"a": torch.tensor(1.5), "b": torch.tensor(2, dtype=torch.int64),
                  "c": torch.tensor(0.1, dtype=torch.float64)}) == {"a": 1.5, "b": 2.0, "c": 0.1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, LARGEST_LOSS * 1.01])
def test_a_loss_that_is_not_finite_or_absurd_is_divergence_at_its_epoch(value):
    with pytest.raises(Diverged, match="epoch 7: train/loss = "):
        check_finite({"val/error": 0.5, "train/loss": value}, 7)


@pytest.mark.parametrize("value", [0.0, -0.3, 1e5, LARGEST_LOSS])
def test_a_large_loss_is_not_divergence(value):
    check_finite({"train/loss": value}, 1)


def test_only_trainable_numbers_are_counted():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model[0].bias.requires_grad_(False)
    assert count_parameters(model) == 6 + 4
