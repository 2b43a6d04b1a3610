"""The methods as arms: their options, their null settings, and what each trains on."""

import dataclasses

import numpy as np
import pytest
import torch

from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.errors import ConfigError, ModelError
from trainable.learner import Learner
from trainable.methods import METHODS, is_plain, latent_layers
from trainable.moments import epsilon, theta_bar

CONFIG = TrialConfig(width=0.125, train_size=100, batch_size=32, epochs=4, seed=5, label_noise=0.3)
SOURCE = load("digits")
CPU = resolve("cpu")

NULLS = [*({"method": name, "alpha": 0.0} for name in METHODS if "alpha" in METHODS[name].options),
         {"method": "noise", "noise_std": 0.0}, {"method": "label_smoothing", "label_smoothing": 0.0},
         {"method": "label_smoothing", "smoothing_from": "alpha", "alpha": 0.0},
         {"method": "mixup", "alpha": 0.0, "smoothing_toward": "marginal"}]
LIVE = {"mixup": {"alpha": 1.0}, "input_mixup": {"alpha": 1.0}, "label_free_mixup": {"alpha": 1.0}, "cutmix": {"alpha": 1.0},
        "manifold_mixup": {"alpha": 1.0}, "label_smoothing": {"label_smoothing": 0.2}, "shrunk_erm": {"alpha": 1.0},
        "approximate_mixup": {"alpha": 1.0}, "noise": {"noise_std": 0.3}, "erm": {}}


def learner(**changes):
    return Learner(dataclasses.replace(CONFIG, **changes), SOURCE, CPU)


def weights(made):
    return torch.cat([value.flatten().double() for value in made.model.state_dict().values()])


def trained(num_epochs=2, **changes):
    made = learner(**changes)
    found = [made.train_epoch(epoch) for epoch in range(1, num_epochs + 1)]
    return made, found


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("null", NULLS, ids=str)
def test_every_method_at_its_null_setting_is_erm_bit_for_bit(null, dropout):
    plain, plain_found = trained(method="erm", dropout=dropout)
    made, found = trained(**null, dropout=dropout)
    assert torch.equal(weights(made), weights(plain))
    assert [float(one.sums["loss"]) for one in found] == [float(one.sums["loss"]) for one in plain_found]
    assert [one.floor for one in found] == [0.0, 0.0]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "erm"])
def test_every_method_away_from_it_is_not(name):
    plain, _ = trained(1, method="erm")
    made, _ = trained(1, method=name, **LIVE[name])
    assert not torch.equal(weights(made), weights(plain))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("options", [
    {"dropout": 0.4}, {"model": "mlp"}, {"precision": "bfloat16"}, {"lam_per": "sample"}], ids=str)
def test_every_method_goes_with_everything_else(name, options):
    if "lam_per" in options and "lam_per" not in METHODS[name].options:
        return
    before = weights(learner(method=name, **LIVE[name], **options))
    made, found = trained(1, method=name, **LIVE[name], **options)
    assert np.isfinite([float(value) for one in found for value in one.sums.values()]).all()
    assert not torch.equal(weights(made), before)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns(name):
    made = learner(method=name, **LIVE[name], label_noise=0.0, epochs=12)
    images = made.normalise(torch.from_numpy(SOURCE.images[made.split.train_index]))
    labels = torch.from_numpy(made.split.train_labels)
    for epoch in range(1, 13):
        made.train_epoch(epoch)
    with torch.inference_mode():
        error = (made.model.eval()(images).argmax(1) != labels).double().mean()
    assert error < 0.75  # 0.9 is chance


@pytest.mark.parametrize(("options", "per_sample"), [
    ({"pairing": "same_class"}, False), ({"pairing": "knn", "num_neighbors": 3}, False), ({"lam_per": "sample"}, True),
    ({"pairing": "knn", "lam_per": "sample", "augment": "crop_flip"}, True), ({"lam_range": "upper"}, False),
])
@pytest.mark.parametrize("name", ["mixup", "input_mixup", "cutmix", "label_free_mixup"])
def test_pairings_and_lambdas_combine_with_every_mixing_method(name, options, per_sample):
    if "lam_range" in options and name == "label_free_mixup":
        return  # its law is not symmetric: folding it would be another method
    made = learner(method=name, alpha=1.0, **options)
    batches = []
    made._step = lambda batch, lr: batches.append(batch) or {"loss": torch.zeros(())}
    made.train_epoch(1)
    for batch in batches:
        assert made._move(batch.images_BCHW, batch.pairs).shape == batch.images_BCHW.shape
        assert isinstance(batch.pairs.lam, torch.Tensor) == per_sample
        assert (batch.pairs.partner_B is None) == ("pairing" in options)
        if options.get("pairing") == "same_class" and batch.partner_labels_B is not None:
            assert torch.equal(batch.labels_B, batch.partner_labels_B)
        if options.get("lam_range") == "upper":
            assert batch.pairs.lam >= 0.5


def test_partners_from_the_whole_split_are_the_images_at_their_positions():
    made = learner(method="mixup", alpha=1.0, pairing="knn", num_neighbors=1)
    seen = []
    made._step = lambda batch, lr: seen.append(batch) or {"loss": torch.zeros(())}
    made.train_epoch(1)
    images = torch.cat([batch.images_BCHW for batch in seen])
    partners = torch.cat([batch.pairs.images_BX for batch in seen])
    distances = torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf)
    expected = images[distances.argmin(dim=1)]
    assert torch.equal(partners, expected)


