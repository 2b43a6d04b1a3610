"""Named arms of a study file: what each comes to, and that a wrong one is refused at its line."""

import json

import pytest

from sweeps.changes import changes
from sweeps.study import Study, load_study
from sweeps.study.yaml_source import write_document
from trainable.errors import StudyError

ARMS = {"dropout 0.7": {"dropout": 0.7}, "mixup + dropout": {"alpha": 8, "dropout": 0.7},
        "label smoothing": {"method": "label_smoothing", "label_smoothing": 0.1}}
CHOSEN = {"alpha": 3.0, "weight_decay": 1e-3, "dropout": 0.2, "epochs": 20}


def study_of(folder, measure: dict, **others):
    path = folder / "s.yaml"
    path.write_text(write_document({**others, "measure": measure}), encoding="utf-8")
    return load_study(path)


def problems_of(text: str, folder, *overrides: str) -> list[str]:
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load_study(path, overrides)
    return str(caught.value).replace(f"{path}:", "").splitlines()


def arms(*lines: str, alphas: str = "[0, 1, 8]", more: str = "") -> str:
    """A study with these arms, the first on line 4."""
    return "\n".join([f"measure:\n  alphas: {alphas}{more}\n  arms:", *(f"    {line}" for line in lines)])


def test_an_arm_is_plain_training_at_the_measured_setting_but_for_what_it_sets(tmp_path) -> None:
    study = study_of(tmp_path, {"arms": ARMS})
    assert study.arm_setting(CHOSEN, "dropout 0.7") == {**CHOSEN, "alpha": 0.0, "dropout": 0.7}
    assert study.arm_setting(CHOSEN, "mixup + dropout") == {**CHOSEN, "alpha": 8.0, "dropout": 0.7}
    smoothed = study.arm_config("width=1", CHOSEN, "label smoothing")
    assert (smoothed.method, smoothed.label_smoothing, smoothed.alpha, smoothed.weight_decay) == ("label_smoothing", 0.1, 0.0, 1e-3)


def test_an_axis_that_exists_only_with_mixup_is_left_out_of_an_arm_without(tmp_path) -> None:
    space = {"lam_per": {"choices": ["batch", "sample"], "when": {"alpha": {"above": 0}}}}
    study = study_of(tmp_path, {"arms": ARMS}, space=space)
    chosen = {**CHOSEN, "lam_per": "sample"}
    assert "lam_per" not in study.arm_setting(chosen, "dropout 0.7")
    assert study.arm_setting(chosen, "mixup + dropout")["lam_per"] == "sample"


def test_an_arm_that_contradicts_what_the_search_found_has_no_configuration(tmp_path) -> None:
    space = {"lam_per": {"choices": ["batch", "sample"]}}
    study = study_of(tmp_path, {"arms": {"plain": {"method": "erm"}}}, space=space)
    assert study.arm_config("width=1", {**CHOSEN, "lam_per": "batch"}, "plain") is not None
    assert study.arm_config("width=1", {**CHOSEN, "lam_per": "sample"}, "plain") is None


def test_values_take_the_type_of_their_field_and_survive_being_written(tmp_path) -> None:
    study = study_of(tmp_path, {"arms": {**ARMS, "null": {"alpha": 5}, "yes: no #1": {"alpha": 6}, "ε = ½": {"alpha": 7}}})
    assert [type(value) for value in study.measure.arms["mixup + dropout"].values()] == [float, float]
    assert Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study
    again = tmp_path / "again.yaml"
    again.write_text(study.to_yaml(), encoding="utf-8")
    assert load_study(again, ["name=s"]).measure.arms == study.measure.arms


def test_arms_are_a_budget_that_a_study_which_has_begun_may_change(tmp_path) -> None:
    before, after = study_of(tmp_path, {}), study_of(tmp_path, {"arms": ARMS})
    assert before != after
    assert changes(before.identity(), after.identity()) == []


def test_with_arms_the_ladder_may_be_the_baseline_alone(tmp_path) -> None:
    assert study_of(tmp_path, {"alphas": [0], "arms": ARMS}).measure.alphas == (0.0,)
    assert any("must contain 0" in line for line in problems_of(arms("a: {dropout: 0.7}", alphas="[1]"), tmp_path))
    assert problems_of(arms("a: {droput: 0.7}", alphas="[0]"), tmp_path) == [
        "4: measure.arms.a.droput = 0.7: is no field that an arm may set; did you mean dropout?"]
    assert "must be 2 to 100" in problems_of("measure: {alphas: [0], arms: {}}", tmp_path)[0]


