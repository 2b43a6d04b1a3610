"""The Jacobian audit against dense matrices: autograd's derivatives, explicit covariances, pinv and matrix roots.

Axes: M example, X input, K class.
"""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian, jacobian

from trainable import moments
from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.diagnostics import diagnose
from trainable.diagnostics.jacobian import MAX_ROWS, audit, make_measure, norms
from trainable.learner import Learner
from trainable.models import build
from trainable.second_order import CrossEntropy, Shrunk, SquaredError, expand

M, K = 8, 3
LOSSES = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}
CONFIG = TrialConfig(width=0.125, train_size=100, batch_size=32, epochs=1, seed=5, alpha=1.0, label_noise=0.2)
SOURCE = load("digits")
CPU = resolve("cpu")
TERMS = ("base", "R1", "R2", "R3", "R4", "R1_plus_R4")
NAMES = {"jacobian/train_norm", "jacobian/test_norm", *(f"jacobian/{name}" for name in TERMS)}


def plain_loss(name, y, u):
    return -(y * u.log_softmax(-1)).sum(-1) if name == "cross_entropy" else 0.5 * ((u - y) ** 2).sum(-1)


def examples(num_inputs):
    stream = torch.Generator().manual_seed(7)
    x = torch.randn(M, num_inputs, generator=stream, dtype=torch.float64)
    return x, 0.9 * F.one_hot(torch.arange(M) % K, K).double() + 0.1 / K


def net(num_inputs, bend=nn.Tanh, seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(num_inputs, 6), bend(), nn.Linear(6, K)).double().eval()


def dense_audit(f, name, x, y, alpha):
    """base, R1..R4 and the expansion E_Q itself, example by example from X x X matrices."""
    theta, own, data = moments.theta_bar(alpha), moments.sigma2(alpha), moments.gamma2(alpha)
    dx, dy = x - x.mean(0), y - y.mean(0)
    noise = [[own * torch.outer(a[i], b[i]) + data * a.T @ b / len(x) for a, b in ((dx, dx), (dy, dx), (dy, dy))]
             for i in range(len(x))]
    return torch.stack([dense_example(f, name, x.mean(0) + theta * dx[i], y.mean(0) + theta * dy[i], noise[i])
                        for i in range(len(x))]).mean(0).tolist()


def dense_example(f, name, at, target, noise):
    sxx, syx, syy = noise

    def one(point):
        return f(point[None])[0]

    u, J = one(at).detach(), jacobian(one, at)
    slope, H = jacobian(lambda u: plain_loss(name, target, u), u), hessian(lambda u: plain_loss(name, target, u), u)
    mixed = jacobian(lambda y: jacobian(lambda u: plain_loss(name, y, u), u, create_graph=True), target)  # (u, y)
    best = -pinv(H) @ mixed @ syx @ pinv(sxx)
    values, vectors = torch.linalg.eigh(sxx)
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    bend = torch.stack([hessian(lambda p, c=c: one(p)[c], at) for c in range(K)])
    base, r2 = plain_loss(name, target, u), 0.5 * torch.einsum("c,cxy,xy->", slope, bend, sxx)
    r3 = 0.5 * (hessian(lambda y: plain_loss(name, y, u), target) * syy).sum()
    r1, r4 = (0.5 * torch.trace((A @ root).T @ H @ (A @ root)) for A in (J - best, best))
    expansion = base + 0.5 * torch.trace(H @ J @ sxx @ J.T) + (syx * (mixed.T @ J)).sum() + r2 + r3
    return torch.stack([base, r1, r2, r3, -r4, expansion])


def pinv(matrix):
    return torch.linalg.pinv(matrix, hermitian=True, rtol=1e-10)


@pytest.mark.parametrize("num_inputs", [4, 12], ids=["more_examples", "more_inputs"])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 8.0, 1e6])
@pytest.mark.parametrize("name", LOSSES)
def test_each_term_is_that_of_the_dense_matrices_and_they_add_up_to_the_expansion(name, alpha, num_inputs):
    x, y = examples(num_inputs)
    f = net(num_inputs)
    found = audit(f, make_measure(x, y), LOSSES[name], alpha=alpha, size=3)
    *expected, expansion = dense_audit(f, name, x, y, alpha)
    assert list(vars(found)) == list(TERMS)
    assert list(vars(found).values())[:5] == pytest.approx(expected, rel=1e-9, abs=1e-13)
    assert found.R1_plus_R4 == pytest.approx(found.R1 + found.R4, rel=1e-9, abs=1e-12)
    assert found.risk == pytest.approx(expansion, rel=1e-12)
    assert found.R2 != 0
    assert found.R1 >= 0 >= found.R4
    assert (found.R3 == 0) == (name == "cross_entropy")


