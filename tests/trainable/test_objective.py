"""Cross-entropy against mixed targets, against the two-loss form and an explicit sum; and the floor under it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainable.objective import cross_entropy, mixed_cross_entropy, target_entropy, target_rows

CPU = torch.device("cpu")
B, K = 32, 5


@pytest.fixture
def case():
    stream = torch.Generator().manual_seed(3)
    logits = torch.randn(B, K, generator=stream, dtype=torch.float64, requires_grad=True)
    labels, others = torch.randint(K, (2, B), generator=stream)
    return logits, labels, others, torch.rand(B, generator=stream, dtype=torch.float64)


def rows(smoothing=0.0):
    return target_rows(K, smoothing, CPU).double() if smoothing == 0 else (
        torch.eye(K, dtype=torch.float64) * (1 - smoothing) + smoothing / K)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_mixed_cross_entropy_is_the_mean_of_two_in_double_precision(case, smoothing):
    logits, labels, others, _ = case
    ours = mixed_cross_entropy(logits, rows(smoothing), labels, others, 0.3)
    two = [F.cross_entropy(logits, y, label_smoothing=smoothing) for y in (labels, others)]
    torch.testing.assert_close(ours, 0.3 * two[0] + 0.7 * two[1], rtol=1e-13, atol=0)


@pytest.mark.parametrize("per_sample", [False, True])
def test_mixed_cross_entropy_and_its_gradient_are_those_of_the_soft_target(case, per_sample):
    logits, labels, others, lam = case
    weight = lam if per_sample else torch.full((B,), 0.3, dtype=torch.float64)
    ours = mixed_cross_entropy(logits, rows(), labels, others, lam if per_sample else 0.3)
    soft = weight[:, None] * F.one_hot(labels, K) + (1 - weight[:, None]) * F.one_hot(others, K)
    torch.testing.assert_close(ours, -(soft * logits.log_softmax(1)).sum(1).mean(), rtol=1e-13, atol=0)
    (gradient,) = torch.autograd.grad(ours, logits)
    torch.testing.assert_close(gradient, (logits.softmax(1) - soft).detach() / B, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_plain_cross_entropy_is_torchs_own(case, smoothing):
    logits, labels, _, _ = case
    assert cross_entropy(logits.float(), labels, smoothing) == F.cross_entropy(
        logits.float(), labels, label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_the_rows_of_targets_are_torchs_smoothing(case, smoothing):
    logits, labels, _, _ = case
    ours = F.cross_entropy(logits, target_rows(K, smoothing, CPU).double()[labels])
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, label_smoothing=smoothing), rtol=1e-6, atol=0)


def test_losses_are_taken_in_float32_whatever_the_logits(case):
    logits, labels, others, _ = case
    low = logits.detach().bfloat16()
    assert cross_entropy(low, labels).dtype == torch.float32
    assert mixed_cross_entropy(low, target_rows(K, 0.0, CPU), labels, others, 0.3).dtype == torch.float32


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("lam", [0.0, 0.2, 0.5, 1.0])
def test_excess_loss_is_zero_at_the_optimum_and_nowhere_less(smoothing, lam):
    labels, others = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 3, 4, 2])
    targets = torch.lerp(rows(smoothing)[others], rows(smoothing)[labels], lam)
    floor = target_entropy(labels.numpy(), others.numpy(), np.full(4, lam), num_classes=K, smoothing=smoothing)
    best = mixed_cross_entropy(targets.clamp_min(1e-300).log(), rows(smoothing), labels, others, lam)
    assert best.item() - floor.mean() == pytest.approx(0.0, abs=1e-12)
    noisy = targets.clamp_min(1e-3).log() + 0.3 * torch.randn(4, K, generator=torch.Generator().manual_seed(0))
    assert mixed_cross_entropy(noisy, rows(smoothing), labels, others, lam).item() > floor.mean()


@pytest.mark.parametrize(("labels", "others", "lam", "expected"), [
    (1, 2, 0.5, np.log(2)), (1, 2, 1.0, 0.0), (1, 2, 0.0, 0.0), (1, 1, 0.5, 0.0),
    (1, 2, 0.25, -0.25 * np.log(0.25) - 0.75 * np.log(0.75)),
])
def test_without_smoothing_the_floor_is_binary_entropy_where_labels_differ(labels, others, lam, expected):
    floor = target_entropy(np.array([labels]), np.array([others]), np.array([lam]), num_classes=K)
    assert floor == pytest.approx([expected], abs=1e-15)


def test_with_smoothing_the_floor_is_the_entropy_of_the_target():
    target = 0.9 * np.array([0.3, 0.7, 0, 0, 0]) + 0.1 / K
    floor = target_entropy(np.array([0]), np.array([1]), np.array([0.3]), num_classes=K, smoothing=0.1)
    assert floor == pytest.approx([-(target * np.log(target)).sum()], rel=1e-14)
