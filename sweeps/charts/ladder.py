"""Charts of the measure stage: risk, bias and variance over alpha, and what capacity does to them.

Each function takes the results of a study and returns its charts, none when there is not enough data.
"""

from collections.abc import Callable, Sequence

from sweeps import quantities, tables
from sweeps.analysis.results import AlphaPoint, CapacityResult, StudyResults, SweetSpot
from sweeps.charts.canvas import (
    Chart,
    alpha_axis,
    axis,
    banded,
    bounds,
    counted,
    curve,
    drawable,
    label,
    place,
    star,
    strip,
    text,
    tick,
    value_axis,
)
from sweeps.charts.fitted import draw_fitted, fitted_caption
from sweeps.quantities import Quantity, decomposition
from sweeps.theme import COLOURS, MUTED, Mark, Unit, alpha_interval, alpha_text, count_text, estimate, known, mark

BIAS_LOOK, VARIANCE_LOOK = Mark(COLOURS[3], "square", "dash"), Mark(COLOURS[5], "triangle-up", "dot")
SLOPE = Unit("points per unit of ε", 100.0, 1, 2)
HULL_TEXT = "Bars: hull of the confidence set of the best rung; dots: the rungs in it."


def risk(results: StudyResults) -> list[Chart]:
    """The objective over alpha, one curve per capacity; under it the hull of each confidence set."""
    quantity = quantities.risk(results.objective)
    if not any(drawable(found.points, quantity) for found in results.capacities):
        return []
    height, axes = strip([found.capacity for found in results.capacities], 300, value_axis(quantity))
    fitted = fitted_caption(results)
    caption = (f"Star: alpha*, the best rung. {HULL_TEXT} The axis is even in ε = 1 − E max(λ, 1−λ), "
               f"λ ~ Beta(alpha, alpha). {f'{fitted} ' if fitted else ''}{banded(results)}")
    chart = Chart(f"{quantity.name.capitalize()} against alpha", caption,
                  {**axes, "xaxis": {**alpha_axis(results.capacities), "anchor": "y2"}}, height)
    for index, found in enumerate(results.capacities):
        spot, look, group = found.sweet(results.objective), mark(index), label(found)
        curve(chart, found.points, quantity, look, group)
        chart.scatter([place(spot.low), place(spot.high)], [index, index], yaxis="y2", mode="lines", legendgroup=group,
                      hovertext=text(tables.verdict_text(found, results.objective)),
                      line={"color": look.fill(0.35), "width": 12})
        inside = [place(alpha) for alpha in spot.alphas_in_set]
        chart.scatter(inside, [index] * len(inside), yaxis="y2", mode="markers", legendgroup=group,
                      marker={"color": look.colour, "size": 6})
        best = quantity.of(found.point(spot.alpha)) if known(spot.alpha) else None
        if best is not None:
            star(chart, place(spot.alpha), best.value * quantity.unit.scale, look, legendgroup=group)
            star(chart, place(spot.alpha), index, look, yaxis="y2", legendgroup=group)
        if spot.refined is not None:
            draw_fitted(chart, spot.refined, quantity, look, group, index)
    return [chart]


def over_alpha(quantity: Quantity, title: str, meaning: str) -> Callable[[StudyResults], list[Chart]]:
    """A chart of any quantity of the ladder, one curve per capacity."""
    def drawn(results: StudyResults) -> list[Chart]:
        if not any(drawable(found.points, quantity) for found in results.capacities):
            return []
        chart = Chart(title, f"{meaning} {banded(results)}",
                      {"xaxis": alpha_axis(results.capacities), "yaxis": value_axis(quantity)})
        for index, found in enumerate(results.capacities):
            curve(chart, found.points, quantity, mark(index), label(found))
        return [chart]
    return drawn


def bias_variance(results: StudyResults) -> list[Chart]:
    """One chart per capacity: bias, variance and their sum over alpha on one scale, with the hull shaded."""
    bias, variance = decomposition(results.objective)
    values = [getattr(found, side) for each in results.capacities for quantity in (bias, variance)
              for _, found in drawable(each.points, quantity) for side in ("value", "low", "high")]
    sums = [value for each in results.capacities for value in _sums(each.points, bias, variance)[1]]
    shown = [value for value in [0.0, *values, *sums] if known(value)]
    pad = 0.05 * (max(shown) - min(shown))
    span = [min(shown) - (pad if min(shown) < 0 else 0), max(shown) + pad]
    return [_decomposed(results, index, span) for index, found in enumerate(results.capacities)
            if drawable(found.points, bias) or drawable(found.points, variance)]


def _sums(points: Sequence[AlphaPoint], bias: Quantity, variance: Quantity) -> tuple[list[float], list[float]]:
    parts = [(point.epsilon, bias.of(point), variance.of(point)) for point in points]
    both = [(place_, first.value + second.value) for place_, first, second in parts if first and second]
    return [each[0] for each in both], [each[1] for each in both]


