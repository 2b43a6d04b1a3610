"""The pictures of the diagnostics: plain training beside alpha*, with n, and nothing where nothing was found."""

from dataclasses import replace

import pytest

from sweeps.charts import diagnostics
from sweeps.charts.canvas import Chart
from sweeps.figures import DIAGNOSED, figures
from tests.sweeps.fake_findings import findings
from tests.sweeps.fake_results import EVIL, full

FOUND = replace(full(), findings=findings())
NAMES = [entry.name for entry in DIAGNOSED]


def names_of(chart: Chart) -> list[str]:
    return [trace["name"] for trace in chart.traces if trace.get("name")]


@pytest.mark.parametrize("entry", DIAGNOSED, ids=NAMES)
def test_there_is_one_picture_a_capacity_with_n_and_named_axes(entry) -> None:
    charts = entry.draw(FOUND)
    assert [chart.title.rpartition(", ")[2] for chart in charts] == ["width=0.25", "width=0.5", "width=1"]
    for chart in charts:
        assert "n = 4 splits an arm, 8 trials." in chart.caption
        assert chart.layout["xaxis"]["title"]["text"]
        assert chart.layout["yaxis"]["title"]["text"]


@pytest.mark.parametrize("entry", DIAGNOSED, ids=NAMES)
def test_there_is_none_without_findings(entry) -> None:
    assert entry.draw(full()) == []
    assert entry.draw(replace(FOUND, findings=findings(capacities=()))) == []


def test_plain_training_stands_beside_alpha_star_of_the_same_capacity() -> None:
    first, _, last = diagnostics.reliability(FOUND)
    assert names_of(first) == ["ERM", "alpha* = 1"]
    assert names_of(last) == ["ERM", "alpha* = 32"]


def test_where_plain_training_is_the_best_mixup_stands_beside_it_at_its_best_rung() -> None:
    spot = replace(FOUND.capacities[0].sweet_error, alpha=0.0)
    best = replace(FOUND, capacities=(replace(FOUND.capacities[0], sweet_error=spot), *FOUND.capacities[1:]))
    assert names_of(diagnostics.reliability(best)[0]) == ["ERM", "alpha = 1, the best above 0"]
    alone = replace(best, capacities=(replace(best.capacities[0], points=best.capacities[0].points[:1]),))
    assert names_of(diagnostics.reliability(alone)[0]) == ["ERM"]


def test_memorisation_is_drawn_by_epoch_without_bars() -> None:
    chart = diagnostics.memorisation(FOUND)[0]
    assert names_of(chart) == ["ERM, test", "alpha* = 1, test"]
    assert (chart.traces[0]["x"], chart.traces[0]["y"]) == ([1, 2, 3], pytest.approx([50, 30, 40]))
    assert "Error bars" not in chart.caption


def test_reliability_leaves_empty_bins_out_and_draws_full_ones_larger() -> None:
    trace = diagnostics.reliability(FOUND)[0].traces[0]
    assert (trace["x"], trace["y"]) == ([50, 95], [40, 90])
    assert trace["marker"]["size"][0] < trace["marker"]["size"][1]


@pytest.mark.parametrize(("name", "count"), [
    ("reliability", "400 predictions an arm"), ("attacks", "400 test images a trial"),
    ("miss_rate", "a trial 120 of two classes and 90 of one class"), ("gradient_norm", "a trial 120 of two classes")])
def test_the_words_beside_a_picture_say_on_how_many_examples(name: str, count: str) -> None:
    entry = next(entry for entry in DIAGNOSED if entry.name == name)
    assert all(count in chart.caption for chart in entry.draw(FOUND))


def test_attacks_are_drawn_in_percent_with_their_standard_error() -> None:
    chart = diagnostics.attacks(FOUND)[0]
    assert names_of(chart) == [f"{arm}, {attack}" for arm in ("ERM", "alpha* = 1") for attack in ("FGSM", "I-FGSM", "PGD")]
    trace = chart.traces[0]
    assert trace["x"] == [0, 4, 16]
    assert trace["y"] == pytest.approx([10, 50, 90])
    error = findings().capacities[0].arms[0].lines["robustness/error/fgsm"][0].error
    assert trace["error_y"]["array"][0] == pytest.approx(100 * error)


def test_lines_of_another_length_than_their_places_are_left_out() -> None:
    known = findings()
    arms = tuple(replace(arm, lines={**arm.lines, "robustness/error/pgd": arm.lines["robustness/error/pgd"][:2]})
                 for arm in known.capacities[0].arms)
    cut = replace(known, capacities=(replace(known.capacities[0], arms=arms),))
    assert "ERM, PGD" not in names_of(diagnostics.attacks(replace(FOUND, findings=cut))[0])


def test_all_of_them_are_figures_by_a_name_fit_for_a_file() -> None:
    drawn = set(figures(FOUND)) - set(figures(full()))
    assert drawn == {f"{name}_{index}" for name in NAMES for index in (1, 2, 3)}


def test_text_of_the_study_is_escaped() -> None:
    known = replace(FOUND.capacities[0], capacity=EVIL)
    hostile = replace(FOUND, capacities=(known,), findings=findings(capacities=(EVIL,)))
    for entry in DIAGNOSED:
        for chart in entry.draw(hostile):
            assert "<script" not in str(chart.full_layout()["title"])
