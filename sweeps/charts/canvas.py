"""What all charts share: the plain shape of a chart, its axes, a curve with its band, a strip of rows per capacity.

A chart is plotly's JSON (traces and layout) as plain values, so that nothing here needs plotly. Text of the study is
escaped by `text`, since plotly reads some HTML in text. Owns no meaning: which numbers are drawn is the charts' affair.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeps import tables
from sweeps.analysis.results import AlphaPoint, CapacityResult, Estimate, StudyResults
from sweeps.quantities import Quantity
from sweeps.theme import MUTED, PERCENT, Mark, alpha_text, count_text, estimate, has_interval, known, plural
from trainable.moments import epsilon

GRID = "rgba(127,127,127,0.22)"
ALPHA_TITLE = "alpha (spaced by ε)"
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', sans-serif"
LEGEND = {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "font": {"size": 11}, "maxheight": 0.4,
          "bgcolor": "rgba(0,0,0,0)"}
LONGEST_TICK = 24
ROW, STRIP_GAP = 26, 24
"""Pixels of one row of a strip, and between a plot and its strip."""

Trace = dict[str, Any]


@dataclass
class Chart:
    """One picture: a title, a caption with n, plotly's traces, and what its layout has beyond the house style."""

    title: str
    caption: str
    layout: dict[str, Any]
    height: int = 360
    traces: list[Trace] = field(default_factory=list)

    def scatter(self, x: Sequence[Any], y: Sequence[Any], **more: Any) -> None:
        """Add points or a line. Without a `name` it stays out of the legend, without `hovertext` it does not answer."""
        hover = {"hoverinfo": "text" if "hovertext" in more else "skip", "showlegend": "name" in more}
        self.traces.append({"type": "scatter", "x": list(x), "y": list(y), **hover, **more})

    def full_layout(self) -> dict[str, Any]:
        """The whole layout: the house style under the chart's own."""
        style = {
            "height": self.height, "title": {"text": text(self.title), "x": 0, "xref": "paper", "font": {"size": 16}},
            "font": {"family": FONT, "size": 12, "color": "#333"}, "hovermode": "closest",
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 50, "r": 12, "t": 72, "b": 40},
            "legend": LEGEND,
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED}, "hoverlabel": {"align": "left"},
            "meta": {"title": self.title, "caption": self.caption}}
        return {**style, **self.layout}


def text(value: object) -> str:
    """Text of the study, made harmless for plotly's own reading of HTML."""
    return html.escape(str(value), quote=False)


def tick(value: object) -> str:
    """A name beside an axis: its middle is left out where it would take the room of the plot."""
    said = str(value)
    return text(said if len(said) <= LONGEST_TICK else f"{said[:LONGEST_TICK // 2]}…{said[1 - LONGEST_TICK // 2:]}")


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """One axis in the house style."""
    return {"title": {"text": title, "standoff": 8, "font": {"size": 12}}, "automargin": True, "zeroline": False,
            "gridcolor": GRID, "linecolor": MUTED, "ticks": "outside", "ticklen": 4, "tickcolor": MUTED, **more}


def value_axis(quantity: Quantity, **more: Any) -> dict[str, Any]:
    """The axis of a quantity. It never shows what cannot be: an interval may reach beyond 100 %, an error does not."""
    bounded = {"minallowed": 0, "maxallowed": 100} if quantity.unit == PERCENT else {}
    return axis(quantity.heading, **bounded, **more)


def label(found: CapacityResult) -> str:
    """A capacity with its parameter count, escaped."""
    size = f" ({count_text(found.num_parameters)})" if found.num_parameters is not None else ""
    return text(found.capacity + size)


def place(alpha: float | None) -> float | None:
    """Where alpha lies on its axis; None for no alpha."""
    return None if alpha is None or not alpha >= 0 else epsilon(alpha)


