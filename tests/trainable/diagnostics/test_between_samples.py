"""Between samples: models whose answers on the way are known, and pairs that every arm shares."""

import dataclasses

import numpy as np
import pytest
import torch

from trainable.config import TrialConfig
from trainable.data import load
from trainable.data.source import Raw, make_source
from trainable.device import resolve
from trainable.diagnostics import between_samples
from trainable.diagnostics.between_samples import LAMBDAS, draw_pairs, walk
from trainable.errors import Diverged
from trainable.learner import Learner
from trainable.objective import target_rows

SOURCE = load("digits")
CONFIG = TrialConfig(width=0.125, train_size=250, val_size=120, epochs=3, batch_size=50, label_noise=0.2, dropout=0.1)
CPU = resolve("cpu")
ROWS = {num_classes: target_rows(num_classes, 0.0, torch.device("cpu")) for num_classes in (2, 3, 10)}


def made(source=SOURCE, **changes):
    return Learner(dataclasses.replace(CONFIG, **changes), source, CPU)


@pytest.fixture(scope="module")
def learner():
    found = made()
    for epoch in (1, 2, 3):
        found.train_epoch(epoch)
    return found


@pytest.fixture(scope="module")
def findings(learner):
    return between_samples.diagnose(learner)


def nearest_of(*points):
    """Logits: minus the squared distance to each class's point."""
    centres = torch.tensor(points)
    return lambda images: -(images.flatten(1)[:, None] - centres[:, None]).square().sum(dim=2)


def pair(first, second, *labels):
    return torch.tensor(first).view(1, 1, 1, 1), torch.tensor(second).view(1, 1, 1, 1), *(torch.tensor([label]) for label in labels)


def test_nothing_lies_between_two_classes_of_two():
    misses, _ = walk(nearest_of(1.0, 0.0), [pair(1.0, 0.0, 0, 1)], ROWS[2])
    assert misses.flatten().tolist() == [0.0] * 11


def test_a_third_class_in_the_middle_is_met_there():
    misses, _ = walk(nearest_of(1.0, 0.0, 0.48), [pair(1.0, 0.0, 0, 1), pair(1.0, 1.0, 0, 0), pair(0.0, 0.0, 0, 0)], ROWS[3])
    assert misses[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0]  # nearest to .48 from .24 to .74
    assert misses[:, 1].tolist() == [0.0] * 11
    assert misses[:, 2].tolist() == [1.0] * 11


def test_a_prediction_of_nothing_is_a_miss():
    misses, _ = walk(lambda images: images.flatten(1) * torch.tensor([[torch.nan, 1.0]]), [pair(1.0, 0.5, 0, 0)], ROWS[2])
    assert misses.flatten().tolist() == [1.0] * 11


def test_the_gradient_of_a_linear_softmax_is_its_residual_through_the_weights():
    stream = torch.Generator().manual_seed(0)
    weight, images = torch.randn(10, 12, generator=stream), torch.randn(2, 30, 3, 2, 2, generator=stream)
    labels = torch.randint(10, (2, 30), generator=stream)
    batches = [(*images[:, part], *labels[:, part]) for part in (slice(0, 17), slice(17, 30))]
    misses, norms = walk(lambda images: images.flatten(1) @ weight.T, batches, ROWS[10])
    assert misses.shape == norms.shape == (11, 30)
    for lam, miss, norm in zip(LAMBDAS, misses, norms, strict=True):
        logits = (lam * images[0] + (1 - lam) * images[1]).double().flatten(1) @ weight.double().T
        target = lam * torch.eye(10).double()[labels[0]] + (1 - lam) * torch.eye(10).double()[labels[1]]
        expected = ((logits.softmax(dim=1) - target) @ weight.double()).norm(dim=1)
        assert torch.allclose(norm.double(), expected, rtol=1e-5, atol=1e-6)
        found = logits.argmax(dim=1)
        assert torch.equal(miss.bool(), (found != labels[0]) & (found != labels[1]))


def test_a_model_that_predicts_the_mixed_target_has_no_gradient():
    def straight(images):
        return torch.cat([images.flatten(1), 1 - images.flatten(1)], dim=1).log()  # class 0 with the probability of the pixel

    _, norms = walk(straight, [pair(0.9, 0.1, 0, 1)], ROWS[2])
    share = 0.1 + 0.8 * torch.tensor(LAMBDAS).double()  # the pixel; the slope is that of the cross-entropy there
    expected = (torch.tensor(LAMBDAS) / share - (1 - torch.tensor(LAMBDAS)) / (1 - share)).abs()
    assert torch.allclose(norms.flatten().double(), expected, atol=1e-5)
    assert norms[5].item() == pytest.approx(0.0, abs=1e-6)