def _decomposed(results: StudyResults, index: int, span: list[float]) -> Chart:
    found, look = results.capacities[index], mark(index)
    bias, variance = decomposition(results.objective)
    spot, unit = found.sweet(results.objective), bias.unit.label
    chart = Chart(f"Bias and variance, {found.capacity}",
                  f"On test predictions, in {unit}. Shaded: hull of alpha*; dotted line: alpha*. "
                  f"{banded(results, [found])}",
                  {"xaxis": alpha_axis(results.capacities), "yaxis": axis(unit, range=span)})
    chart.scatter(*_sums(found.points, bias, variance), mode="lines", name="sum", hoverinfo="skip",
                  line={"color": MUTED, "width": 1.5})
    curve(chart, found.points, bias, BIAS_LOOK, bias.name.replace("2", "²"))
    curve(chart, found.points, variance, VARIANCE_LOOK, variance.name)
    chart.layout["shapes"] = _hull_shapes(spot, look)
    chart.height = 320
    return chart


def _hull_shapes(spot: SweetSpot, look: Mark) -> list[dict[str, object]]:
    low, best, high = place(spot.low), place(spot.alpha), place(spot.high)
    if low is None or best is None or high is None:
        return []
    across = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    dotted = {"color": look.colour, "width": 2, "dash": "dot"}
    return [{**across, "type": "rect", "x0": low, "x1": high, "fillcolor": look.fill(0.12), "line": {"width": 0}},
            {**across, "type": "line", "x0": best, "x1": best, "line": dotted}]


def _size_axis(capacities: Sequence[CapacityResult]) -> tuple[list[float], dict[str, object]]:
    """x of each capacity: its parameters (log scale) where all are known and differ, else its place on the ladder."""
    sizes = [found.num_parameters for found in capacities]
    texts = [f"{tick(found.capacity)}<br>{count_text(found.num_parameters)}" for found in capacities]
    counts = [float(size) for size in sizes if size]
    if len(set(counts)) == len(capacities):
        return counts, axis("capacity and its parameters (log scale)", type="log", tickvals=counts, ticktext=texts)
    places = [float(index) for index in range(len(capacities))]
    return places, axis("capacity", tickvals=places, ticktext=texts, range=[-0.5, len(capacities) - 0.5])


def capacity_alpha(results: StudyResults) -> list[Chart]:
    """alpha* with its hull over the number of parameters; nothing to compare with one capacity."""
    shown = [(index, found, found.sweet(results.objective)) for index, found in enumerate(results.capacities)
             if known(found.sweet(results.objective).alpha) and found.points]
    if not shown or len(results.capacities) == 1:
        return []
    places, xaxis = _size_axis([found for _, found, _ in shown])
    rungs = alpha_axis(results.capacities, gap=0.03)
    chart = Chart("alpha* against capacity", f"Star: alpha*. {HULL_TEXT} {counted(results.capacities)}",
                  {"xaxis": xaxis, "yaxis": rungs})
    for x, (index, found, spot) in zip(places, shown, strict=True):
        look = mark(index)
        chart.scatter([x, x], [place(spot.low), place(spot.high)], mode="lines",
                      line={"color": look.fill(0.35), "width": 12})
        chart.scatter([x] * len(spot.alphas_in_set), [place(alpha) for alpha in spot.alphas_in_set], mode="markers",
                      marker={"color": look.colour, "size": 6})
        star(chart, x, place(spot.alpha) or 0.0, look, hovertext=f"<b>{label(found)}</b><br>alpha* "
             f"{alpha_text(spot.alpha)} {alpha_interval(spot.low, spot.high)}<br>{spot.verdict}")
    return [chart]


def capacity_slope(results: StudyResults) -> list[Chart]:
    """How fast clean training error rises with alpha, over the number of parameters: the conjecture. Nothing with one capacity."""
    shown = [(index, found, found.clean_error_slope) for index, found in enumerate(results.capacities)
             if found.clean_error_slope is not None and known(found.clean_error_slope.value)]
    if not shown or len(results.capacities) == 1:
        return []
    places, xaxis = _size_axis([found for _, found, _ in shown])
    chart = Chart("Sensitivity of clean training error to alpha", f"Bars: {tables.level_text(results)} intervals. "
                  f"That more capacity lowers it is {results.conjecture.verdict}. {counted(results.capacities)}",
                  {"xaxis": xaxis, "yaxis": axis(f"slope ({SLOPE.label})", rangemode="tozero")})
    for x, (index, found, slope) in zip(places, shown, strict=True):
        look, (below, above) = mark(index), bounds(slope, SLOPE.scale)
        chart.scatter([x], [slope.value * SLOPE.scale], mode="markers",
                      marker={"symbol": look.symbol, "size": 11, "color": look.colour},
                      error_y={"type": "data", "array": [above], "arrayminus": [below], "thickness": 2, "width": 6},
                      hovertext=f"<b>{label(found)}</b><br>{estimate(slope, SLOPE)} {SLOPE.label}")
    return [chart]

