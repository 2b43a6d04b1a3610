"""Spaces: order, conditions, grids, narrowing."""

import pytest

from search_spaces import DEFAULT_SPACE, Fixed, Integer, Real, SearchSpace, When
from trainable.errors import ConfigError

SETTING = {"alpha": 1.0, "weight_decay": 1e-4, "dropout": 0.1, "epochs": 20}
CONDITIONAL = DEFAULT_SPACE.narrow({
    "optimizer": {"choices": ["sgd", "adamw"]},
    "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
    "lam_per": {"choices": ["batch", "sample"], "when": {"alpha": {"above": 0}}}})


def refused(changes) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        DEFAULT_SPACE.narrow(changes)
    return {problem.field: problem.allowed for problem in caught.value.problems}


def test_the_default_space_has_the_four_axes_of_a_mixup_study() -> None:
    assert DEFAULT_SPACE.names == ("alpha", "weight_decay", "dropout", "epochs")
    assert DEFAULT_SPACE.contains(SETTING)


@pytest.mark.parametrize(("change", "field"), [
    ({"alpha": 33.0}, "alpha"), ({"alpha": -1.0}, "alpha"), ({"epochs": 9}, "epochs"), ({"epochs": 41}, "epochs"),
    ({"epochs": 20.5}, "epochs"), ({"lr": 0.1}, "lr"), ({"drop": 0.1}, "drop")])
def test_a_setting_outside_is_not_contained_and_the_axis_is_named(change, field) -> None:
    assert [problem.field for problem in DEFAULT_SPACE.problems({**SETTING, **change})] == [field]


def test_a_setting_must_have_every_axis() -> None:
    missing = [problem.field for problem in DEFAULT_SPACE.problems({"alpha": 1.0})]
    assert missing == ["weight_decay", "dropout", "epochs"]


def test_narrowing_keeps_what_it_does_not_say() -> None:
    narrow = DEFAULT_SPACE.narrow({"alpha": {"high": 2}})
    assert (narrow["alpha"].low, narrow["alpha"].high, narrow["alpha"].scale) == (0.0, 2.0, "epsilon")
    assert narrow.names == DEFAULT_SPACE.names
    assert narrow["epochs"] is DEFAULT_SPACE["epochs"]
    assert DEFAULT_SPACE["alpha"].high == 32


def test_narrowing_an_axis_keeps_its_condition() -> None:
    assert CONDITIONAL.narrow({"momentum": {"high": 0.95}})["momentum"].when == CONDITIONAL["momentum"].when


def test_a_fixed_axis_is_not_searched() -> None:
    fixed = DEFAULT_SPACE.fix(dropout=0, epochs=30)
    assert fixed.fixed == {"dropout": 0.0, "epochs": 30}
    assert [axis.name for axis in fixed.varying] == ["alpha", "weight_decay"]
    assert fixed.contains({"alpha": 1.0, "weight_decay": 1e-4})
    assert not fixed.contains(SETTING)


def test_the_order_does_not_depend_on_the_order_of_writing() -> None:
    changes = {"schedule": {"choices": ["cosine", "step"]}, "lr": {"low": 0.01, "high": 1, "scale": "log"}}
    backwards = dict(reversed(changes.items()))
    assert DEFAULT_SPACE.narrow(changes) == DEFAULT_SPACE.narrow(backwards)
    assert DEFAULT_SPACE.narrow(changes).names == ("alpha", "weight_decay", "dropout", "epochs", "lr", "schedule")


def test_an_axis_stands_after_the_axes_its_conditions_name() -> None:
    space = DEFAULT_SPACE.narrow({"dropout": {"when": {"optimizer": "sgd"}}, "optimizer": {"choices": ["sgd", "adamw"]},
                                  "alpha": {"when": {"dropout": {"above": 0.1}}}})
    names = space.names
    assert names.index("optimizer") < names.index("dropout") < names.index("alpha")


@pytest.mark.parametrize(("values", "expected"), [
    ({"alpha": 1.0, "optimizer": "sgd"}, {"momentum", "lam_per"}),
    ({"alpha": 1.0, "optimizer": "adamw"}, {"lam_per"}),
    ({"alpha": 0.0, "optimizer": "sgd"}, {"momentum"}),
    ({"alpha": 0.0, "optimizer": "adamw"}, set()),
    ({}, set())])
def test_a_conditional_axis_exists_only_where_its_condition_holds(values, expected) -> None:
    assert {axis.name for axis in CONDITIONAL.active(values)} & {"momentum", "lam_per"} == expected


def test_a_setting_with_an_axis_that_does_not_exist_there_is_not_contained() -> None:
    adamw = {**SETTING, "optimizer": "adamw", "lam_per": "batch"}
    assert CONDITIONAL.contains(adamw)
    assert [problem.field for problem in CONDITIONAL.problems({**adamw, "momentum": 0.9})] == ["momentum"]
    assert CONDITIONAL.only_active({**adamw, "momentum": 0.9}) == adamw


def test_conditions_chain() -> None:
    space = DEFAULT_SPACE.narrow({"optimizer": {"choices": ["sgd", "adamw"]},
                                  "dropout": {"when": {"optimizer": "sgd"}},
                                  "label_smoothing": {"low": 0, "high": 0.2, "when": {"dropout": {"above": 0}}}})
    assert space.is_active("label_smoothing", {"optimizer": "sgd", "dropout": 0.1})
    assert not space.is_active("label_smoothing", {"optimizer": "sgd", "dropout": 0.0})
    assert not space.is_active("label_smoothing", {"optimizer": "adamw", "dropout": 0.1})