@pytest.mark.parametrize("name", LOSSES)
def test_a_network_of_relus_has_no_second_derivative(name):
    x, y = examples(4)
    f = net(4, nn.ReLU)
    found = audit(f, make_measure(x, y), LOSSES[name], alpha=1.0, size=M)
    assert found.R2 == 0.0
    assert found.risk == pytest.approx(dense_audit(f, name, x, y, 1.0)[-1], rel=1e-12)


def test_the_best_linear_network_has_nothing_left_to_pull():
    x, y = examples(4)
    linear = nn.Linear(4, K).double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    with torch.no_grad():
        linear.weight.copy_(torch.linalg.lstsq(dx, dy).solution.T)
    found = vars(audit(linear, make_measure(x, y), SquaredError(), alpha=1e6, size=M))  # sigma2 near 0: one J* for all
    assert 0 <= found["R1"] < 1e-9
    assert found["R2"] == 0.0
    variance = dy.square().sum(1).mean().item()
    expected = (moments.sigma2(1e6) + moments.gamma2(1e6)) / 2 * variance
    assert found["R3"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_without_mixup_only_the_loss_is_left(name):
    x, y = examples(4)
    f = net(4)
    found = audit(f, make_measure(x, y), LOSSES[name], alpha=0.0, size=3)
    assert found.base == pytest.approx(plain_loss(name, y, f(x)).mean().item(), rel=1e-12)
    assert (found.R1, found.R2, found.R3, found.R4) == (0.0, 0.0, 0.0, 0.0)


def test_a_confident_network_keeps_the_terms_finite_and_their_sum_exact():
    x, y = examples(4)
    f = net(4)
    with torch.no_grad():
        f[2].weight *= 60
    found = audit(f, make_measure(x, y), CrossEntropy(), alpha=1.0, size=M)
    assert found.R1 > 1e3
    assert found.risk == pytest.approx(dense_audit(f, "cross_entropy", x, y, 1.0)[-1], rel=1e-10)


def dense_sum(f, x, y, alpha):
    """1/2 tr(H J Sxx J^T) - <Syx, J> of cross-entropy, from X x X matrices and no pseudo-inverse."""
    theta, own, data = moments.theta_bar(alpha), moments.sigma2(alpha), moments.gamma2(alpha)
    dx, dy = x - x.mean(0), y - y.mean(0)
    total = []
    for a, b in zip(dx, dy, strict=True):
        at = x.mean(0) + theta * a
        J, S = jacobian(lambda point: f(point[None])[0], at), f(at[None])[0].softmax(0)
        sxx = own * torch.outer(a, a) + data * dx.T @ dx / len(x)
        syx = own * torch.outer(b, a) + data * dy.T @ dx / len(x)
        total.append((0.5 * torch.trace((torch.diag(S) - torch.outer(S, S)) @ J @ sxx @ J.T) - (syx * J).sum()).item())
    return sum(total) / len(total)


@pytest.mark.parametrize(("scale", "is_apart"), [(1, True), (1e2, False), (1e4, False), (1e6, False)])
def test_the_sum_of_r1_and_r4_outlives_both(scale, is_apart):
    x, y = examples(4)
    f = net(4)
    with torch.no_grad():
        f[2].weight *= scale
    found = audit(f, make_measure(x, y), CrossEntropy(), alpha=1.0, size=M)
    assert found.R1_plus_R4 == pytest.approx(dense_sum(f, x, y, 1.0), rel=1e-9)
    assert found.is_apart == is_apart


def test_the_terms_of_a_convnet_add_up_to_its_expansion_by_directions():
    x = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = F.one_hot(torch.arange(12) % 10, 10).double()
    model = build(CONFIG, (1, 8, 8), 10).double().eval()
    own, data = moments.sigma2(1.0), moments.gamma2(1.0)
    theta, dx, dy = moments.theta_bar(1.0), x - x.mean(0), y - y.mean(0)
    every = torch.arange(12)[:, None].expand(12, 12)
    batch = Shrunk(x.mean(0) + theta * dx, y.mean(0) + theta * dy, dx, dy, dx[every], dy[every])
    risk = expand(model, batch, CrossEntropy(), sigma2=own, gamma2=data, with_r2=True).risk()
    found = audit(model, make_measure(x, y), CrossEntropy(), alpha=1.0, size=5)
    assert found.risk == pytest.approx(risk.item(), rel=1e-10)


def test_the_measure_is_the_examples_themselves():
    x, y = examples(12)
    x[3], y[3] = x[5], y[4]  # one example twice: one direction less
    measure = make_measure(x.view(M, 3, 2, 2), y)
    assert measure.basis_RX.shape == (M - 2, 3, 2, 2)
    flat = measure.basis_RX.flatten(1)
    torch.testing.assert_close(measure.coefficients_MR @ flat + measure.mean_X.flatten(), x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(flat.T @ flat, torch.cov(x.T, correction=0), rtol=1e-12, atol=1e-12)


def test_a_norm_is_that_of_every_row():
    f, (x, _) = net(4), examples(4)
    expected = torch.stack([torch.linalg.matrix_norm(jacobian(lambda p: f(p[None])[0], point)) for point in x])
    torch.testing.assert_close(norms(f, x.split(3)), expected, rtol=1e-12, atol=0)


def test_many_classes_are_projected_within_the_stated_error():
    linear = nn.Linear(5, MAX_ROWS + 20).double()
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        linear.weight.normal_(generator=stream)
    exact = torch.linalg.matrix_norm(linear.weight).item()
    found = norms(linear, torch.randn(4, 5, dtype=torch.float64, generator=stream).split(1))
    assert found.tolist() == pytest.approx([exact] * 4, rel=0.14)
    assert (found - exact).abs().min() > 0  # they are projections


def learner(**changes):
    return Learner(dataclasses.replace(CONFIG, **changes), SOURCE, CPU)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_trained_learner_is_diagnosed_and_comes_back_as_it_was(alpha):
    trained = learner(alpha=alpha)
    trained.train_epoch(1)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    found = diagnose(["jacobian"], trained, [])
    assert set(found.values) == NAMES
    assert all(math.isfinite(value) for value in found.values.values())
    assert found.curves == {"jacobian/num": {"train": 100, "test": 500, "audit": 100, "classes": 10, "rows": 10}}
    assert [found.values[f"jacobian/{name}"] for name in ("R2", "R3")] == [0.0, 0.0]
    assert (found.values["jacobian/R1"] > 0) == (found.values["jacobian/R4"] < 0) == (alpha > 0)
    assert not trained.model.training
    assert all(torch.equal(value, before[name]) for name, value in trained.model.state_dict().items())
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in learner().model.parameters())
    assert diagnose(["jacobian"], trained, []) == found


def test_the_norms_and_the_base_are_those_of_the_split_it_trained_on():
    trained = learner(alpha=0.0, train_size=40)
    found = diagnose(["jacobian"], trained, []).values
    pool = trained.normalise(torch.from_numpy(SOURCE.images[trained.split.train_index]))
    rows = [torch.linalg.matrix_norm(jacobian(lambda p: trained.model(p[None])[0], x).flatten(1)) for x in pool]
    assert found["jacobian/train_norm"] == pytest.approx(torch.stack(rows).mean().item(), rel=1e-5)
    loss = F.cross_entropy(trained.model(pool), torch.from_numpy(trained.split.train_labels))
    assert found["jacobian/base"] == pytest.approx(loss.item(), rel=1e-5)


def test_targets_are_smoothed_where_that_was_asked_for_and_not_twice_by_alpha():
    plain = diagnose(["jacobian"], learner(), []).values["jacobian/base"]
    assert diagnose(["jacobian"], learner(label_smoothing=0.5), []).values["jacobian/base"] != plain
    for method in ("approximate_mixup", "shrunk_erm"):
        assert diagnose(["jacobian"], learner(method=method), []).values["jacobian/base"] == plain


def test_the_examples_follow_from_the_split_and_not_from_the_arm():
    same = [diagnose(["jacobian"], learner(alpha=0.0, dropout=p), []).values for p in (0.0, 0.5)]
    assert same[0] == same[1]  # the same untrained weights, so the same examples
    assert diagnose(["jacobian"], learner(alpha=0.0, seed=6), []).values != same[0]
