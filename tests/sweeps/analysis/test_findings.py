"""What diagnostics found, averaged: splits are the unit, and what is missing is counted."""

import math
import runpy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.analysis.findings import StudyFindings, find, is_line, pooled, spread, spreads
from sweeps.records import SEARCH

RECORDS = runpy.run_path(str(Path(__file__).with_name("trial_records.py")))
trial, Measure = RECORDS["trial"], RECORDS["Measure"]


@dataclass
class Study:
    measure: Any
    diagnostics: tuple[str, ...] = ("calibration", "robustness")

    def arm_config(self, capacity: str, chosen: Any, name: str) -> Any:
        return type("Config", (), {"arm_key": lambda self: f"key of {name}"})()


STUDY = Study(Measure(alphas=(0.0, 1.0), splits=2))


def rung(number: int, alpha: float, split: int, value: float, **fields: Any) -> Any:
    known = {"arm_key": f"rung {alpha}", "metrics": {"test/error": 0.1, "calibration/nll": value}, "split": split,
             "config": {"alpha": alpha, "split_kind": "disjoint"}, "setting": {"alpha": alpha}, "capacity": "width=1"}
    return trial(number, **{**known, **fields})


def found_of(*trials: Any, study: Any = STUDY, curves: Any = None, whole: Any = None) -> StudyFindings | None:
    return find(["width=1"], study, trials, curves or {}, whole or {})


def test_seeds_of_one_split_are_averaged_before_splits_are_counted() -> None:
    found = found_of(rung(1, 1.0, 1, 0.2), rung(2, 1.0, 1, 0.4, repeat=1), rung(3, 1.0, 2, 0.7))
    assert found is not None
    (arm,) = found.capacities[0].arms
    value = arm.values["calibration/nll"]
    assert (value.mean, value.n) == (pytest.approx(0.5), 2)
    assert value.error == pytest.approx(abs(0.7 - 0.3) / 2)  # s / sqrt 2 of two numbers is half their distance
    assert (arm.label, arm.num_trials, list(arm.values)) == ("alpha 1", 3, ["calibration/nll"])


@pytest.mark.parametrize(("values", "overlap", "expected"), [
    ([1.0], 0.0, None), ([1.0, 3.0], 0.0, 1.0), ([1.0, 3.0], 0.5, math.sqrt(2)), ([2.0, 2.0], 0.0, 0.0)])
def test_the_standard_error_is_that_of_splits_and_wider_where_they_overlap(values: list[float], overlap: float,
                                                                          expected: float | None) -> None:
    found = spread(values, overlap)
    assert found.mean == sum(values) / len(values)
    assert found.error == (expected if expected is None else pytest.approx(expected))


def test_lines_are_averaged_point_by_point() -> None:
    first, second = spreads({1: [[0.0, 1.0], [0.0, 3.0]], 2: [[2.0, 4.0]]}, 0.0)
    assert (first.mean, first.error, first.n) == (1.0, pytest.approx(1.0), 2)
    assert (second.mean, second.error) == (3.0, pytest.approx(1.0))
    assert spreads({1: [[0.0, 1.0]], 2: [[2.0]]}, 0.0) == [], "lines of other points are not the same curve"


@pytest.mark.parametrize(("value", "is_one"), [([1, 0.5], True), ([], False), ([None], False), ([math.nan], False),
                                               (["nan"], False), (3.0, False), ([[1.0]], False)])
def test_a_line_is_a_list_of_finite_numbers(value: Any, is_one: bool) -> None:
    assert is_line(value) == is_one


def test_bins_are_pooled_by_their_counts_and_stay_empty_where_all_are() -> None:
    first = {"count": [1, 0, 2], "accuracy": [1.0, None, 0.5]}
    second = {"count": [3, 0, 0], "accuracy": [0.0, None, None]}
    assert pooled([first, second]) == {"count": [4, 0, 2], "accuracy": [0.25, None, 0.5]}


def test_curves_are_taken_apart_into_lines_bins_and_facts() -> None:
    curves = {1: {"robustness/error": {"epsilon_255": [0, 4], "pgd": [0.1, 0.5], "num_examples": 90},
                  "calibration/reliability_width": {"count": [4], "accuracy": [0.5]}, "memorisation/test_error": [0.3, 0.2],
                  "memorisation/corrupt_error": [None, 0.2]}}
    found = found_of(rung(1, 0.0, 1, 0.2), curves=curves)
    assert found is not None
    (arm,) = found.capacities[0].arms
    assert [point.mean for point in arm.lines["robustness/error/pgd"]] == [0.1, 0.5]
    assert [point.mean for point in arm.lines["memorisation/test_error"]] == [0.3, 0.2]
    assert arm.bins["calibration/reliability_width"]["count"] == [4]
    assert arm.facts["robustness/error/num_examples"] == 90
    assert arm.label == "alpha 0 (ERM)"
    assert found.names == ("calibration", "robustness", "memorisation")


def test_named_arms_follow_the_rungs() -> None:
    study = Study(Measure(alphas=(0.0, 1.0), splits=2, arms={"cutmix": {"method": "cutmix"}}))
    arm = rung(3, 1.0, 1, 0.3, origin="arm: cutmix", arm_key="key of cutmix",
               config={"alpha": 1.0, "method": "cutmix", "split_kind": "disjoint"})
    found = found_of(rung(1, 0.0, 1, 0.2, origin="ladder"), rung(2, 1.0, 1, 0.2, origin="ladder"), arm, study=study)
    assert found is not None
    assert [(each.label, each.alpha) for each in found.capacities[0].arms] == [
        ("alpha 0 (ERM)", 0.0), ("alpha 1", 1.0), ("cutmix", None)]
    assert found.capacities[0].arm(1.0).label == "alpha 1"


def test_trials_that_ended_without_a_diagnostic_are_counted() -> None:
    before = rung(1, 0.0, 1, 0.2, metrics={"test/error": 0.1})
    found = found_of(before, rung(2, 0.0, 2, 0.2), replace(before, id=3, stage=SEARCH, origin="sampler"))
    assert found is not None
    assert (found.lacking, found.num_trials) == ({"calibration": 1, "robustness": 2}, 2)
    assert found.capacities[0].arms[0].values["calibration/nll"].n == 1


def test_failed_trials_and_numbers_that_are_none_count_for_nothing() -> None:
    found = found_of(rung(1, 0.0, 1, math.nan), rung(2, 0.0, 2, 0.2), rung(3, 1.0, 1, 0.2, state="FAILED"))
    assert found is not None
    assert [(arm.label, arm.values["calibration/nll"].n) for arm in found.capacities[0].arms] == [("alpha 0 (ERM)", 1)]


def test_there_is_nothing_where_nothing_was_found_or_asked_for() -> None:
    plain = Study(STUDY.measure, diagnostics=())
    bare = rung(1, 0.0, 1, 0.2, metrics={"test/error": 0.1})
    assert found_of(bare, study=plain) is None
    assert found_of() is None
    assert found_of(rung(1, 0.0, 1, 0.2), study=plain) is not None, "a study that no longer asks still shows what it has"
    assert found_of(bare, study=plain, whole={"transfer": {"models": []}}) is not None
