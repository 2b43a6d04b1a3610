"""The fitted curve on the chart of risk."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.analysis.results import Curve, Refined, StudyResults
from sweeps.charts.fitted import fitted_caption
from sweeps.figures import figures
from trainable.moments import epsilon

FULL = runpy.run_path(str(Path(__file__).parents[1] / "fake_results.py"))["full"]()
CURVE = Curve(epsilons=(0.0, 0.25, 0.45), values=(0.1, 0.05, 0.07), lows=(0.08, 0.04, 0.05), highs=(0.12, 0.06, 0.09))
REFINED = Refined(alpha=1.7, low=1.1, high=2.6, method="quadratic, Fieller interval", curve=CURVE)


def with_spots(**fields: object) -> StudyResults:
    """The study whose first capacity is refined, and whose others are changed by `fields`."""
    first, *others = FULL.capacities
    first = replace(first, sweet_error=replace(first.sweet_error, refined=REFINED))
    return replace(FULL, capacities=(first, *(replace(each, sweet_error=replace(each.sweet_error, **fields)) for each in others)))


def test_the_curve_is_drawn_with_its_band_and_its_alpha_with_the_interval() -> None:
    traces = json.loads(figures(with_spots())["risk"].to_json())["data"]
    mine = [trace for trace in traces if trace.get("legendgroup", "").startswith("width=0.25")]
    lines = [trace for trace in mine if trace["x"] == list(CURVE.epsilons)]
    assert [trace["y"] for trace in lines] == [pytest.approx([100 * value for value in values])
                                               for values in (CURVE.lows, CURVE.highs, CURVE.values)]
    assert [trace["line"]["dash"] for trace in lines] == ["solid", "solid", "longdashdot"]
    frame = next(trace for trace in mine if trace.get("yaxis") == "y2" and len(trace["x"]) == 5)
    assert (min(frame["x"]), max(frame["x"])) == (epsilon(1.1), epsilon(2.6))
    diamond = next(trace for trace in mine if trace.get("marker", {}).get("symbol") == "diamond-open")
    assert (diamond["x"], diamond["y"]) == ([epsilon(1.7)], [0])


def test_only_capacities_with_a_curve_have_one() -> None:
    bare, curved = (json.loads(figures(results)["risk"].to_json())["data"] for results in (FULL, with_spots()))
    assert len(curved) == len(bare) + 5
    assert not any(trace.get("marker", {}).get("symbol") == "diamond-open" for trace in bare)


def test_the_caption_tells_the_curve_and_each_reason_against_one_once() -> None:
    caption = figures(with_spots(why_not_refined="no curve fits"))["risk"].layout.meta["caption"]
    assert "its pointwise 95 % band" in caption
    assert "width=0.25: between the rungs: alpha* = 1.7 [1.1, 2.6] (quadratic, Fieller interval)." in caption
    assert "No curve is drawn for width=0.5, width=1: no curve fits." in caption
    assert caption.count("no curve fits") == 1


def test_without_any_curve_the_caption_explains_none() -> None:
    first, *others = FULL.capacities
    alone = replace(FULL, capacities=(replace(first, sweet_error=replace(first.sweet_error, why_not_refined="too few")), *others))
    assert fitted_caption(alone) == f"No curve is drawn for {first.capacity}: too few."
    assert fitted_caption(FULL) == ""
