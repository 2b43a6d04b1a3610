"""Methods in a study: options that do not belong, at the line that sets them; and what may be searched and measured."""

import pytest

from sweeps.study import load_study
from sweeps.study.methods import corners
from trainable.errors import StudyError

BIG = "data: {name: fashion_mnist}\n"

WRONG = [
    ("train: {method: mixpu}", "1: train.method = 'mixpu'", "did you mean mixup?"),
    ("train: {noise_std: 0.3}", "1: train.noise_std = 0.3", "is no option of method mixup: must be 0.0; it belongs to noise"),
    ("train: {method: manifold_mixup, pairing: knn}", "1: train.pairing = 'knn'", "must be one of permutation, roll"),
    ("train: {num_neighbors: 5}", "1: train.num_neighbors = 5", "belongs to pairing knn: must be 10"),
    ("train: {label_smoothing: 0.1, smoothing_from: alpha}", "1: train.label_smoothing = 0.1",
     "must be 0 with smoothing_from alpha"),
    ("train: {method: noise, noise_std: 0.1}", "space.alpha = 32.0", "is no option of method noise"),
    ("train: {method: erm}\nspace: {alpha: 0}", "measure.alphas = 32.0", "is no option of method erm"),
    ("train: {method: erm}\nspace: {alpha: 1}", "2: space.alpha = 1", "is no option of method erm"),
    ("space: {method: {choices: [mixup, erm]}}", "space.alpha = 32.0",
     "where the space chooses method erm; an axis can be given `when:`"),
    ("space: {method: {choices: [mixup, cutmix]}, noise_std: {low: 0, high: 1}}", "1: space.noise_std = 1.0",
     "is no option of method mixup"),
    ("space: {method: {choices: [mixup, erm]}, alpha: {when: {method: [mixup]}}}", "measure.at = 'best'",
     "must give the method where the search may choose one without alpha, erm"),
    ("train: {pairing: knn, num_neighbors: 1038}", "1: train.num_neighbors = 1038", "must be below 1038"),
    (BIG + "train: {pairing: knn}", "2: train.pairing = 'knn'", "must be at most 20000"),
    (BIG + "space: {pairing: {choices: [roll, knn]}}", "2: space.pairing = 'knn'", "must be at most 20000"),
    (BIG + "measure: {arms: {near: {alpha: 1, pairing: knn}}}", "2: measure.arms.near.pairing = 'knn'", "must be at most 20000"),
    ("train: {method: manifold_mixup, mixing_layers: '4'}", "1: train.mixing_layers = '4'",
     "must be in [0, 3], the layers of convnet (0 is the input) at width=1"),
    ("train: {method: manifold_mixup, mixing_layers: '0,3'}\nmodel: {name: mlp}", "1: train.mixing_layers", "must be in [0, 2]"),
    ("measure: {arms: {deep: {method: manifold_mixup, alpha: 1, mixing_layers: '9'}}}", "1: measure.arms.deep.mixing_layers = '9'",
     "must be in [0, 3]"),
    ("train: {method: manifold_mixup, mixing_layers: x}", "1: train.mixing_layers = 'x'", "all, or numbers with commas between"),
    ("space: {num_neighbors: {low: 2, high: 10}}", "1: space.num_neighbors = 2", "belongs to pairing knn: must be 10"),
    ("train: {mixing_warmup_epochs: 10}", "1: train.mixing_warmup_epochs = 10", "leaves none of 10 epochs to mix in"),
    ("train: {mixing_off_fraction: 1}", "1: train.mixing_off_fraction = 1.0", "use method erm for that"),
    ("train: {alpha: .nan}", "1: train.alpha = nan", "[0, 1e+06]"),
]


@pytest.mark.parametrize(("text", "place", "message"), WRONG)
def test_what_does_not_go_with_a_method_is_refused_at_load(text, place, message, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    lines = [line for line in str(caught.value).splitlines() if place in line]
    assert lines, str(caught.value)
    assert message in lines[0]


@pytest.mark.parametrize("text", [
    "space: {method: {choices: [mixup, cutmix, manifold_mixup]}}",
    "space:\n  method: {choices: [mixup, noise]}\n  alpha: {when: {method: [mixup]}}\n"
    "  noise_std: {low: 0, high: 1, when: {method: [noise]}}\n"
    "measure: {at: {method: mixup, weight_decay: 1e-4, dropout: 0, epochs: 10}}",
    "train: {method: erm}\nspace: {alpha: 0}\nmeasure: {alphas: [0], arms: {cutmix: {method: cutmix, alpha: 1}}}",
    "train: {pairing: knn, num_neighbors: 1037}", "train: {method: manifold_mixup, mixing_layers: '0,3'}",
    "train: {method: label_smoothing, smoothing_from: alpha, smoothing_toward: marginal}",
])
def test_what_goes_together_is_taken(text, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    study = load_study(path)
    assert type(study).from_dict(study.to_dict()) == study


def test_the_corners_of_a_space_are_its_choices_and_its_ends():
    text = ["space.method={choices: [mixup, noise]}", "space.alpha={when: {method: [mixup]}}",
            "space.noise_std={low: 0, high: 2, when: {method: [noise]}}",
            "measure.at={method: mixup, weight_decay: 1e-4, dropout: 0, epochs: 20}"]
    found = list(corners(load_study("digits", text).space))
    chosen = [(one["method"], one.get("alpha"), one.get("noise_std")) for one in found]
    assert chosen == [("mixup", 32.0, None), ("noise", None, 2.0), ("mixup", 0.0, None), ("noise", None, 0.0),
                      ("mixup", 32.0, None), ("noise", None, 2.0)]
