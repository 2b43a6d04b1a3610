"""Components in words: every design says what it tells apart, and nothing is shown that is not known."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.analysis.results import ClassParts, Decomposition, Estimate, StudyResults
from sweeps.report import page
from sweeps.tracking.summary import describe
from sweeps.variance_tables import class_table, component_columns, components_note, components_table, identified

FULL = runpy.run_path(str(Path(__file__).with_name("fake_results.py")))["full"]
PARTS = Decomposition(
    bias=Estimate(0.05, 0.04, 0.06), variance=Estimate(0.09, 0.07, 0.11), data=Estimate(0.05, 0.03, 0.07),
    init=Estimate(0.03, 0.02, 0.04), mixing=Estimate(0.01, 0.005, 0.015), num_splits=4, num_seeds=8, num_models=12,
    by_class=(ClassParts(label=3, num_examples=40, bias=Estimate(0.1), variance=Estimate(0.2)),))


def with_parts(parts: Decomposition) -> StudyResults:
    results = FULL()
    return replace(results, capacities=tuple(replace(found, points=tuple(
        replace(point, decompositions=(parts, parts)) for point in found.points)) for found in results.capacities))


def test_a_row_for_each_capacity_loss_and_alpha() -> None:
    table = components_table(with_parts(PARTS))
    assert len(table.rows) == 3 * 2 * 7
    assert table.rows[0] == ("width=0.25", "squared error", "0", "0.050 [0.040, 0.060]", "0.090 [0.070, 0.110]",
                             "0.050 [0.030, 0.070]", "0.030 [0.020, 0.040]", "0.010 [0.005, 0.015]", "12 (4 splits, 8 seeds)")
    assert {row[1] for row in table.rows} == {"squared error", "KL"}


@pytest.mark.parametrize(("changes", "words"), [
    ({}, "told apart"), ({"mixing": None}, "V_init contains the noise of mixing"),
    ({"data": None, "init": None}, "initialisation not separated"),
    ({"data": None, "init": None, "mixing": None}, "variance over splits, initialisation and mixing not separated"),
    ({"data": None, "variance": None}, "all models share one split"),
])
def test_the_note_says_what_the_design_cannot_tell_apart(changes: dict[str, None], words: str) -> None:
    parts = replace(PARTS, **changes)
    assert words in identified(parts)
    results = with_parts(parts)
    assert words in components_note(results)
    shown = dict(zip(components_table(results).columns[5:8], components_table(results).rows[0][5:8], strict=True))
    assert {name for name, cell in shown.items() if cell == "-"} == {f"V_{name}" for name in changes if name != "variance"}


def test_the_page_and_mlflow_show_them_and_stay_as_they_were_without() -> None:
    results = with_parts(PARTS)
    shown, plain = page(results), page(FULL())
    for words in ("Where the variance comes from", "V_mixing", "By true class, width=0.25"):
        assert words in shown
        assert words not in plain
    assert describe(FULL()).components == {}
    columns = describe(results).components
    assert columns == component_columns(results)
    assert {len(values) for values in columns.values()} == {42}
    assert (columns["v_mixing"][0], columns["variance_high"][0], columns["num_seeds"][0]) == (0.01, 0.11, 8)


def test_classes_have_a_row_for_each_alpha() -> None:
    table = class_table(with_parts(PARTS).capacities[0])
    assert table.rows[0] == ("0", "3", "40", "0.100", "0.200", "0.100", "0.200")
    assert len(table.rows) == 7
    assert class_table(FULL().capacities[0]).rows == ()
