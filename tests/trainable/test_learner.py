"""An epoch of training, against a loop that does without everything that makes ours fast."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainable.config import TrialConfig
from trainable.data import load
from trainable.data.splits import make_split
from trainable.device import resolve
from trainable.learner import Learner
from trainable.models import build
from trainable.models.dropout import Dropout, attach_generator
from trainable.moments import lam_from_uniform
from trainable.optim import lr_at, make_optimizer
from trainable.seeding import numpy_stream, stream_seed

CONFIG = TrialConfig(width=0.125, train_size=100, batch_size=32, epochs=3, seed=5)
SOURCE = load("digits")
CPU = resolve("cpu")


def learner(**changes):
    return Learner(dataclasses.replace(CONFIG, **changes), SOURCE, CPU)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def plain_training(config, num_epochs):
    """Minibatch by minibatch as a person would write it, from the same named streams; no mixing at alpha 0."""
    split = make_split(SOURCE, config)
    model = CPU.place_model(build(config, SOURCE.shape, SOURCE.num_classes))
    optimizer, dropout = make_optimizer(model, config), torch.Generator()
    attach_generator(model, dropout)
    mean, std = torch.tensor(SOURCE.mean).view(-1, 1, 1), torch.tensor(SOURCE.std).view(-1, 1, 1)
    pool, step, losses = torch.from_numpy(SOURCE.images), 0, []
    for epoch in range(1, num_epochs + 1):
        names = (config.split, config.repeat, epoch)
        order = numpy_stream(config.seed, "order", *names).permutation(100)
        pairing, uniforms = numpy_stream(config.seed, "pairing", *names), numpy_stream(config.seed, "lam", *names)
        dropout.manual_seed(stream_seed(config.seed, "dropout", *names))
        total = 0.0
        for part, u in zip(np.split(order, 4), uniforms.random(4), strict=True):
            images = (pool[split.train_index[part]] / SOURCE.scale - mean) / std
            labels = torch.from_numpy(split.train_labels[part])
            partner = torch.from_numpy(pairing.permutation(25))
            lam = float(lam_from_uniform(np.array(u), config.alpha))
            model.train()
            logits = model(lam * images + (1 - lam) * images[partner] if config.alpha > 0 else images)
            loss = lam * F.cross_entropy(logits, labels)
            if config.alpha > 0:
                loss = loss + (1 - lam) * F.cross_entropy(logits, labels[partner])
            optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = lr_at(step, 4 * config.epochs, config)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, step = total + 25 * loss.item(), step + 1
        losses.append(total / 100)
    return model, losses


@pytest.mark.parametrize("changes", [
    {"alpha": 0.0}, {"alpha": 1.0}, {"alpha": 0.3, "dropout": 0.4}, {"alpha": 1.0, "optimizer": "adamw", "lr": 0.01},
    {"alpha": 1.0, "schedule": "step", "warmup_fraction": 0.3}, {"alpha": 1.0, "label_noise": 0.5},
], ids=str)
def test_training_is_what_a_plain_loop_does(changes):
    ours = learner(**changes)
    losses = [float(ours.train_epoch(epoch).sums["loss"]) / 100 for epoch in (1, 2)]
    theirs, their_losses = plain_training(ours.config, 2)
    assert losses == pytest.approx(their_losses, rel=1e-3)
    torch.testing.assert_close(weights(ours.model), weights(theirs), rtol=0, atol=2e-3)


def test_alpha_zero_is_plain_training_bit_for_bit():
    ours = learner(alpha=0.0, dropout=0.3)
    split, config = ours.split, ours.config
    model = CPU.place_model(build(config, SOURCE.shape, SOURCE.num_classes))
    optimizer, dropout = make_optimizer(model, config), torch.Generator()
    attach_generator(model, dropout)
    step = 0
    for epoch in (1, 2):
        ours.train_epoch(epoch)
        order = numpy_stream(config.seed, "order", 0, 0, epoch).permutation(100)
        dropout.manual_seed(stream_seed(config.seed, "dropout", 0, 0, epoch))
        for part in np.split(order, 4):
            images = ours.normalise(torch.from_numpy(SOURCE.images[split.train_index[part]]))
            loss = F.cross_entropy(model.train()(images), torch.from_numpy(split.train_labels[part]))
            optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = lr_at(step, 12, config)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    assert torch.equal(weights(ours.model), weights(model))


def batches(made, epoch=1):
    seen = []
    made._step = lambda batch, lr: seen.append((batch, lr)) or {"loss": torch.zeros(())}
    made.train_epoch(epoch)
    return seen


@pytest.mark.parametrize(("changes", "moved"), [
    ({"alpha": 1.0}, True), ({"alpha": 0.0}, False), ({"alpha": 1.0, "method": "cutmix", "lam_per": "sample"}, True),
    ({"alpha": 1.0, "method": "manifold_mixup"}, True), ({"method": "noise", "noise_std": 0.3}, True),
    ({"alpha": 1.0, "method": "approximate_mixup"}, True), ({"alpha": 1.0, "method": "shrunk_erm"}, False),
], ids=str)
def test_a_redraw_moves_what_is_mixed_and_nothing_else(changes, moved):
    first, redrawn = (learner(dropout=0.3, **changes, redraw=redraw) for redraw in (0, 1))
    assert torch.equal(weights(first.model), weights(redrawn.model))
    for one, other in zip(batches(learner(**changes)), batches(learner(**changes, redraw=1)), strict=True):
        assert torch.equal(one[0].images_BCHW, other[0].images_BCHW)
        assert torch.equal(one[0].labels_B, other[0].labels_B)
    for made in (first, redrawn):
        made.train_epoch(1)
    assert torch.equal(weights(first.model), weights(redrawn.model)) is not moved


def test_two_alphas_share_weights_order_pairing_and_dropout():
    one, other = learner(alpha=0.2, dropout=0.5), learner(alpha=8.0, dropout=0.5)
    assert torch.equal(weights(one.model), weights(other.model))
    for (a, lr_a), (b, lr_b) in zip(batches(one), batches(other), strict=True):
        assert torch.equal(a.images_BCHW, b.images_BCHW)
        assert torch.equal(a.pairs.partner_B, b.pairs.partner_B)
        assert abs(a.pairs.lam - 0.5) > abs(b.pairs.lam - 0.5)
        assert lr_a == lr_b
    assert torch.equal(one._dropout.get_state(), other._dropout.get_state())


def test_erm_shares_weights_and_order_with_mixup_and_has_no_partners():
    plain, mixed = learner(alpha=0.0), learner(alpha=1.0)
    assert torch.equal(weights(plain.model), weights(mixed.model))
    for (a, _), (b, _) in zip(batches(plain), batches(mixed), strict=True):
        assert torch.equal(a.images_BCHW, b.images_BCHW)
        assert a.pairs is None
        assert a.partner_labels_B is None


@pytest.mark.parametrize("changes", [{"seed": 6}, {"repeat": 1}, {"split": 1}])
def test_another_replicate_has_other_weights_and_another_order(changes):
    one, other = learner(alpha=1.0), learner(alpha=1.0, **changes)
    assert not torch.equal(weights(one.model), weights(other.model))
    (a, _), (b, _) = batches(one)[0], batches(other)[0]
    assert not torch.equal(a.images_BCHW, b.images_BCHW)
    assert a.pairs.lam != b.pairs.lam


def test_another_epoch_has_another_order_and_other_draws():
    made = learner(alpha=1.0)
    (a, _), (b, _) = batches(made, 1)[0], batches(made, 2)[0]
    assert not torch.equal(a.images_BCHW, b.images_BCHW)
    assert a.pairs.lam != b.pairs.lam


def test_crop_and_flip_draws_are_a_stream_of_their_own():
    plain, cropped = learner(alpha=1.0), learner(alpha=1.0, augment="crop_flip")
    for (a, _), (b, _) in zip(batches(plain), batches(cropped), strict=True):
        assert torch.equal(a.labels_B, b.labels_B)
        assert a.pairs.lam == b.pairs.lam
        assert not torch.equal(a.images_BCHW, b.images_BCHW)


def test_the_floor_is_the_mean_entropy_of_what_was_trained_on():
    made = learner(alpha=1.0)
    expected = []
    for batch, _ in batches(made):
        entropy = -batch.own * np.log(batch.own) - (1 - batch.own) * np.log(1 - batch.own)
        expected += (entropy * (batch.labels_B != batch.partner_labels_B).double()).tolist()
    assert made.train_epoch(1).floor == pytest.approx(np.mean(expected), rel=1e-12)
    assert learner(alpha=0.0).train_epoch(1).floor == 0.0


@pytest.mark.parametrize("changes", [{"lam_per": "sample"}, {"pairing": "roll"}, {"label_smoothing": 0.1},
                                     {"augment": "crop_flip"}, {"precision": "bfloat16"}, {"model": "mlp"}], ids=str)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_every_variant_trains_and_its_loss_falls(changes, alpha):
    made = learner(alpha=alpha, epochs=12, **changes)
    losses = [float(found.sums["loss"]) / 100 - found.floor for found in map(made.train_epoch, range(1, 13))]
    assert np.mean(losses[-3:]) < 0.95 * losses[0]


def test_stray_global_draws_inside_a_model_are_reproducible_and_stay_inside():
    def trained():
        made = learner()
        made.model.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 0.1 * torch.randn(inputs[0].shape),))
        with CPU.session(made.seed("global", 1)):
            return float(made.train_epoch(1).sums["loss"])

    before = torch.get_rng_state()
    first = trained()
    torch.rand(3)
    assert trained() == first
    torch.set_rng_state(before)


def test_a_loaded_learner_continues_as_if_it_had_never_stopped():
    whole, cut, fresh = (learner(alpha=1.0, dropout=0.2, optimizer="adamw", lr=0.01) for _ in range(3))
    for made in (whole, cut):
        made.train_epoch(1)
    fresh.load(cut.state())
    one, other = whole.train_epoch(2), fresh.train_epoch(2)
    assert torch.equal(one.sums["loss"], other.sums["loss"])
    assert one.floor == other.floor
    assert torch.equal(weights(whole.model), weights(fresh.model))


def test_the_source_is_never_written():
    frozen = dataclasses.replace(SOURCE, **{name: getattr(SOURCE, name).copy() for name in ("images", "labels")})
    frozen.images.flags.writeable = frozen.labels.flags.writeable = False
    made = Learner(dataclasses.replace(CONFIG, alpha=1.0, augment="crop_flip", label_noise=0.3), frozen, CPU)
    made.train_epoch(1)
    np.testing.assert_array_equal(frozen.images, SOURCE.images)


def test_every_dropout_of_the_model_draws_from_the_learners_stream():
    made = learner(dropout=0.5)
    layers = [module for module in made.model.modules() if isinstance(module, Dropout)]
    assert layers
    assert all(layer.generator is made._dropout for layer in layers)