def alpha_axis(capacities: Iterable[CapacityResult], gap: float = 0.025) -> dict[str, Any]:
    """The axis of alpha, even in epsilon. A rung that would run into the label before it is left unlabelled."""
    rungs = sorted({point.alpha for found in capacities for point in found.points})
    ticks: list[tuple[float, str]] = []
    for alpha in rungs:
        crowded = bool(ticks) and epsilon(alpha) - ticks[-1][0] < gap
        ticks += [] if crowded else [(epsilon(alpha), alpha_text(alpha))]
    end = max((epsilon(alpha) for alpha in rungs), default=0.5)
    return axis(ALPHA_TITLE, tickvals=[each[0] for each in ticks], ticktext=[each[1] for each in ticks], tickangle=0,
                range=[-0.02, end + 0.02])


def counted(capacities: Sequence[CapacityResult]) -> str:
    """What n is: the splits and trials behind the points of a ladder."""
    points = [point for found in capacities for point in found.points]
    splits = sorted({point.num_splits for point in points})
    span = plural(splits[0], "training split") if len(splits) == 1 else f"{splits[0]} to {splits[-1]} training splits"
    missing = sum(point.missing for point in points)
    return (f"n = {span} per point, {plural(sum(point.num_trials for point in points), 'trial')} in all"
            + (f", {missing} missing." if missing else "."))


def banded(results: StudyResults, capacities: Sequence[CapacityResult] | None = None) -> str:
    """What the bands are and what n is, for these capacities (all of them if none are given)."""
    return f"Bands: {tables.level_text(results)} intervals. {counted(capacities or results.capacities)}"


def drawable(points: Sequence[AlphaPoint], quantity: Quantity) -> list[tuple[AlphaPoint, Estimate]]:
    """The rungs where this quantity is known."""
    return [(point, found) for point in points if (found := quantity.of(point)) is not None]


def curve(chart: Chart, points: Sequence[AlphaPoint], quantity: Quantity, look: Mark, name: str) -> None:
    """A line over epsilon with its band; hovering tells value, interval and n."""
    rows, scale = drawable(points, quantity), quantity.unit.scale
    bounded = [(point.epsilon, found.low * scale, found.high * scale) for point, found in rows
               if has_interval(found) and found.low is not None and found.high is not None]
    chart.scatter([each[0] for each in bounded + bounded[::-1]],
                  [each[1] for each in bounded] + [each[2] for each in reversed(bounded)], mode="lines", fill="toself",
                  fillcolor=look.fill(0.15), line={"width": 0}, legendgroup=name)
    chart.scatter(
        [point.epsilon for point, _ in rows], [found.value * scale for _, found in rows], mode="lines+markers",
        line={"color": look.colour, "dash": look.dash, "width": 2}, marker={"symbol": look.symbol, "size": 8},
        name=name, legendgroup=name,
        hovertext=[f"<b>{name}</b><br>alpha {alpha_text(point.alpha)}, ε {point.epsilon:.3f}<br>{quantity.name} "
                   f"{estimate(found, quantity.unit)} {quantity.unit.label}<br>n = {plural(point.num_splits, 'split')}"
                   for point, found in rows])


def star(chart: Chart, x: float | None, y: float, look: Mark, **more: Any) -> None:
    """The mark of alpha*."""
    chart.scatter([x], [y], mode="markers", **more,
                  marker={"symbol": "star", "size": 17, "color": look.colour, "line": {"color": "white", "width": 1.2}})


def strip(names: Sequence[str], main: int, yaxis: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Height of the whole and the y axes of a plot `main` pixels high over a strip with one row per capacity."""
    below = ROW * len(names) + 8
    whole = main + below + STRIP_GAP
    rows = axis(domain=[0, below / whole], range=[len(names) - 0.4, -0.6], tickvals=list(range(len(names))), ticks="",
                ticktext=[tick(name) for name in names], showgrid=False)
    return whole + 112, {"yaxis": {**yaxis, "domain": [(below + STRIP_GAP) / whole, 1]}, "yaxis2": rows}


def bounds(found: Estimate, scale: float) -> tuple[float, float]:
    """(below, above): the arms of an error bar, zero where there is no interval."""
    if found.low is None or found.high is None or not (known(found.low) and known(found.high)):
        return 0.0, 0.0
    return (found.value - found.low) * scale, (found.high - found.value) * scale
