"""Dropout: masks from the attached stream alone, the same uniforms whatever p is."""

import pytest
import torch
from torch import nn

from trainable.models.dropout import Dropout, StochasticDepth, attach_generator


def apply(module, values, seed=0):
    attach_generator(module, torch.Generator().manual_seed(seed))
    return module.train()(values)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_a_unit_is_kept_iff_its_uniform_is_at_least_p_and_then_divided_by_1_minus_p(p):
    uniforms = torch.rand(500, 20, generator=torch.Generator().manual_seed(0))
    values = torch.randn(500, 20)
    torch.testing.assert_close(apply(Dropout(p), values), torch.where(uniforms >= p, values / (1 - p), 0.0))


def test_a_larger_p_drops_the_same_units_and_more():
    less, more = (apply(Dropout(p), torch.ones(1000)) for p in (0.2, 0.6))
    assert (more[less == 0] == 0).all()
    assert (less == 0).float().mean() == pytest.approx(0.2, abs=0.05)
    assert (more == 0).float().mean() == pytest.approx(0.6, abs=0.07)


def test_the_expected_value_is_kept():
    assert apply(Dropout(0.8), torch.ones(200_000)).mean() == pytest.approx(1.0, abs=0.03)


def test_evaluation_changes_nothing_and_needs_no_stream():
    values = torch.randn(10)
    assert torch.equal(Dropout(0.5).eval()(values), values)


def test_with_p_0_nothing_is_drawn_and_no_stream_needed():
    values = torch.randn(10)
    assert torch.equal(Dropout(0.0).train()(values), values)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    module = Dropout(0.0)
    attach_generator(module, generator)
    module(values)
    assert torch.equal(generator.get_state(), before)


def test_training_without_a_stream_is_our_own_mistake():
    with pytest.raises(AssertionError, match="attach_generator"):
        Dropout(0.5).train()(torch.ones(3))


def test_one_stream_serves_all_layers_in_turn():
    model = nn.Sequential(Dropout(0.5), nn.Sequential(Dropout(0.5)))
    generator = torch.Generator().manual_seed(4)
    first, second = (torch.rand(50, generator=generator) >= 0.5 for _ in range(2))
    assert torch.equal(apply(model, torch.ones(50), seed=4) == 4, first & second)


def test_seeds_decide_the_mask():
    values = torch.ones(100)
    assert torch.equal(apply(Dropout(0.5), values, 1), apply(Dropout(0.5), values, 1))
    assert not torch.equal(apply(Dropout(0.5), values, 1), apply(Dropout(0.5), values, 2))


def test_the_mask_does_not_depend_on_the_precision_and_the_type_is_kept():
    full, half = (apply(Dropout(0.3), torch.ones(1000, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert torch.equal(full == 0, half == 0)


def test_a_gradient_flows_through_what_is_kept():
    values = torch.ones(100, requires_grad=True)
    output = apply(Dropout(0.5), values)
    output.sum().backward()
    assert torch.equal(values.grad, output.detach())


def test_stochastic_depth_drops_whole_examples():
    output = apply(StochasticDepth(0.4), torch.ones(400, 3, 2, 2)).flatten(start_dim=1)
    assert (output == output[:, :1]).all()
    assert (output[:, 0] == 0).float().mean() == pytest.approx(0.4, abs=0.1)
    assert output.max() == pytest.approx(1 / 0.6)