def test_the_ends_are_the_examples_themselves():
    seen = []

    def model(images):
        seen.append(images.detach().clone())
        return images.flatten(1)[:, :2]

    first, second = torch.rand(2, 5, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    walk(model, [(first, second, torch.zeros(5).long(), torch.ones(5).long())], ROWS[2])
    assert torch.equal(seen[0], second)
    assert torch.equal(seen[-1], first)
    assert torch.allclose(seen[3], 0.3 * first + 0.7 * second)
    assert len(seen) == 11


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("counts", [(40, 30, 30), (1, 99), (500, 1), (700, 500), (2, 1), (1, 1, 1), (3, 0, 3)])
def test_pairs_are_two_examples_of_one_class_or_of_two(same, counts):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    pairs = draw_pairs(labels, same=same, stream=np.random.default_rng(0))
    with_partner = sum(count for count in counts if (count > 1 if same else sum(counts) > count))
    assert pairs.shape == (min(500, with_partner), 2)
    assert len(set(pairs[:, 0].tolist())) == len(pairs)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert ((labels[pairs[:, 0]] == labels[pairs[:, 1]]) == same).all()


@pytest.mark.parametrize("same", [True, False])
def test_each_partner_is_as_likely_as_another(same):
    labels = np.array([0, 1, 0, 1, 2, 0, 0])
    stream = np.random.default_rng(0)
    counts = np.zeros((7, 7))
    for _ in range(1000):
        pairs = draw_pairs(labels, same=same, stream=stream)
        counts[pairs[:, 0], pairs[:, 1]] += 1
    allowed = ((labels[:, None] == labels) == same) & ~np.eye(7, dtype=bool)
    partners = allowed.sum(axis=1)
    expected = np.divide(1000, partners[:, None] * np.ones(7), where=allowed, out=np.zeros((7, 7)))
    assert (counts[~allowed] == 0).all()
    assert np.abs(counts - expected).max() < 5 * np.sqrt(1000 / 4)


def test_values_are_means_of_the_inner_grid_and_the_middle(findings):
    curve = findings.curves["between_samples/curve"]
    assert curve["lam"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for what in ("miss", "gradient_norm"):
        for kind in ("same", "different"):
            points = curve[f"{what}_{kind}"]
            assert findings.values[f"between_samples/{what}_{kind}"] == pytest.approx(sum(points[1:10]) / 9, rel=1e-12)
            assert findings.values[f"between_samples/{what}_{kind}_half"] == points[5]
    assert len(findings.values) == 8


def test_the_pairs_are_trained_on_and_their_labels_right(learner, monkeypatch):
    seen = []
    judge = between_samples.walk

    def watched(model, batches, rows_KK):
        batches = list(batches)
        seen.extend(batches)
        return judge(model, batches, rows_KK)

    monkeypatch.setattr(between_samples, "walk", watched)
    found = between_samples.diagnose(learner)
    split = learner.split
    right = split.train_labels == SOURCE.labels[split.train_index]
    assert 0 < (~right).sum() < 100
    count = right.sum()
    assert found.curves["between_samples/curve"]["num_pairs"] == {"same": count, "different": count}
    images = learner.normalise(torch.from_numpy(SOURCE.images[split.train_index[right]]))
    known = {image.numpy().tobytes(): int(label) for image, label in zip(images, split.train_labels[right], strict=True)}
    firsts = []
    for first, second, labels, partner_labels in seen:
        for image, label in (*zip(first, labels, strict=True), *zip(second, partner_labels, strict=True)):
            assert known[image.numpy().tobytes()] == int(label)
        firsts += (labels == partner_labels).tolist()
    assert firsts == [True] * count + [False] * count


def test_it_is_the_same_twice_and_leaves_the_learner_as_it_was(learner, findings):
    learner.model.train()
    learner.model.dropout.eval()
    modes = [part.training for part in learner.model.modules()]
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    grads = [parameter.grad for parameter in learner.model.parameters()]
    copies = [grad.clone() for grad in grads]
    draws = torch.get_rng_state(), learner._dropout.get_state()
    assert between_samples.diagnose(learner) == findings
    assert [part.training for part in learner.model.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())
    for parameter, grad, copy in zip(learner.model.parameters(), grads, copies, strict=True):
        assert parameter.requires_grad
        assert parameter.grad is grad
        assert torch.equal(grad, copy)
    assert torch.equal(draws[0], torch.get_rng_state())
    assert torch.equal(draws[1], learner._dropout.get_state())


@pytest.mark.parametrize("changes", [{"alpha": 8.0}, {"repeat": 3}, {"batch_size": 128}, {"weight_decay": 0.0},
                                     {"label_smoothing": 0.2}])
def test_every_arm_meets_the_same_pairs(learner, findings, changes):
    other = made(**changes)
    other.load(learner.state())
    found = between_samples.diagnose(other)
    assert found.values == pytest.approx(findings.values, rel=1e-5)  # another batch size rounds otherwise
    assert found.curves["between_samples/curve"]["miss_different"] == findings.curves["between_samples/curve"]["miss_different"]


def test_another_split_has_other_pairs(learner, findings):
    for changes in ({"split": 1}, {"seed": 1}):
        other = made(**changes)
        other.load(learner.state())
        assert between_samples.diagnose(other).values != pytest.approx(findings.values, rel=1e-5)


def test_a_kind_without_a_pair_has_no_values():
    stream = np.random.default_rng(0)
    labels = np.arange(4)
    images = stream.integers(255, size=(4, 1, 8, 8)).astype(np.uint8)
    source = make_source("few", Raw(place="here", images_NCHW=images, labels_N=labels, test_images_NCHW=images,
                                    test_labels_N=labels, class_names=("a", "b", "c", "d")))
    found = between_samples.diagnose(made(source, train_size=3, val_size=1, batch_size=3, label_noise=0.0))
    assert found.curves["between_samples/curve"]["num_pairs"] == {"same": 0, "different": 3}
    assert set(found.values) == {f"between_samples/{what}_different{at}"
                                 for what in ("miss", "gradient_norm") for at in ("", "_half")}


def test_an_infinite_norm_is_a_diverged_trial(learner):
    other = made()
    other.load(learner.state())
    with torch.no_grad():
        other.model.classifier.weight.fill_(torch.inf)
    with pytest.raises(Diverged, match="between_samples/gradient_norm"):
        between_samples.diagnose(other)