def test_the_label_of_the_heavier_input_is_learnt():
    made = learner(method="input_mixup", alpha=1.0, lam_per="sample")
    seen = []
    made._step = lambda batch, lr: seen.append(batch) or {"loss": torch.zeros(())}
    found = made.train_epoch(1)
    for batch in seen:
        assert torch.equal(batch.own, (batch.pairs.lam >= 0.5).float())
    assert found.floor == 0.0


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_smoothing_matched_to_an_alpha_is_what_shrinking_does_to_labels(alpha):
    matched = learner(method="label_smoothing", smoothing_from="alpha", smoothing_toward="marginal", alpha=alpha)
    shrunk = learner(method="shrunk_erm", alpha=alpha)
    assert matched._smoothing == shrunk._smoothing == epsilon(alpha)
    assert torch.equal(matched._rows_KK, shrunk._rows_KK)
    shares = np.bincount(matched.split.train_labels, minlength=10) / 100
    np.testing.assert_allclose(matched._rows_KK[3].numpy(), epsilon(alpha) * shares + theta_bar(alpha) * np.eye(10)[3], atol=1e-7)


@pytest.mark.parametrize(("changes", "plain"), [
    ({"mixing_warmup_epochs": 2}, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]), ({"mixing_off_fraction": 0.3}, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),
    ({"mixing_off_fraction": 0.25}, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]), ({}, [0] * 10),
    ({"mixing_warmup_epochs": 1, "mixing_off_fraction": 0.1}, [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
])
def test_mixing_waits_for_its_warm_up_and_ends_before_the_trial_does(changes, plain):
    config = dataclasses.replace(CONFIG, alpha=1.0, epochs=10, **changes)
    assert [is_plain(config, epoch) for epoch in range(1, 11)] == [bool(one) for one in plain]


@pytest.mark.parametrize(("changes", "field", "message"), [
    ({"method": "mixpu"}, "method", "did you mean mixup"),
    ({"method": "erm", "alpha": 0.4}, "alpha", "is no option of method erm: must be 0.0; it belongs to mixup"),
    ({"method": "noise", "alpha": 0.4}, "alpha", "is no option of method noise"),
    ({"noise_std": 0.1}, "noise_std", "is no option of method mixup: must be 0.0; it belongs to noise"),
    ({"method": "shrunk_erm", "label_smoothing": 0.1}, "label_smoothing", "is no option of method shrunk_erm"),
    ({"method": "label_free_mixup", "lam_range": "upper"}, "lam_range", "must be full"),
    ({"num_neighbors": 5}, "num_neighbors", "belongs to pairing knn: must be 10"),
    ({"method": "manifold_mixup", "pairing": "knn"}, "pairing", "hidden values exist only within a minibatch"),
    ({"method": "manifold_mixup", "mixing_layers": "1;2"}, "mixing_layers", "numbers with commas between"),
    ({"mixing_layers": "1"}, "mixing_layers", "is no option of method mixup"),
    ({"label_smoothing": 0.1, "smoothing_from": "alpha"}, "label_smoothing", "must be 0 with smoothing_from alpha"),
    ({"method": "label_smoothing", "alpha": 1.0}, "alpha", "must be 0 with smoothing_from given"),
    ({"alpha": -0.1}, "alpha", r"must be in \[0, 1e\+06\]"), ({"alpha": float("nan")}, "alpha", "must be in"),
    ({"alpha": 1.0, "mixing_off_fraction": 1.0}, "mixing_off_fraction", "leaves none of 30 epochs to mix in"),
    ({"alpha": 1.0, "mixing_warmup_epochs": 30}, "mixing_warmup_epochs", "leaves none of 30 epochs to mix in"),
    ({"alpha": 1.0, "epochs": 4, "mixing_warmup_epochs": 3, "mixing_off_fraction": 0.25}, "mixing_off_fraction",
     "leaves none of 4"),
    ({"mixing_off_fraction": 1.5}, "mixing_off_fraction", r"must be in \[0, 1\]"),
])
def test_what_does_not_belong_to_a_method_is_refused_with_field_value_and_range(changes, field, message):
    with pytest.raises(ConfigError, match=message) as caught:
        TrialConfig(**changes)
    assert field in [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "num_latent", "expected"), [
    ("all", 3, (0, 1, 2, 3)), ("all", 0, (0,)), ("0", 3, (0,)), ("3, 1,1", 3, (1, 3)),
])
def test_layers_are_read_in_order_and_once(text, num_latent, expected):
    config = TrialConfig(method="manifold_mixup", mixing_layers=text)
    assert latent_layers(config, num_latent) == expected


@pytest.mark.parametrize("text", ["0,1", "0, 1", "1,0,1", "01, 0"])
def test_one_set_of_layers_is_one_setting_however_it_is_written(text):
    config = TrialConfig(method="manifold_mixup", mixing_layers=text)
    assert config.mixing_layers == "0,1"
    assert config == TrialConfig(method="manifold_mixup", mixing_layers="0,1")


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ModelError, match=r"mixing_layers = '4': must be in \[0, 3\]"):
        learner(method="manifold_mixup", alpha=1.0, mixing_layers="4")
    learner(method="manifold_mixup", alpha=1.0, mixing_layers="3")


def test_manifold_mixup_of_the_input_alone_is_mixup_bit_for_bit():
    one, _ = trained(method="manifold_mixup", alpha=1.0, mixing_layers="0")
    other, _ = trained(method="mixup", alpha=1.0)
    assert torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("name", ["mixup", "cutmix", "manifold_mixup", "noise", "approximate_mixup"])
def test_equal_seeds_agree_and_different_seeds_differ(name):
    one, same, other = (trained(method=name, **LIVE[name], seed=seed)[0] for seed in (5, 5, 6))
    assert torch.equal(weights(one), weights(same))
    assert not torch.equal(weights(one), weights(other))
