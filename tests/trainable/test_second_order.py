"""Approximate mixup against dense matrices that autograd makes, and against mixup's risk itself by quadrature.

Axes: N example, X input, K class, D direction.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import roots_jacobi
from torch import nn
from torch.autograd.functional import hessian, jacobian

from trainable import moments
from trainable.config import TrialConfig
from trainable.models import build
from trainable.models.dropout import attach_generator
from trainable.second_order import CrossEntropy, Shrunk, SquaredError, expand

N, X, K = 8, 4, 3
LOSSES = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}
ALPHAS = [0.1, 1.0, 8.0]


def plain_loss(name, y, u):
    """One example's loss, written as a person would; autograd makes its derivatives."""
    return -(y * u.log_softmax(-1)).sum(-1) if name == "cross_entropy" else 0.5 * ((u - y) ** 2).sum(-1)


def examples(scale=1.0):
    stream = torch.Generator().manual_seed(7)
    x = scale * torch.randn(N, X, generator=stream, dtype=torch.float64)
    y = F.one_hot(torch.arange(N) % K, K).double()
    return x, 0.9 * y + 0.1 / K


def tanh_net(seed=1, norm=False, bias=True):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Linear(X, 6, bias), *([nn.BatchNorm1d(6)] if norm else []), nn.Tanh(), nn.Linear(6, K, bias)]
        return nn.Sequential(*layers).double()


def shrink(x, y, means, theta, partner):
    """The minibatch that is expanded; row d of `partner` holds each example's second example."""
    dx, dy = x - means[0], y - means[1]
    return Shrunk(means[0] + theta * dx, means[1] + theta * dy, dx, dy, dx[partner], dy[partner])


def everyone(x, y, theta):
    """The minibatch of all examples, each with every j as its second example."""
    return shrink(x, y, (x.mean(0), y.mean(0)), theta, torch.arange(len(x))[:, None].expand(len(x), len(x)))


def covariances(x, y, i, alpha):
    dx, dy = x - x.mean(0), y - y.mean(0)
    own, data = moments.sigma2(alpha), moments.gamma2(alpha)
    return tuple(own * torch.outer(a[i], b[i]) + data * a.T @ b / len(x) for a, b in ((dx, dx), (dy, dx), (dy, dy)))


def dense_terms(f, name, x, y, alpha):
    """base, jacobian, cross, curvature, label of one minibatch of all examples; every derivative by autograd."""
    theta = moments.theta_bar(alpha)
    shrunk = [m.mean(0) + theta * (m - m.mean(0)) for m in (x, y)]
    return torch.stack([dense_example(f, name, *at, covariances(x, y, i, alpha))
                        for i, at in enumerate(zip(*shrunk, strict=True))]).mean(0)


def dense_example(f, name, at, target, moments_of_noise):
    sxx, syx, syy = moments_of_noise

    def one(point):
        return f(point[None])[0]

    u, J = one(at).detach(), jacobian(one, at)
    slope = jacobian(lambda u: plain_loss(name, target, u), u)
    H = hessian(lambda u: plain_loss(name, target, u), u)
    mixed = jacobian(lambda y: jacobian(lambda u: plain_loss(name, y, u), u, create_graph=True), target)  # (u, y)
    second = torch.stack([hessian(lambda p, c=c: one(p)[c], at) for c in range(K)])
    return torch.stack([
        plain_loss(name, target, u), 0.5 * torch.trace(H @ J @ sxx @ J.T), (syx * (mixed.T @ J)).sum(),
        0.5 * torch.einsum("c,cxy,xy->", slope, second, sxx),
        0.5 * (hessian(lambda y: plain_loss(name, y, u), target) * syy).sum()])


def mixup_risk(f, name, x, y, alpha, num_nodes=40):
    nodes, weights = roots_jacobi(num_nodes, alpha - 1, alpha - 1)
    total = 0.0
    for lam, weight in zip((1 + nodes) / 2, weights / weights.sum(), strict=True):
        inputs = lam * x[:, None] + (1 - lam) * x[None]
        targets = lam * y[:, None] + (1 - lam) * y[None]
        total += weight * plain_loss(name, targets.flatten(0, 1), f(inputs.flatten(0, 1))).mean().item()
    return total


def all_terms(f, name, x, y, alpha):
    return expand(f, everyone(x, y, moments.theta_bar(alpha)), LOSSES[name], sigma2=moments.sigma2(alpha),
                  gamma2=moments.gamma2(alpha), with_r2=True)


