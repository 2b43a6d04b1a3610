"""The picture of the pruning audit: a line a third of alpha, and none without data."""

from dataclasses import replace

from sweeps.charts import pruning
from sweeps.figures import figures
from tests.sweeps.fake_pruning import audit
from tests.sweeps.fake_results import full

FOUND = replace(full(), pruning=audit())


def test_there_is_a_line_a_third_of_alpha_with_its_rungs_and_n() -> None:
    chart, = pruning.rank_correlation(FOUND)
    assert [trace["name"] for trace in chart.traces] == [each.name for each in FOUND.pruning.terciles]
    assert [shape["x0"] for shape in chart.layout["shapes"]] == [40, 80]
    fewest = min(found.n for each in FOUND.pruning.terciles for found in each.correlations.values())
    assert f"n = {fewest} trials a point at least" in chart.caption
    assert all(-1 <= value <= 1 for trace in chart.traces for value in trace["y"])
    assert len(chart.traces[0]["y"]) == 9


def test_there_is_none_without_an_audit_or_without_enough_of_it() -> None:
    assert pruning.rank_correlation(full()) == []
    assert pruning.rank_correlation(replace(full(), pruning=audit(6, ("w",)))) == []


def test_it_stands_among_the_figures_only_where_there_is_one() -> None:
    assert "rank_correlation" in figures(FOUND)
    assert "rank_correlation" not in figures(full())
