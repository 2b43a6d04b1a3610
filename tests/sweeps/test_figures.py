"""The figures of a study: complete, labelled, true to the results, and safe."""

import json
import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sweeps.figures import CATALOGUE, PLOT_CONFIG, figures
from trainable.moments import epsilon

FAKE = runpy.run_path(str(Path(__file__).with_name("fake_results.py")))
FULL, POOR = FAKE["full"](), FAKE["poor"]()
DRAWN = {name: json.loads(figure.to_json()) for name, figure in figures(FULL).items()}


def named(name: str, label: str) -> list[dict[str, Any]]:
    return [trace for trace in DRAWN[name]["data"] if label in (trace.get("name"), trace.get("legendgroup"))]


def test_a_full_study_has_every_figure_and_one_decomposition_a_capacity() -> None:
    names = [entry.name for entry in CATALOGUE if entry.name != "bias_variance"]
    assert set(DRAWN) == {*names, "bias_variance_1", "bias_variance_2", "bias_variance_3"}
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in DRAWN), "fit for a file"


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_each_figure_has_a_title_a_caption_with_n_and_named_axes(name: str) -> None:
    layout = DRAWN[name]["layout"]
    assert layout["title"]["text"]
    assert "n = " in layout["meta"]["caption"]
    if name != "search_space":  # its axes are named one by one
        assert layout["xaxis"]["title"]["text"]
        assert layout["yaxis"]["title"]["text"] or layout["yaxis"]["ticktext"]


@pytest.mark.parametrize(("name", "axis", "unit"), [
    ("risk", "yaxis", "(%)"), ("training_error", "yaxis", "(%)"), ("gap", "yaxis", "(points)"),
    ("bias_variance_1", "yaxis", "squared error"), ("capacity_slope", "yaxis", "(points per unit of ε)"),
    ("importance", "xaxis", "(%)"), ("timeline", "xaxis", "(minutes)"), ("history", "yaxis", "(%)")])
def test_axes_carry_their_unit(name: str, axis: str, unit: str) -> None:
    assert DRAWN[name]["layout"][axis]["title"]["text"].endswith(unit)


def test_curves_lie_on_epsilon_and_are_labelled_with_alpha() -> None:
    axis = DRAWN["risk"]["layout"]["xaxis"]
    assert axis["ticktext"] == ["0", "0.1", "0.3", "1", "3", "10", "32"]
    assert axis["tickvals"] == [epsilon(alpha) for alpha in FAKE["ALPHAS"]]
    line = next(trace for trace in named("risk", "width=1 (93.3 k)") if trace["mode"] == "lines+markers")
    assert line["x"] == axis["tickvals"]
    assert line["y"] == [100 * point.val_error.value for point in FULL.capacities[2].points]


def test_the_band_is_the_interval_of_every_point() -> None:
    band = next(trace for trace in named("risk", "width=1 (93.3 k)") if trace.get("fill") == "toself")
    points = FULL.capacities[2].points
    assert band["y"][:7] == [100 * point.val_error.low for point in points]
    assert band["y"][7:] == [100 * point.val_error.high for point in reversed(points)]


def test_the_star_stands_on_alpha_star_and_the_bar_spans_the_hull() -> None:
    traces = named("risk", "width=0.25 (6.22 k)")
    stars = [trace for trace in traces if trace.get("marker", {}).get("symbol") == "star"]
    assert [star["x"] for star in stars] == [[epsilon(1.0)]] * 2
    bar = next(trace for trace in traces if trace.get("line", {}).get("width") == 12)
    assert bar["x"] == [epsilon(0.18), epsilon(5.5)]


def test_the_decomposition_shades_the_hull_and_shares_one_scale() -> None:
    shape = DRAWN["bias_variance_1"]["layout"]["shapes"][0]
    assert (shape["x0"], shape["x1"]) == (epsilon(0.18), epsilon(5.5))
    assert len({tuple(DRAWN[f"bias_variance_{index}"]["layout"]["yaxis"]["range"]) for index in (1, 2, 3)}) == 1