def stacked(terms):
    return torch.stack([terms.base, terms.jacobian, terms.cross, terms.curvature, terms.label])


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", LOSSES)
def test_with_every_j_each_term_is_that_of_the_dense_matrices(name, alpha):
    x, y = examples()
    net = tanh_net()
    torch.testing.assert_close(stacked(all_terms(net, name, x, y, alpha)).detach(), dense_terms(net, name, x, y, alpha),
                               rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_linear_network_with_squared_error_is_expanded_exactly(alpha):
    x, y = examples()
    linear = nn.Linear(X, K).double()
    terms = all_terms(linear, "squared_error", x, y, alpha)
    assert terms.risk().item() == pytest.approx(mixup_risk(linear, "squared_error", x, y, alpha), rel=2e-12)
    assert terms.curvature.item() == 0.0


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_expansion_of_a_tanh_net_is_close_and_closer_on_smaller_inputs(name, alpha):
    """Without biases: the first term left out pairs the label's noise with the network's second derivative, and only
    where that vanishes at the mean is it of third order in the inputs (8-fold a halving; with biases 4-fold)."""
    scales = (1.0, 0.25, 0.125, 0.0625)
    errors = np.zeros((4, len(scales)))
    for seed, column in np.ndindex(errors.shape):
        net, (x, y) = tanh_net(seed, bias=False), examples(scales[column])
        exact = mixup_risk(net, name, x, y, alpha)
        errors[seed, column] = abs(all_terms(net, name, x, y, alpha).risk().item() - exact) / exact
    assert errors.max() < 0.05
    _, quarter, eighth, sixteenth = errors.mean(0)
    assert quarter > 5 * eighth > 25 * sixteenth, errors


@pytest.mark.parametrize("name", LOSSES)
def test_random_second_examples_give_the_same_terms_in_expectation(name):
    x, y = examples()
    net, alpha, stream = tanh_net(), 1.0, torch.Generator().manual_seed(0)
    draws = []
    for _ in range(200):
        batch = shrink(x, y, (x.mean(0), y.mean(0)), moments.theta_bar(alpha), torch.randint(N, (2, N), generator=stream))
        terms = expand(net, batch, LOSSES[name], sigma2=moments.sigma2(alpha), gamma2=moments.gamma2(alpha), with_r2=True)
        draws.append(stacked(terms).detach())
    draws, expected = torch.stack(draws), dense_terms(net, name, x, y, alpha)
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - expected).abs() <= 3 * error + 1e-12).all()
    assert (error[1:4] < 0.05 * expected[1:4].abs().max()).all()  # the comparison says something


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch_norm"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_term_has_its_gradient_in_the_parameters(name, norm):
    x, y = examples()
    net, alpha = tanh_net(norm=norm), 1.0
    start = nn.utils.parameters_to_vector(net.parameters()).detach()
    direction = torch.randn(len(start), generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def at(step):
        nn.utils.vector_to_parameters(start + step * direction, net.parameters())
        return stacked(all_terms(net, name, x, y, alpha))

    step = 3e-4  # four points: the error is of fourth order
    slopes = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))).detach() / (12 * step)
    terms = at(0.0)
    for term, slope in zip(terms, slopes, strict=True):
        found = torch.autograd.grad(term, list(net.parameters()), retain_graph=True, materialize_grads=True) \
            if term.requires_grad else [torch.zeros_like(p) for p in net.parameters()]
        along = torch.cat([g.flatten() for g in found]) @ direction
        assert along.item() == pytest.approx(slope.item(), rel=1e-7, abs=1e-9)


FAMILIES = {"mlp": 0.1, "convnet": 0.25, "preact_resnet": 0.0625}


def family(name, seed=4):
    """One of our networks in training mode, with dropout and with parameters of batch norm that are not 0 and 1."""
    model = build(TrialConfig(model=name, width=FAMILIES[name], dropout=0.3), (1, 8, 8), K)
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2.0, generator=stream)
                module.bias.normal_(generator=stream)
    attach_generator(model, torch.Generator().manual_seed(seed))
    return model


def images(dtype):
    stream = torch.Generator().manual_seed(11)
    x = torch.randn(16, 1, 8, 8, generator=stream, dtype=torch.float64).to(dtype, memory_format=torch.channels_last)
    batch_y = F.one_hot(torch.arange(16) % K, K).to(dtype)
    partner = torch.stack([torch.randperm(16, generator=stream) for _ in range(2)])
    return shrink(x, batch_y, (x.mean(0), batch_y.mean(0)), 0.75, partner)