@pytest.mark.parametrize(("line", "said"), [
    ("dropout 0.7: {droput: 0.7}",
     "4: measure.arms.dropout 0.7.droput = 0.7: is no field that an arm may set; did you mean dropout?"),
    ("a: {width: 2}", "4: measure.arms.a.width = 2: is no field that an arm may set; they are method, alpha"),
    ("a: {seed: 2}", "4: measure.arms.a.seed = 2: is no field"),
    ("a: {method: cutmx}", "4: measure.arms.a.method = 'cutmx': must be one of"),
    ("a.b + c: {dropout: 1}", "4: measure.arms.a.b + c.dropout = 1: must be in [0, 1)"),
    ("a: {alpha: .nan}", "4: measure.arms.a.alpha = nan: must be in [0, "),
    ("a: {epochs: 2.5}", "4: measure.arms.a.epochs = 2.5: must be a whole number"),
    ("a: 3", "4: measure.arms.a = 3: must map fields of train to values"),
    ("a:", "4: measure.arms.a = None: must map fields of train to values"),
    ("0.7: {dropout: 0.7}", "4: measure.arms.0.7 = '0.7': must be named by words, not by a number"),
    ("'': {dropout: 0.7}", "4: measure.arms. = '': must be named by 1 to 64 printable characters"),
    ("' a': {dropout: 0.7}", "4: measure.arms. a = ' a': must be named by 1 to 64 printable characters"),
    ('"a\\n": {dropout: 0.7}', r"4: measure.arms.a\x0a = 'a\n': must be named by 1 to 64 printable"),
    (f"{'n' * 65}: {{dropout: 0.7}}", "must be named by 1 to 64"),
    ("alpha 8: {dropout: 0.7}", "4: measure.arms.alpha 8 = 'alpha 8': is what a rung of measure.alphas is called"),
    ("a: {alpha: 8}", "4: measure.arms.a = {'alpha': 8}: comes to the same trials as alpha 8; keep one of them"),
    ("a: {}", "4: measure.arms.a = {}: comes to the same trials as alpha 0; keep one of them"),
    ("a: {lr: 0.1}", "4: measure.arms.a = {'lr': 0.1}: comes to the same trials as alpha 0"),
    ("a: {method: erm, lam_per: sample}", "4: measure.arms.a.lam_per = 'sample': is no option of method erm"),
    ("a: {batch_size: 1039}", "4: measure.arms.a.batch_size = 1039: must be at most 1038, the training examples of a split"),
    ("token: abc123", "4: measure.arms.token = '***': looks like a credential"),
])
def test_a_wrong_arm_is_refused_at_its_line(line: str, said: str, tmp_path) -> None:
    found = problems_of(arms(line), tmp_path)
    assert len(found) == 1
    assert said in found[0]


def test_a_longest_and_a_shortest_name_are_names(tmp_path) -> None:
    names = {"n" * 64: {"alpha": 2}, "n": {"alpha": 4}}
    assert tuple(study_of(tmp_path, {"arms": names}).measure.arms) == tuple(names)


def test_two_arms_that_come_to_one_setting_are_refused_however_they_are_written(tmp_path) -> None:
    found = problems_of(arms("a: {alpha: 3, dropout: 0.5}", "b: {dropout: 0.50, alpha: 3.0, lr: 0.1}"), tmp_path)
    assert found == ["5: measure.arms.b = {'dropout': 0.5, 'alpha': 3.0, 'lr': 0.1}: comes to the same trials as arm a; "
                     "keep one of them"]


def test_where_the_setting_is_given_an_arm_may_equal_it_only_under_another_alpha(tmp_path) -> None:
    at = "\n  at: {weight_decay: 0.001, dropout: 0.5, epochs: 12}"
    assert "comes to the same trials as alpha 8" in problems_of(arms("a: {alpha: 8, dropout: 0.5}", more=at), tmp_path)[0]
    path = tmp_path / "s.yaml"
    path.write_text(arms("a: {alpha: 8, dropout: 0.5}"), encoding="utf-8")
    assert load_study(path).measure.arms, "the search may find any other dropout"


def test_what_the_base_sets_is_part_of_an_arm(tmp_path) -> None:
    text = "train: {lam_per: sample}\n" + arms("plain: {method: erm}", "plain too: {method: erm, lam_per: batch}")
    found = problems_of(text, tmp_path)
    assert found == ["5: measure.arms.plain = {'method': 'erm'}: leaves lam_per = 'sample', which is no option of method erm: "
                     "must be batch; it belongs to mixup, input_mixup, label_free_mixup, manifold_mixup, cutmix"]


def test_at_most_fifty_arms(tmp_path) -> None:
    many = [f"n{number}: {{alpha: {100 + number}}}" for number in range(51)]
    assert len(study_of(tmp_path, {"arms": {f"n{number}": {"alpha": 100 + number} for number in range(50)}}).measure.arms) == 50
    assert problems_of(arms(*many), tmp_path) == ["3: measure.arms = '51 arms': must be at most 50 arms"]


def test_an_override_reaches_an_arm_whose_name_has_dots(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(arms("dropout 0.7: {dropout: 0.7}", "a: {dropout: 0.6}"), encoding="utf-8")
    found = load_study(path, ["measure.arms.dropout 0.7.dropout=0.5", "measure.arms.a.alpha=3", "measure.arms.b={alpha: 4}"])
    assert found.measure.arms == {"dropout 0.7": {"dropout": 0.5}, "a": {"dropout": 0.6, "alpha": 3.0}, "b": {"alpha": 4.0}}
    wrong = problems_of(arms("dropout 0.7: {dropout: 0.7}"), tmp_path, "measure.arms.dropout 0.7.dropout=3")
    assert wrong == ["--set measure.arms.dropout 0.7.dropout=3: measure.arms.dropout 0.7.dropout = 3: must be in [0, 1)"]
