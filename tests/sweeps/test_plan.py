"""Plans: which trials there are, that they are the right ones, and what they are said to cost."""

import subprocess
import sys
from dataclasses import replace

import pytest

from sweeps.plan import first_settings, impossible_arms, measure_specs, plan, replicates, rung_setting
from sweeps.plan_cost import NOMINAL_RATE, NOMINAL_STEP_SECONDS, num_trials
from sweeps.run import workloads
from sweeps.study import load_study
from trainable.config import TrialConfig
from trainable.models.sizes import size

BEST = {"alpha": 0.7, "weight_decay": 1e-3, "dropout": 0.1, "epochs": 20}


def best_of(study) -> dict:
    return {capacity.label: BEST for capacity in study.capacities}


@pytest.fixture
def digits():
    return load_study("digits")


@pytest.mark.parametrize("code", [
    "plan(load_study('digits'))", "measure_specs(load_study('digits'), 'd', {'width=1': {}})",
    "plan(load_study('smoke', ['model={name: resnet18}', 'data.name=cifar10', 'train.batch_size=32']))"])
def test_a_plan_needs_neither_torch_nor_ray(code: str) -> None:
    probe = ("import sys; from sweeps.plan import plan, measure_specs; from sweeps.study import load_study; "
             f"{code}; print([name for name in ('torch', 'torchvision', 'ray', 'optuna', 'mlflow') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_measure_stage_is_every_alpha_on_every_split_at_every_capacity(digits) -> None:
    study = load_study("digits", ["measure.seeds=2"])
    specs = measure_specs(study, "data", best_of(study))
    expected = {(label, number, split, repeat) for label in best_of(study) for number in range(len(study.measure.alphas))
                for split in range(1, study.measure.splits + 1) for repeat in (0, 1)}
    assert {(spec.capacity, spec.number, spec.split, spec.repeat) for spec in specs} == expected
    assert len(specs) == len(expected) == len({spec.key for spec in specs}) == plan(study).num_measure
    assert all((spec.stage, spec.origin) == ("measure", "ladder") for spec in specs)


def test_redraws_are_staggered_on_the_first_seed_of_each_split(digits) -> None:
    study = load_study("digits", ["measure.splits=2", "measure.seeds=2", "measure.redraws=3"])
    assert [str(one) for one in replicates(study)] == ["1.0", "1.1", "1.0.1", "1.0.2", "2.0", "2.1", "2.0.1", "2.0.2"]
    specs = measure_specs(study, "data", best_of(study))
    assert len(specs) == len({spec.key for spec in specs}) == plan(study).num_measure == 3 * len(study.measure.alphas) * 8
    assert [spec.replicate for spec in specs][:8] == replicates(study)
    assert {spec.config["redraw"] for spec in specs} == {0, 1, 2}
    first = [spec.key for spec in specs if spec.config["redraw"] == 0]
    once = load_study("digits", ["measure.splits=2", "measure.seeds=2"])
    assert first == [spec.key for spec in measure_specs(once, "data", best_of(study))]


def test_no_measure_trial_uses_the_split_that_chose_its_setting(digits) -> None:
    assert 0 not in {spec.split for spec in measure_specs(digits, "data", best_of(digits))}
    assert [str(one) for one in replicates(digits)][:2] == ["1.0", "2.0"]


def test_along_the_ladder_only_alpha_changes(digits) -> None:
    specs = [spec for spec in measure_specs(digits, "data", {"width=0.5": BEST}) if spec.split == 1]
    assert [spec.config["alpha"] for spec in specs] == list(digits.measure.alphas)
    assert len({tuple((name, value) for name, value in spec.config.items() if name != "alpha") for spec in specs}) == 1
    assert [spec.setting["alpha"] for spec in specs] == list(digits.measure.alphas)
    assert specs[0].setting == {**BEST, "alpha": 0.0}


def test_a_specification_is_named_by_what_determines_it(digits) -> None:
    spec = measure_specs(digits, "data", {"width=0.5": BEST})[9]
    config = TrialConfig.from_dict(spec.config)
    assert spec.key == config.trial_key("data") != config.trial_key("other data")
    assert spec.arm_key == config.arm_key()
    assert config == digits.config(spec.setting, "width=0.5", spec.split, spec.repeat)


def test_more_splits_and_alphas_add_trials_and_keep_all_others(digits) -> None:
    larger = load_study("digits", ["measure.splits=9", "measure.alphas=[0, 0.1, 0.3, 0.5, 1, 3, 10, 32]"])
    before = {spec.key for spec in measure_specs(digits, "data", best_of(digits))}
    after = {spec.key for spec in measure_specs(larger, "data", best_of(digits))}
    assert before < after


def test_only_the_capacities_whose_search_is_complete_are_measured(digits) -> None:
    assert {spec.capacity for spec in measure_specs(digits, "data", {"width=1": BEST})} == {"width=1"}
    assert measure_specs(digits, "data", {}) == []


def test_a_study_that_fixes_the_other_axes_is_measured_there_whatever_was_found() -> None:
    study = load_study("digits", ["measure.at={weight_decay: 0, dropout: 0.3, epochs: 12}"])
    settings = [spec.setting for spec in measure_specs(study, "data", {"width=1": BEST})]
    assert settings[0] == {"alpha": 0.0, "weight_decay": 0.0, "dropout": 0.3, "epochs": 12}
    study = load_study("digits", ["measure.at={weight_decay: 0, dropout: 0.3, epochs: 12}", "search.max_trials=0"])
    assert [spec.setting for spec in measure_specs(study, "data", {"width=1": {}})] == settings


def test_an_axis_that_exists_only_with_mixup_is_left_out_of_the_baseline() -> None:
    study = load_study("digits", ["space.lam_per={choices: [batch, sample], when: {alpha: {above: 0}}}"])
    found = {**BEST, "lam_per": "sample"}
    assert rung_setting(study, found, 0.0) == {**BEST, "alpha": 0.0}
    assert rung_setting(study, found, 3.0) == {**found, "alpha": 3.0}
    specs = measure_specs(study, "data", {"width=1": found})
    assert {(spec.config["alpha"] > 0, spec.config["lam_per"]) for spec in specs} == {(False, "batch"), (True, "sample")}


def test_the_first_settings_are_no_more_than_the_budget(digits) -> None:
    assert first_settings(digits, "width=1") == list(digits.search.first)
    one = load_study("digits", ["search.max_trials=1"])
    assert [setting["alpha"] for setting in first_settings(one, one.capacities[0])] == [0.0]
    first_settings(digits, "width=1")[0]["alpha"] = 99
    assert digits.search.first[0]["alpha"] == 0.0


def test_a_plan_counts_what_will_run(digits) -> None:
    made = plan(digits)
    assert made.num_search == 3 * digits.search.max_trials
    assert made.num_measure == 3 * len(digits.measure.alphas) * digits.measure.splits
    assert made.num_trials == made.num_search + made.num_measure
    assert [part.stage for part in made.stages] == ["search"] * 3 + ["measure"] * 3


def test_a_plan_knows_the_parameters_of_every_capacity(digits) -> None:
    made = plan(digits)
    parameters = [made.sizes[capacity.label].parameters for capacity in digits.capacities]
    assert parameters == sorted(parameters)
    assert parameters == [size(digits.config({}, capacity), (1, 8, 8), 10).parameters for capacity in digits.capacities]


def test_epochs_are_counted_exactly_where_they_are_known() -> None:
    made = plan(load_study("digits", ["space.epochs=20"]))
    assert made.trial_epochs == 20 * made.num_trials
    assert made.example_passes == 20 * made.num_trials * 1000
    assert {part.max_epochs for part in made.stages} == {20}


def test_searched_epochs_are_expected_at_their_mean_and_first_settings_at_their_own(digits) -> None:
    search, measure = plan(digits).stages[0], plan(digits).stages[-1]
    firsts = sum(setting["epochs"] for setting in digits.search.first)
    assert search.trial_epochs == pytest.approx(firsts + (digits.search.max_trials - 2) * 25, rel=0.01)
    assert measure.trial_epochs == pytest.approx(measure.num_trials * 25, rel=0.01)
    assert search.max_epochs == measure.max_epochs == 40


def test_epochs_given_for_the_measure_stage_count_there() -> None:
    study = load_study("digits", ["measure.at={weight_decay: 0, dropout: 0, epochs: 7}"])
    part = plan(study).stages[-1]
    assert (part.trial_epochs, part.max_epochs) == (7 * part.num_trials, 7)


def test_seconds_are_estimated_from_multiply_adds_until_they_are_measured(digits) -> None:
    made = plan(digits)
    part = made.stages[2]
    model = made.sizes[part.capacity].multiply_adds
    epochs = part.trial_epochs
    assert part.multiply_adds == pytest.approx(model * (epochs * (3 * 1000 + 2 * 297) + part.num_trials * 1500))
    assert part.seconds == pytest.approx(part.multiply_adds / NOMINAL_RATE + epochs * 8 * NOMINAL_STEP_SECONDS)
    assert not made.measured


def test_measured_seconds_of_an_epoch_replace_the_estimate(digits) -> None:
    measured = {"width=0.25": 0.1, "width=0.5": 0.2, "width=1": 0.4}
    made = plan(digits, measured)
    assert made.seconds == pytest.approx(sum(part.trial_epochs * measured[part.capacity] for part in made.stages))
    assert made.measured
    partly = plan(digits, {"width=1": 0.4})
    assert not partly.measured
    assert partly.stages[0].seconds == plan(digits).stages[0].seconds


def test_what_cannot_be_known_is_not_guessed() -> None:
    study = load_study("digits", ["model={name: resnet18}"])
    made = plan(study)
    assert made.sizes == {"model=resnet18": None}
    assert made.multiply_adds is None
    assert made.seconds is None
    assert plan(study, {"model=resnet18": 2.0}).seconds == 2.0 * made.trial_epochs
    folder = replace(study, base=replace(study.base, data="image_folder", train_size=None, val_size=None))
    assert plan(folder).example_passes is None


def test_the_tables_show_space_ladder_and_trials(digits) -> None:
    space, capacities, trials = plan(digits).tables().values()
    assert [row["axis"] for row in space] == list(digits.space.names)
    assert capacities[2]["capacity"] == "width=1"
    assert capacities[2]["parameters"] == f"{plan(digits).sizes['width=1'].parameters:,}"
    assert trials[-1]["stage"] == "all"
    assert trials[-1]["trials"] == str(plan(digits).num_trials)
    assert all(isinstance(value, str) for row in (*space, *capacities, *trials) for value in row.values())


def test_a_smoke_study_is_small() -> None:
    made = plan(load_study("smoke"))
    assert (made.num_search, made.num_measure) == (4, 12)
    assert max(part.max_epochs for part in made.stages) <= 3


ARMS = "measure.arms={dropout 0.7: {dropout: 0.7}, mixup + dropout: {alpha: 8, dropout: 0.7}, long: {alpha: 8, epochs: 90}}"


def test_arms_follow_the_ladder_on_the_very_same_replicates(digits) -> None:
    study = load_study("digits", [ARMS, "measure.seeds=2"])
    specs = measure_specs(study, "data", best_of(study))
    assert len(specs) == len({spec.key for spec in specs}) == plan(study).num_measure
    rungs = [spec for spec in specs if spec.origin == "ladder"]
    assert rungs == measure_specs(load_study("digits", ["measure.seeds=2"]), "data", best_of(study)), "arms change no rung"
    for number, name in enumerate(study.measure.arms, start=len(study.measure.alphas)):
        own = [spec for spec in specs if spec.origin == f"arm: {name}"]
        assert {spec.number for spec in own} == {number}
        assert [(spec.capacity, spec.replicate) for spec in own] == [
            (spec.capacity, spec.replicate) for spec in rungs if spec.number == 0]
    both = next(spec for spec in specs if spec.origin == "arm: mixup + dropout")
    assert both.setting == {**BEST, "alpha": 8.0, "dropout": 0.7}
    assert TrialConfig.from_dict(both.config) == study.config(both.setting, both.capacity, both.split, both.repeat)


def test_an_arm_that_contradicts_the_best_setting_is_left_out_and_named() -> None:
    study = load_study("digits", ["space.lam_per={choices: [batch, sample]}", "measure.arms={plain: {method: erm}}"])
    assert impossible_arms(study, "width=1", {**BEST, "lam_per": "sample"}) == ["plain"]
    assert impossible_arms(study, "width=1", {**BEST, "lam_per": "batch"}) == []
    origins = {spec.origin for spec in measure_specs(study, "data", {"width=1": {**BEST, "lam_per": "sample"}})}
    assert origins == {"ladder"}


def test_a_plan_shows_and_counts_arms_with_the_epochs_they_set() -> None:
    study = load_study("digits", [ARMS, "space.epochs=20"])
    made = plan(study)
    part = made.stages[-1]
    assert part.num_trials == (7 + 3) * 8 == num_trials(study, "measure")
    assert part.trial_epochs == 9 * 8 * 20 + 8 * 90
    assert part.max_epochs == 90
    assert made.num_measure == 3 * part.num_trials == sum(load.num_measure for load in workloads(study))
    rows = made.tables()["arms"]
    assert [row["arm"] for row in rows[6:]] == ["alpha 32", *study.measure.arms]
    assert rows[7]["sets"] == "alpha 0, dropout 0.7"
    assert rows[8] == {"arm": "mixup + dropout", "sets": "alpha 8, dropout 0.7", "trials at each capacity": "8"}
    assert "arms" not in plan(load_study("digits")).tables()
