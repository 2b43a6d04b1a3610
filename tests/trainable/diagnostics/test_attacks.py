"""Attacks against models whose worst case is known, and against a small trained net."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainable.diagnostics.attacks import PIXEL_STEP, fgsm, ifgsm, in_eval_mode, kurakin_steps, pgd, transfer

SHAPE = (1, 4, 4)
NUM_PIXELS = 16


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def some_images(count, low=0.0, high=1.0):
    return low + (high - low) * torch.rand(count, *SHAPE, generator=stream())


def some_labels(count, num_classes):
    return torch.randint(num_classes, (count,), generator=stream(1))


def linear(num_classes, seed=2, scale=1.0):
    weight = scale * torch.randn(num_classes, NUM_PIXELS, generator=stream(seed))
    return (lambda images: images.flatten(1) @ weight.to(images.dtype).T), weight


def with_start(images):
    return partial(pgd, start_BCHW=2 * torch.rand(images.shape, generator=stream(3)) - 1)


@pytest.fixture(scope="module")
def net():
    """A small convolutional net, trained: two of three classes of blobs overlap at the border."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
                             nn.Linear(8 * NUM_PIXELS, 3))
    labels = some_labels(300, 3)
    images = (0.5 * some_images(300) + 0.25 * some_images(3, 0, 2)[labels]).clamp(0, 1)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(made(images), labels).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return made.eval(), images, labels


def margins(model, images, labels):
    """Wrong logit minus true logit of two classes."""
    logits = model(images)
    return (logits.gather(1, 1 - labels[:, None]) - logits.gather(1, labels[:, None]))[:, 0]


@pytest.mark.parametrize("epsilon", [1 / 255, 0.1, 0.25])
def test_fgsm_on_a_linear_model_gains_epsilon_times_the_weights_one_norm(epsilon):
    model, weight = linear(2)
    images, labels = some_images(20, 0.3, 0.7).double(), some_labels(20, 2)
    slope = weight[0].double() - weight[1].double()
    gained = margins(model, fgsm(model, images, labels, epsilon), labels) - margins(model, images, labels)
    assert torch.allclose(gained, epsilon * slope.abs().sum(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.1, 0.6, 1.0])
def test_fgsm_on_a_linear_model_is_the_worst_case_of_the_ball_cut_to_the_pixels_range(epsilon):
    model, weight = linear(2)
    images, labels = some_images(20).double(), some_labels(20, 2)
    slope = ((weight[1].double() - weight[0].double()) * (1 - 2 * labels[:, None])).view(images.shape)
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    worst = torch.maximum(slope * low, slope * high).flatten(1).sum(dim=1)
    assert torch.allclose(margins(model, fgsm(model, images, labels, epsilon), labels), worst, rtol=0, atol=1e-12)


@pytest.mark.parametrize("attack", [partial(ifgsm, num_steps=300), "pgd"], ids=["ifgsm", "pgd"])
def test_small_steps_find_the_worst_case_of_a_linear_model_too(attack):
    model, _ = linear(2)
    images, labels = some_images(20), some_labels(20, 2)
    attack = with_start(images) if attack == "pgd" else attack
    expected = margins(model, fgsm(model, images, labels, 0.2), labels)
    assert torch.allclose(margins(model, attack(model, images, labels, 0.2), labels), expected, atol=1e-5)


def test_the_direction_is_that_of_the_cross_entropy(net):
    model, images, labels = net
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(images), labels, reduction="sum"), images)
    inside = (images > 0.01) & (images < 0.99) & (gradient.abs() > 1e-4 * gradient.abs().max())
    moved = fgsm(model, images, labels, PIXEL_STEP) - images
    assert inside.float().mean() > 0.5
    assert torch.equal(moved[inside].sign(), gradient[inside].sign())


def test_confidence_beyond_float32_is_no_defence():
    images, labels = some_images(50), some_labels(50, 3)
    plain, weight = linear(3)
    confident, _ = linear(3, scale=1e4)
    two = torch.tensor([[1.0, 1.0, 0.0]])  # class 2 aside, so that the scale moves no weight between two wrong classes
    labels = labels % 2
    attacked = [fgsm(lambda images, model=model, size=size: model(images) * two - 100 * size * (1 - two), images, labels, 0.1)
                for model, size in ((plain, 1.0), (confident, 1e4))]
    loss = F.cross_entropy((images.flatten(1) @ (1e4 * weight).T)[:, :2], labels, reduction="none")
    assert (loss == 0).any(), "some losses, and their gradients with them, are zero in float32"
    assert torch.equal(*attacked)


