"""Model ladders: how they are written, what they are called, what is refused."""

import pytest

from search_spaces import Capacity, ladder, ladder_spec
from trainable.errors import ConfigError


@pytest.mark.parametrize(("spec", "labels", "fields"), [
    ({"width": [0.25, 1]}, ["width=0.25", "width=1"], [{"width": 0.25}, {"width": 1.0}]),
    ({"depth": [18, 34]}, ["depth=18", "depth=34"], [{"depth": 18}, {"depth": 34}]),
    ({"epochs": [10, 30]}, ["epochs=10", "epochs=30"], [{"epochs": 10}, {"epochs": 30}]),
    ({"model": ["resnet18", "mlp"]}, ["model=resnet18", "model=mlp"], [{"model": "resnet18"}, {"model": "mlp"}]),
    ([{"model": "mlp", "width": 2}, {"width": 1}], ["model=mlp,width=2", "width=1"],
     [{"model": "mlp", "width": 2.0}, {"width": 1.0}])])
def test_a_ladder_is_a_list_of_values_or_of_steps(spec, labels, fields) -> None:
    steps = ladder(spec)
    assert [step.label for step in steps] == labels
    assert [step.fields for step in steps] == fields
    assert ladder(ladder_spec(steps)) == steps


@pytest.mark.parametrize(("spec", "field", "says"), [
    ({"width": [1, 0]}, "width.1", "(0, 64]"),
    ({"width": [1, "x"]}, "width.1", "a number"),
    ({"depth": [1.5]}, "depth.0", "whole number"),
    ({"depth": [None]}, "depth.0", "must be given"),
    ({"epochs": [0.5]}, "epochs.0", "whole number"),
    ({"widht": [1]}, "widht.0", "did you mean width"),
    ({"alpha": [1]}, "alpha.0", "is no step of a ladder"),
    ({"width": 1}, "width", "must be a list"),
    ({"width": [1, 1.0]}, "", "is twice on the ladder"),
    ({"width": []}, "", "1 to 64 steps"),
    ({"width": [1 + step / 100 for step in range(65)]}, "", "1 to 64 steps"),
    ({"width": [1], "depth": [2]}, "", "must be {width"),
    ([], "", "1 to 64 steps"),
    ([3], "0", "must be a mapping"),
    ([{}], "0", "must be a mapping"),
    ([{"width": 0.5}, {"width": -1}], "1", "(0, 64]"),
    ("width", "", "must be {width"),
    (None, "", "must be {width")])
def test_a_ladder_that_cannot_be_is_refused_with_its_place(spec, field, says) -> None:
    with pytest.raises(ConfigError) as caught:
        ladder(spec)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert says in caught.value.problems[0].allowed


def test_everything_wrong_on_a_ladder_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        ladder({"width": [0, 1, "x", 65]})
    assert [problem.field for problem in caught.value.problems] == ["width.0", "width.2", "width.3"]


def test_equal_widths_have_one_label() -> None:
    assert Capacity.of({"width": 1}) == Capacity.of({"width": 1.0})
    assert isinstance(Capacity.of({"width": 1}).fields["width"], float)
