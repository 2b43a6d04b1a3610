"""A ladder of epochs: what it needs of the rest of a study, and what it comes to."""

import pytest

from sweeps.plan import measure_specs, plan
from sweeps.study import Study, load_study
from trainable.errors import StudyError

BASE = """
name: long
data: {name: digits, train_size: 200, val_size: 100}
model: {name: convnet, width: 0.25, capacity: {epochs: [2, 6]}}
space: {weight_decay: 1e-4, dropout: 0, epochs: 30}
search: {max_trials: 0}
measure: {alphas: [0, 1], splits: 3, at: {}}
"""


def study(tmp_path, text: str = BASE) -> Study:
    path = tmp_path / "long.yaml"
    path.write_text(text)
    return load_study(path)


def test_each_step_is_trained_for_its_own_epochs_on_the_same_replicates(tmp_path) -> None:
    found = study(tmp_path)
    specs = measure_specs(found, "digest", {step.label: {} for step in found.capacities})
    assert {(spec.capacity, spec.config["epochs"]) for spec in specs} == {("epochs=2", 2), ("epochs=6", 6)}
    assert len({spec.key for spec in specs}) == len(specs) == 2 * 2 * 3
    assert Study.from_dict(found.to_dict()) == found
    assert [(part.capacity, part.trial_epochs, part.max_epochs) for part in plan(found).stages if part.stage == "measure"] == [
        ("epochs=2", 12, 2), ("epochs=6", 36, 6)]


@pytest.mark.parametrize(("old", "new", "says"), [
    (", epochs: 30", "", "sets epochs, which space.epochs searches: give that axis one value"),
    ("at: {}", "at: {}, arms: {a: {epochs: 9}}", "measure.arms.a.epochs = 9: is set by the steps of model.capacity"),
])
def test_epochs_are_set_in_one_place(tmp_path, old: str, new: str, says: str) -> None:
    with pytest.raises(StudyError, match=r".*") as caught:
        study(tmp_path, BASE.replace(old, new))
    assert says in str(caught.value)