@pytest.mark.parametrize("epsilon", [0.0, 1 / 255, 4 / 255, 16 / 255, 0.3, 1.0])
@pytest.mark.parametrize("name", ["fgsm", "ifgsm", "pgd"])
def test_attacked_images_lie_in_the_ball_and_in_the_pixels_range(net, name, epsilon):
    model, images, labels = net
    images = torch.cat([images[:30], torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE)])
    labels = labels[:32]
    attack = {"fgsm": fgsm, "ifgsm": ifgsm, "pgd": with_start(images)}[name]
    attacked = attack(model, images, labels, epsilon)
    assert (attacked - images).abs().max() <= epsilon + 1e-7
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert torch.equal(attacked, images) == (epsilon == 0), "with no epsilon the images come back bit for bit"


def test_one_step_of_epsilon_makes_ifgsm_fgsm(net):
    model, images, labels = net
    for epsilon in (1 / 255, 0.1):
        found = ifgsm(model, images, labels, epsilon, step_size=epsilon, num_steps=1)
        assert torch.equal(found, fgsm(model, images, labels, epsilon))


@pytest.mark.parametrize("epsilon", [8 / 255, 32 / 255])
def test_more_steps_find_a_larger_loss_on_a_trained_net(net, epsilon):
    model, images, labels = net
    losses = [F.cross_entropy(model(attack(model, images, labels, epsilon)), labels).item()
              for attack in (fgsm, ifgsm, with_start(images))]
    clean = F.cross_entropy(model(images), labels).item()
    assert losses[0] > clean + 0.01
    assert losses[1] >= losses[0]
    assert losses[2] >= losses[0]


@pytest.mark.parametrize(("levels", "num_steps"), [(0, 0), (1, 1), (2, 3), (4, 5), (8, 10), (15, 19), (16, 20), (17, 21), (32, 36)])
def test_steps_of_kurakin(levels, num_steps):
    assert kurakin_steps(levels / 255) == kurakin_steps(levels * PIXEL_STEP) == num_steps


def test_pgd_starts_where_it_is_told():
    images, start = some_images(5), torch.empty(5, *SHAPE).uniform_(-1, 1, generator=stream(4))
    attacked = pgd(lambda images: images.flatten(1) @ torch.zeros(NUM_PIXELS, 2), images, some_labels(5, 2), 0.25, start_BCHW=start)
    assert torch.equal(attacked, (images + 0.25 * start).clamp(images - 0.25, images + 0.25).clamp(0, 1))  # no slope: it stays


def test_the_diagonal_of_a_transfer_matrix_is_the_white_box(net):
    net, images, labels = net
    models = [net, linear(3)[0], linear(3, seed=5)[0]]
    wrong_STB = torch.stack([transfer(source, models, images, labels, 0.1, fgsm) for source in models])
    assert wrong_STB.shape == (3, 3, len(images))
    for number, model in enumerate(models):
        alone = model(fgsm(model, images, labels, 0.1)).argmax(dim=1) != labels
        assert torch.equal(wrong_STB[number, number], alone.float())
    errors_ST = wrong_STB.mean(dim=2)
    assert (errors_ST.diagonal() >= errors_ST.T).all(), "here no source hurts a target more than itself"


def test_a_target_opposed_to_the_source_gains():
    model, _ = linear(2)
    images, labels = some_images(200), some_labels(200, 2)
    opposed = lambda images: -model(images)  # noqa: E731
    (row,) = transfer(model, [opposed], images, labels, 0.2, fgsm)
    assert row.mean() < (opposed(images).argmax(dim=1) != labels).float().mean()
    assert torch.equal(opposed(fgsm(model, images, labels, 0.2)).argmax(1) != labels, row.bool())


def test_nothing_is_left_behind(net):
    model, images, labels = net
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = images.clone()
    with torch.no_grad():  # whoever asks may have gradients off
        for attack in (fgsm, ifgsm, with_start(images)):
            assert not attack(model, images, labels, 0.1).requires_grad
            transfer(model, [model], images, labels, 0.1, attack)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(images, kept)
    assert not images.requires_grad
    assert images.grad is None


def test_modes_come_back_part_by_part_even_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(1), nn.Dropout()))
    model.train()
    model[1][0].eval()
    before = [part.training for part in model.modules()]
    with pytest.raises(KeyError), in_eval_mode(model):  # noqa: PT012
        assert not any(part.training for part in model.modules())
        raise KeyError
    assert [part.training for part in model.modules()] == before
    assert len(set(before)) == 2