@pytest.mark.parametrize("name", FAMILIES)
def test_with_batch_norm_a_direction_moves_the_whole_minibatch(name):
    batch, step = images(torch.float64), 1e-6
    terms = expand(family(name).double(), batch, SquaredError(), sigma2=0.5, gamma2=2.0)
    expected = torch.zeros(2, dtype=torch.float64)
    for weight, along, label in ((0.5, batch.own_BX, batch.own_label_BK),
                                 *zip((1.0, 1.0), batch.other_DBX, batch.other_label_DBK, strict=True)):
        high, low = (family(name).double()(batch.inputs_BX + sign * step * along) for sign in (1, -1))  # one mask
        pushed = ((high - low) / (2 * step)).detach()
        expected += torch.stack([0.5 * weight * (pushed**2).sum(1).mean(), -weight * (label * pushed).sum(1).mean()])
    torch.testing.assert_close(torch.stack([terms.jacobian, terms.cross]).detach(), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("with_r2", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_makes_one_forward_pass_in_training_mode(name, with_r2):
    batch = images(torch.float32)
    model, once = family(name), family(name)
    terms = expand(model, batch, CrossEntropy(), sigma2=0.02, gamma2=0.08, with_r2=with_r2)
    plain = F.cross_entropy(once(batch.inputs_BX), batch.targets_BK)
    torch.testing.assert_close(terms.base, plain)  # the same masks of dropout
    for (label, buffer), expected in zip(model.named_buffers(), once.buffers(), strict=True):
        torch.testing.assert_close(buffer, expected, rtol=1e-5, atol=1e-6, msg=label)
    assert model.training
    terms.risk().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
    assert terms.jacobian > 0
    assert (terms.curvature != 0) == (with_r2 and name != "mlp")  # ReLUs bend nowhere, batch norm does


def test_without_noise_only_the_base_is_left():
    x, y = examples()
    net = tanh_net()
    terms = expand(net, everyone(x, y, 1.0), CrossEntropy(), sigma2=0.0, gamma2=0.0, with_r2=True)
    assert terms.risk().item() == terms.base.item() == pytest.approx(F.cross_entropy(net(x), y).item(), rel=1e-14)
    assert set(terms.named()) == {"base", "jacobian", "cross", "curvature", "label"}
    assert not any(value.requires_grad for value in terms.named().values())


def test_logits_in_half_precision_are_expanded_in_float32():
    batch = images(torch.float32)
    terms = expand(lambda x: family("mlp")(x).bfloat16(), batch, CrossEntropy(), sigma2=0.02, gamma2=0.08)
    assert terms.risk().dtype == torch.float32


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_derivatives_are_those_of_autograd(name):
    loss, stream = LOSSES[name], torch.Generator().manual_seed(5)
    u, y, a = (torch.randn(K, generator=stream, dtype=torch.float64) for _ in range(3))
    y = y.softmax(0)
    H = hessian(lambda u: plain_loss(name, y, u), u)
    close = {"rtol": 1e-12, "atol": 1e-14}
    torch.testing.assert_close(loss.value(y, u), plain_loss(name, y, u), **close)
    torch.testing.assert_close(loss.gradient(y, u), jacobian(lambda u: plain_loss(name, y, u), u), **close)
    torch.testing.assert_close(loss.squared_norm(u, a), a @ H @ a, **close)
    torch.testing.assert_close(loss.solve(u, a), torch.linalg.pinv(H, hermitian=True) @ a, **close)


def test_the_norm_of_a_certain_prediction_never_falls_below_zero():
    logits, along = torch.tensor([40.0, 0.0, -3.0]), torch.tensor([1e4, 1e4 + 1, 1e4])
    assert 0 <= CrossEntropy().squared_norm(logits, along) < 1e-6
    solved = CrossEntropy().solve(logits.double(), torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64))
    assert solved[0] - solved[1] == pytest.approx(1 + math.exp(40), rel=1e-3)


@pytest.mark.parametrize("mode", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}], ids=str)
def test_batch_norm_is_torchs_own(options, mode):
    x = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 2
    ours, torchs = (nn.Sequential(nn.BatchNorm2d(5, **options), nn.Flatten()).double().train(mode) for _ in range(2))
    for _ in range(2):
        batch = shrink(x, torch.eye(45).double()[:6], (x.mean(0), torch.zeros(45).double()), 1.0, torch.arange(6)[None])
        terms = expand(ours, batch, SquaredError(), sigma2=0.0, gamma2=1e-9)
        expected = SquaredError().value(batch.targets_BK, torchs(x)).mean()
        assert terms.base.item() == pytest.approx(expected.item(), rel=1e-12)
    for buffer, other in zip(ours.buffers(), torchs.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, rtol=1e-12, atol=1e-14)


def test_batch_norm_with_nothing_to_average_is_refused():
    batch = shrink(torch.ones(1, 4), torch.eye(4)[:1], (torch.zeros(4), torch.zeros(4)), 1.0, torch.zeros(1, 1).long())
    with pytest.raises(ValueError, match=r"one value per channel, input \(1, 4\)"):
        expand(nn.BatchNorm1d(4), batch, CrossEntropy(), sigma2=0.1, gamma2=0.1)