def test_the_sum_is_bias_plus_variance() -> None:
    total = named("bias_variance_2", "sum")[0]
    assert total["y"] == [point.bias2.value + point.variance.value for point in FULL.capacities[1].points]


def test_a_study_of_losses_draws_losses() -> None:
    drawn = figures(POOR["loss"])
    assert drawn["risk"].layout.yaxis.title.text == "validation loss (nats)"
    assert drawn["bias_variance_1"].layout.yaxis.title.text == "nats"


def test_one_capacity_looks_the_same_in_every_figure() -> None:
    looks = {(trace["marker"]["symbol"], trace.get("line", {}).get("color") or trace["marker"].get("color"))
             for name in ("risk", "training_error", "gap", "history", "importance") for trace in DRAWN[name]["data"]
             if trace.get("name", "").startswith("width=0.5")}
    assert looks == {("square", "#d55e00")}


def test_history_marks_every_trial_once() -> None:
    finished = [trace for trace in DRAWN["history"]["data"] if trace.get("name")]
    rugs = [trace for trace in DRAWN["history"]["data"] if trace.get("yaxis") == "y2"]
    states = [trial.state for trial in FULL.search]
    assert sum(len(trace["x"]) for trace in finished) == states.count("FINISHED")
    assert sum(len(trace["x"]) for trace in rugs) == states.count("PRUNED") + states.count("FAILED")


def test_the_best_so_far_never_rises() -> None:
    lines = [trace["y"] for trace in DRAWN["history"]["data"] if trace["mode"] == "lines"]
    assert len(lines) == 3
    assert all(later <= earlier for line in lines for earlier, later in pairwise(line))


def test_every_attempt_is_a_bar_of_its_own_length() -> None:
    bars = DRAWN["timeline"]["data"]
    assert sum(len(trace["x"]) for trace in bars) == len(FULL.timeline)
    assert sum(sum(trace["x"]) for trace in bars) == pytest.approx(sum(bar.end - bar.start for bar in FULL.timeline) / 60)
    assert [trace["name"] for trace in bars] == ["search", "measure", "pruned", "failed", "lost"]


def test_importance_has_a_point_with_interval_per_capacity_and_axis() -> None:
    points = DRAWN["importance"]["data"]
    assert [len(trace["x"]) for trace in points] == [4, 4, 4]
    assert points[0]["error_x"]["array"] == pytest.approx([15.0, 6.0, 10.0, 12.0])


@pytest.mark.parametrize(("name", "missing"), [
    ("empty", {entry.name for entry in CATALOGUE}),
    ("search only", {"risk", "bias_variance", "training_error", "gap", "capacity_alpha", "capacity_slope"}),
    ("all failed", {entry.name for entry in CATALOGUE} - {"timeline"}),
    ("nan", {entry.name for entry in CATALOGUE} - {"timeline"}),
    ("one capacity", {"capacity_alpha", "capacity_slope"}),
    ("one alpha", {"capacity_slope"}),
    ("one trial", {"search_space"}),
])
def test_a_figure_without_enough_data_is_left_out(name: str, missing: set[str]) -> None:
    drawn = {re.sub(r"_\d+$", "", each) for each in figures(POOR[name])}
    assert drawn == {entry.name for entry in CATALOGUE} - missing


@pytest.mark.parametrize("name", sorted(POOR))
def test_no_number_that_is_not_one_is_drawn(name: str) -> None:
    for figure in figures(POOR[name]).values():
        json.dumps(figure.to_plotly_json(), allow_nan=False)


def test_text_of_the_study_is_never_markup() -> None:
    for name, figure in figures(POOR["hostile"]).items():
        drawn = json.loads(figure.to_json())
        drawn["layout"].pop("meta")  # plain text, escaped by whoever shows it
        assert not re.search(r"<(?!/?b>|br>)", json.dumps(drawn, ensure_ascii=False)), name


def test_no_button_sends_a_chart_away() -> None:
    assert PLOT_CONFIG["showSendToCloud"] is False
    assert PLOT_CONFIG["plotlyServerURL"] == ""
