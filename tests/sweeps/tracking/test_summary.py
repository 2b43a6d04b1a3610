"""What the parent run says once a study has an answer."""

import json
import math
from dataclasses import replace

import pytest

from sweeps.tracking.content import legal_key
from sweeps.tracking.summary import Summary, capacity_keys, describe
from tests.sweeps.fake_pruning import audit
from tests.sweeps.fake_results import full, poor


def test_each_capacity_has_its_sweet_spot_as_metrics() -> None:
    found = describe(full()).metrics
    assert (found["sweet_spot/width_0.25/low"], found["sweet_spot/width_0.25/high"]) == (0.18, 5.5)
    assert len(found) == 9
    assert all(legal_key(key) == key for key in found)


def test_the_table_has_a_row_a_capacity_with_numbers_in_it() -> None:
    results = full()
    table, spot = describe(results).table, results.capacities[0].sweet_error
    assert table["capacity"] == ["width=0.25", "width=0.5", "width=1"]
    assert table["alpha"][0] == spot.alpha
    assert table["erm_val_error"][0] == results.capacities[0].points[0].val_error.value
    assert {len(column) for column in table.values()} == {3}


@pytest.mark.parametrize("name", poor())
def test_a_poor_answer_gives_only_finite_numbers(name: str) -> None:
    found = describe(poor()[name])
    assert all(math.isfinite(value) for value in found.metrics.values())
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_description_holds_the_answer_and_fits_a_tag() -> None:
    text = describe(full()).description
    assert "| width=0.25 |" in text
    assert "A sweet spot inside the ladder" in text
    assert "122 finished" in text
    long = replace(full(), notes=tuple(f"note {number} " + "x" * 90 for number in range(200)))
    assert len(describe(long).description) <= 5000


def test_a_credential_in_a_note_stays_out_of_the_description() -> None:
    assert "hunter22" not in describe(replace(full(), notes=("lost s3://me:hunter22@host/x",))).description


def test_labels_that_mlflow_cannot_tell_apart_get_a_number() -> None:
    results = full()
    twins = tuple(replace(results.capacities[0], capacity=label) for label in ("w=1", "w_1", "w:1"))
    assert capacity_keys(replace(results, capacities=twins)) == ["w_1", "w_1_2", "w_1_3"]


def test_the_audit_of_pruning_is_a_table_with_a_row_a_group_and_percentage() -> None:
    assert describe(full()).pruning == {}
    table = describe(replace(full(), pruning=audit())).pruning
    assert {len(column) for column in table.values()} == {6 * 9}
    assert table["group"][0] == "width=0.25"
    percents = zip(table["percent_of_epochs"], table["is_rung"], strict=True)
    assert [percent for percent, is_rung in percents if is_rung] == [40, 80] * 6
    assert set(table["num_stopped"]) >= {10, 20}
    json.dumps(describe(replace(full(), pruning=audit(3, ("w",)))).to_dict(), allow_nan=False)


def test_a_summary_survives_json() -> None:
    found = describe(full(), [("/tmp/report.html", None), ("/tmp/risk.html", "figures")], "INTERRUPTED")
    assert Summary.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_arms_are_a_table_of_their_own_with_a_row_a_capacity_and_arm() -> None:
    assert describe(full()).arms == {}
    results = poor()["arms"]
    table = describe(results).arms
    assert {len(column) for column in table.values()} == {30}
    assert table["arm"][7:10] == ["mixup + dropout 0.7", "lacking", "twin"]
    assert (table["in_best_set"][7:10], table["missing"][7:10]) == ([True, None, True], [0, 1, 0])
    assert table["difference_low"][7] == results.capacities[0].arms[7].difference.low
    assert (table["difference"][0], table["same_as"][9]) == (None, "mixup + dropout 0.7")
    assert "| mixup + dropout 0.7 |" in describe(results).description
    assert Summary.from_dict(json.loads(json.dumps(describe(results).to_dict()))) == describe(results)