def test_a_condition_on_a_fixed_axis_always_holds() -> None:
    momentum = {"low": 0, "high": 0.9, "when": {"optimizer": "sgd"}}
    space = DEFAULT_SPACE.narrow({"optimizer": "sgd", "momentum": momentum})
    assert space.is_active("momentum", {})


@pytest.mark.parametrize(("when", "says"), [
    ({"optimiser": "sgd"}, "names no axis of the space"),
    ({"dropout": 0.1}, "goes round in a circle"),
    ({"epochs": 50}, "never holds: epochs is 10 to 40"),
    ({"epochs": {"above": 40}}, "never holds"),
    ({"epochs": []}, "never holds"),
    ({"epochs": {"below": 3}}, "must be a value, a list of values, or {above: number}"),
    ({"epochs": {"above": "x"}}, "must be a value")])
def test_a_condition_that_cannot_be_is_refused(when, says) -> None:
    problems = refused({"dropout": {"when": when}})
    assert says in problems[f"dropout.when.{next(iter(when))}"]


def test_two_axes_may_not_wait_for_each_other() -> None:
    problems = refused({"dropout": {"when": {"alpha": {"above": 0}}}, "alpha": {"when": {"dropout": {"above": 0}}}})
    assert set(problems) == {"dropout.when.alpha", "alpha.when.dropout"}


@pytest.mark.parametrize(("changes", "field", "says"), [
    ({"alpah": 1}, "alpah", "did you mean alpha"),
    ({"data": "digits"}, "data", "is no axis"),
    ({"lr": {"scale": "log"}}, "lr.low", "must be given"),
    ({"alpha": {"hihg": 2}}, "alpha.hihg", "did you mean high"),
    ({"alpha": {"choices": [0, 1], "low": 0}}, "alpha.low", "is no key"),
    ({"alpha": {"choices": 3}}, "alpha.choices", "must be a list"),
    ({"alpha": [0, 1]}, "alpha", "{choices: [..]}"),
    ({"schedule": {"low": 0, "high": 1}}, "schedule", "one of cosine, step, constant"),
    ({"alpha": {"when": "x"}}, "alpha.when", "must be a mapping"),
    ({"alpha": None}, "alpha", "must not be empty")])
def test_a_change_that_cannot_be_is_refused(changes, field, says) -> None:
    assert says in refused(changes)[field]


def test_everything_wrong_in_all_axes_is_said_at_once() -> None:
    problems = refused({"alpha": {"low": -1}, "dropout": 2, "epochs": {"low": 50}})
    assert set(problems) == {"alpha.low", "dropout", "epochs.low"}


def test_the_grid_is_the_product_of_the_axes_and_is_counted_without_being_made() -> None:
    space = DEFAULT_SPACE.fix(dropout=0.0).narrow({"alpha": {"choices": [0, 1]}, "weight_decay": {"points": 5}})
    grid = space.grid()
    assert len(grid) == space.grid_size() == 2 * 5 * 3
    assert all(space.contains(setting) for setting in grid)
    assert len({tuple(setting.items()) for setting in grid}) == len(grid)
    assert DEFAULT_SPACE.grid_size(1000) == 1000**3 * 31  # epochs has 31 whole numbers


def test_the_grid_holds_a_setting_once_where_an_axis_does_not_exist() -> None:
    space = DEFAULT_SPACE.fix(weight_decay=1e-4, epochs=10).narrow(
        {"alpha": {"choices": [0, 1]}, "dropout": {"points": 4, "when": {"alpha": {"above": 0}}}})
    assert len(space.grid()) == 1 + 4
    assert space.grid_size() == 8


def test_a_space_goes_through_its_written_form_unchanged() -> None:
    assert DEFAULT_SPACE.narrow(CONDITIONAL.to_spec()) == CONDITIONAL


def test_an_axis_may_not_be_there_twice() -> None:
    with pytest.raises(ConfigError, match="is there twice"):
        SearchSpace((Fixed(name="alpha", value=1), Real(name="alpha", low=0, high=1)))


def test_the_description_has_a_row_an_axis_with_its_condition() -> None:
    rows = {row["axis"]: row for row in CONDITIONAL.describe()}
    assert rows["momentum"]["when"] == "optimizer is sgd"
    assert rows["lam_per"]["when"] == "alpha is above 0"
    assert rows["alpha"] == {"axis": "alpha", "kind": "real", "range": "0 to 32", "scale": "epsilon", "when": "",
                             "help": "lambda ~ Beta(alpha, alpha); 0 is plain training (ERM)"}


def test_an_unknown_axis_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        DEFAULT_SPACE["lr"]


@pytest.mark.parametrize(("condition", "value", "holds"), [
    (When(axis="alpha", above=0), 0, False), (When(axis="alpha", above=0), 0.1, True),
    (When(axis="alpha", above=0), "x", False), (When(axis="alpha", values=(0, 1)), 1.0, True),
    (When(axis="alpha", values=(0, 1)), 2, False)])
def test_a_condition_holds_for_its_values(condition, value, holds) -> None:
    assert condition.holds(value) is holds


def test_a_sampler_that_decides_axes_in_order_always_ends_inside() -> None:
    for unit in (0.0, 0.3, 0.7, 1.0):
        values: dict = {}
        for axis in CONDITIONAL.varying:
            if CONDITIONAL.is_active(axis.name, values):
                values[axis.name] = axis.from_unit(unit)
        assert CONDITIONAL.contains(values)


def test_integer_ends_are_searched() -> None:
    assert Integer(name="epochs", low=10, high=40).internal == (10, 40)
