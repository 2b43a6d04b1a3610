"""Studies: defaults, configurations, identity, and where they are found."""

import dataclasses
import json

import pytest

from search_spaces import DEFAULT_SPACE
from sweeps.changes import changes
from sweeps.study import Study, load_study, studies_shipped
from trainable.config import TrialConfig
from trainable.errors import StudyError

FOUND = {"weight_decay": 1e-3, "dropout": 0.2, "epochs": 20}


@pytest.fixture
def load(tmp_path):
    """Makes a study of a text."""
    def make(text: str, *overrides: str) -> Study:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return load_study(path, overrides)
    return make


def test_one_key_is_enough_and_all_others_have_defaults(load) -> None:
    study = load("seed: 0\n")
    assert study.name == "mine"
    assert study.space == DEFAULT_SPACE
    assert study.base == TrialConfig()
    assert [capacity.label for capacity in study.capacities] == ["width=1"]
    assert study.measure.alphas == (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
    assert (study.measure.splits, study.measure.seeds, study.measure.at) == (4, 1, "best")
    assert (study.search.sampler, study.search.max_trials, study.search.max_hours) == ("tpe", 16, None)
    assert dataclasses.astuple(study.search.prune) == ("asha", 0.4, 2, 0.1)
    assert dataclasses.astuple(study.compute) == (1, "auto", None, 2, 3600, 600)
    assert (study.objective, study.tolerance, study.data_root, study.download) == ("val/error", 0.1, None, False)


def test_numbers_are_read_as_people_write_them(load) -> None:
    study = load("train: {lr: 1e-1, momentum: .9}\nspace: {weight_decay: {low: 1e-5, high: 1E-2}}\nseed: 1_000\n")
    assert (study.base.lr, study.base.momentum, study.seed) == (0.1, 0.9, 1000)
    assert study.space["weight_decay"] == DEFAULT_SPACE["weight_decay"]


def test_words_that_old_yaml_takes_for_booleans_are_words(load) -> None:
    assert load("name: no\n").name == "no"
    assert load("name: off\ndata: {root: yes}\n").data_root == "yes"


def test_an_empty_section_has_its_defaults(load) -> None:
    assert load("search:\ncompute:\ntrain:\n") == load("seed: 0\n")


def test_a_longest_name_is_allowed(load) -> None:
    assert load(f"name: {'n' * 64}\n").name == "n" * 64


def test_a_key_under_train_fixes_a_named_axis_as_the_space_does(load) -> None:
    assert load("train: {dropout: 0.3}\n") == load("space: {dropout: 0.3}\n")
    study = load("train: {dropout: 0.3}\n")
    assert study.base.dropout == 0.3
    assert [axis.name for axis in study.space.varying] == ["alpha", "weight_decay", "epochs"]


def test_any_knob_of_training_may_become_an_axis(load) -> None:
    study = load("space: {lr: {scale: log, low: 1e-3, high: 1}, optimizer: {choices: [sgd, adamw]}}\n")
    assert study.space.names == ("alpha", "weight_decay", "dropout", "epochs", "optimizer", "lr")


def test_a_conditional_axis_keeps_its_value_under_train_for_where_it_does_not_exist(load) -> None:
    study = load("train: {momentum: 0.8, dropout: 0.1}\nspace:\n  optimizer: {choices: [sgd, adamw]}\n"
                 "  momentum: {low: 0.5, high: 0.99, when: {optimizer: sgd}}\n"
                 "  dropout: {high: 0.3, when: {alpha: {above: 0}}}\n")
    config = study.config({"alpha": 0.0, "optimizer": "adamw", "epochs": 10, "weight_decay": 0.0}, "width=1")
    assert (config.momentum, config.dropout) == (0.8, 0.1)
    assert Study.from_dict(study.to_dict()) == study


def test_the_default_ladder_reaches_as_far_as_the_space(load) -> None:
    assert load("space: {alpha: {high: 2}}\n").measure.alphas == (0.0, 0.1, 0.3, 1.0)
    assert load("space: {alpha: {low: 0.3, high: 2}}\n").measure.alphas == (0.0, 0.3, 1.0)
    assert load("space: {alpha: 0.2}\n").measure.alphas[-1] == 32.0


def test_the_ladder_is_put_in_order(load) -> None:
    assert load("measure: {alphas: [3, 0, 0.5]}\n").measure.alphas == (0.0, 0.5, 3.0)


def test_prune_may_be_given_by_its_rule_alone(load) -> None:
    assert load("search: {prune: none}\n") == load("search: {prune: {rule: none}}\n")


def test_a_study_without_a_search_says_where_to_measure(load) -> None:
    study = load("search: {max_trials: 0}\nmeasure: {at: {weight_decay: 0, dropout: 0, epochs: 90}}\n")
    assert study.measure.at == {"weight_decay": 0.0, "dropout": 0.0, "epochs": 90}
    assert load("search: {max_trials: 0}\nmeasure: {at: {}}\n"
                "train: {weight_decay: 0, dropout: 0, epochs: 9}\n").measure.at == {}


def test_a_torchvision_model_is_known_without_torch_and_is_a_capacity_of_its_own(load) -> None:
    assert [step.label for step in load("model: {name: resnet18}\n").capacities] == ["model=resnet18"]
    study = load("model: {capacity: {model: [resnet18, resnet50, convnet]}}\n")
    assert study.config({}, "model=resnet50").model == "resnet50"
    with pytest.raises(StudyError, match="sets width or depth, which the name resnet18 fixes"):
        load("model: {name: resnet18, capacity: {width: [0.5, 1]}}\n")


def test_a_folder_of_images_of_a_size_is_a_dataset(load) -> None:
    assert load("data: {name: 'image_folder:96', root: /data}\n").base.data == "image_folder:96"
    with pytest.raises(StudyError, match=r"data.name = 'digits:96': image_folder alone takes a size"):
        load("data: {name: 'digits:96'}\n")


def test_a_setting_becomes_a_configuration_at_a_capacity_on_a_replicate() -> None:
    study = load_study("digits")
    config = study.config({"alpha": 0.5, **FOUND}, "width=0.25", split=2, repeat=1)
    assert config == dataclasses.replace(study.base, alpha=0.5, width=0.25, split=2, repeat=1, **FOUND)
    assert study.config({"alpha": 0.5, **FOUND}, study.capacity("width=0.25"), 2, 1) == config
    assert config.seed == study.seed
    with pytest.raises(KeyError):
        study.capacity("width=7")


def test_a_batch_may_be_the_whole_training_split(load) -> None:
    assert load("train: {batch_size: 1038}\n").base.batch_size == 1038


def test_the_study_s_seed_is_every_trial_s(load) -> None:
    assert load("seed: 7\n").config({}, "width=1").seed == 7


def test_the_first_settings_are_plain_training_and_mixup_inside_the_space(load) -> None:
    plain, mixup = load("space: {weight_decay: {high: 2e-4}}\n").search.first
    assert plain == {"alpha": 0.0, "weight_decay": 2e-4, "dropout": 0.0, "epochs": 40}  # 5e-4 lies outside
    assert mixup == {"alpha": 1.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 40}


@pytest.mark.parametrize("text", [
    "seed: 0", "space: {alpha: {low: 0.1, high: 0.4}}", "space: {alpha: {choices: [0, 0.2]}}", "space: {alpha: 0.3}",
    "space: {optimizer: {choices: [adamw]}, momentum: {low: 0.2, high: 0.4, when: {optimizer: adamw}}}",
    "space: {dropout: {low: 0.3, high: 0.5}, epochs: {low: 100, high: 300}}"])
def test_every_first_setting_lies_inside_the_space(load, text: str) -> None:
    study = load(text)
    assert study.search.first
    assert all(study.space.contains(setting) for setting in study.search.first)


def test_without_alpha_zero_in_the_space_plain_training_is_not_tried(load) -> None:
    assert [setting["alpha"] for setting in load("space: {alpha: {low: 0.1, high: 0.4}}\n").search.first] == [0.4]


def test_a_grid_starts_with_nothing_outside_it(load) -> None:
    assert load("search: {sampler: grid}\n").search.first == ()


def test_first_settings_may_be_given(load) -> None:
    study = load("search: {first: [{alpha: 0, weight_decay: 1e-4, dropout: 0, epochs: 20}]}\n")
    assert study.search.first == ({"alpha": 0.0, "weight_decay": 1e-4, "dropout": 0.0, "epochs": 20},)
    assert isinstance(study.search.first[0]["alpha"], float)
    assert load("search: {first: []}\n").search.first == ()


MAY_CHANGE = ["search.max_trials=99", "search.max_hours=3", "measure.splits=9", "measure.seeds=3", "measure.alphas=[0, 5]",
              "compute.cpus=2", "compute.gpus=1", "compute.max_concurrent=3", "compute.retries=9", "tolerance=0.5",
              "data.root=/elsewhere", "data.download=true", "search.prune.audit=0", "search.prune.audit=1"]
MAY_NOT_CHANGE = ["name=other", "seed=1", "data.name=cifar10", "data.label_noise=0.3", "data.train_size=900",
                  "model.name=mlp", "model.capacity.width=[0.5, 1]", "train.lr=0.2", "train.lam_per=sample",
                  "space.alpha.high=33", "space.dropout=0.1", "space.momentum={low: 0.1, high: 0.9}", "search.sampler=random",
                  "search.prune.rule=median", "search.prune.grace=0.5", "search.first=[]", "objective=val/loss",
                  "measure.at={weight_decay: 0, dropout: 0, epochs: 10}"]


@pytest.mark.parametrize("override", MAY_CHANGE)
def test_what_a_resumed_study_may_change_is_not_its_identity(override: str) -> None:
    changed = load_study("digits", [override])
    assert changed != load_study("digits")
    assert changed.identity() == load_study("digits").identity()


@pytest.mark.parametrize("override", MAY_NOT_CHANGE)
def test_what_makes_a_study_is_its_identity_and_the_change_is_told(override: str) -> None:
    old, new = load_study("digits").identity(), load_study("digits", [override]).identity()
    key = override.partition("=")[0]
    assert any(change.path.startswith(key) for change in changes(old, new))
    assert changes(old, old) == []


def test_a_change_is_one_readable_line() -> None:
    old, new = load_study("digits").identity(), load_study("digits", ["space.dropout.high=0.4", "seed=3"]).identity()
    assert [str(change) for change in changes(old, new)] == ["seed: recorded 0, now 3", "space.dropout.high: recorded 0.5, now 0.4"]
    fixed = load_study("digits", ["space.dropout=0.1"]).identity()
    assert "space.dropout: recorded not there, now 0.1" in [str(change) for change in changes(old, fixed)]


def test_an_identity_survives_json() -> None:
    identity = load_study("digits", ["measure.at={weight_decay: 0, dropout: 0, epochs: 10}"]).identity()
    assert json.loads(json.dumps(identity, allow_nan=False)) == identity


def test_a_study_comes_back_from_what_a_ledger_keeps_of_it() -> None:
    study = load_study("digits")
    assert Study.from_dict(json.loads(json.dumps(study.to_dict(), allow_nan=False))) == study


def test_a_study_cannot_be_edited() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_study("smoke").seed = 3  # type: ignore[misc]


def test_the_ready_studies_say_what_they_ask() -> None:
    assert {"digits", "smoke"} <= set(studies_shipped())
    assert all(text.endswith((".", "?")) for text in studies_shipped().values())


def test_a_file_is_found_by_its_path_and_a_ready_study_by_its_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "digits.yaml").write_text("seed: 5\n")
    monkeypatch.chdir(tmp_path)
    assert load_study("digits").seed == 0
    assert load_study("digits.yaml").seed == 5
    assert load_study(tmp_path / "digits.yaml").path == str(tmp_path / "digits.yaml")


def test_the_default_study_spends_its_measure_stage_apart_from_the_search() -> None:
    study = load_study("digits")
    assert study.base.train_size + study.base.val_size == 1297
    assert [capacity.fields["width"] for capacity in study.capacities] == [0.25, 0.5, 1.0]
