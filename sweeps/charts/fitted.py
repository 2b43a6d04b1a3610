"""The curve through the rungs on the chart of risk: its line and band, the interval of alpha*, and why there is none.

Owns how a refined alpha* is drawn and told. Refuses to know which curve may be believed: sweeps.analysis.refinement decides.
"""

from collections.abc import Sequence

from sweeps import tables
from sweeps.analysis.results import CapacityResult, Refined, StudyResults
from sweeps.charts.canvas import Chart, place
from sweeps.inference_tables import refined_text
from sweeps.quantities import Quantity
from sweeps.theme import Mark

FITTED_TEXT = ("Dash and dot: the curve fitted through the rungs, between thin lines its pointwise {level} band; framed on the "
               "bar: the interval of alpha* by it, open diamond: alpha*")


def draw_fitted(chart: Chart, refined: Refined, quantity: Quantity, look: Mark, group: str, row: int) -> None:
    """The curve with its band over the rungs, and its alpha* with the interval in the capacity's row under them."""
    curve, scale = refined.curve, quantity.unit.scale
    for values, style in ((curve.lows, {"dash": "solid", "width": 0.8}), (curve.highs, {"dash": "solid", "width": 0.8}),
                          (curve.values, {"dash": "longdashdot", "width": 2})):
        chart.scatter(curve.epsilons, [value * scale for value in values], mode="lines", legendgroup=group,
                      line={"color": look.colour, **style})
    low, high = place(refined.low), place(refined.high)
    frame = [row - 0.3, row - 0.3, row + 0.3, row + 0.3, row - 0.3]
    chart.scatter([low, high, high, low, low], frame, yaxis="y2", mode="lines", legendgroup=group,
                  line={"color": look.colour, "width": 1.5})
    chart.scatter([place(refined.alpha)], [row], yaxis="y2", mode="markers", legendgroup=group,
                  marker={"symbol": "diamond-open", "size": 11, "color": look.colour, "line": {"width": 2}})


def fitted_caption(results: StudyResults) -> str:
    """What the fitted curves are and found, and for which capacities there is none and why; empty where none was tried."""
    told = [(found, refined_text(found, results.objective)) for found in results.capacities]
    drawn = [f"{found.capacity}: {text[:1].lower()}{text[1:]}" for found, text in told if _refined(found, results)]
    head = f"{FITTED_TEXT.format(level=tables.level_text(results))}. " if drawn else ""
    return head + " ".join([*drawn, *_left_out(told, results)])


def _left_out(told: Sequence[tuple[CapacityResult, str]], results: StudyResults) -> list[str]:
    """The reasons why capacities have no curve, each once."""
    names: dict[str, list[str]] = {}
    for found, text in told:
        reason = found.sweet(results.objective).why_not_refined
        if text and not _refined(found, results):
            names.setdefault(reason, []).append(found.capacity)
    return [f"No curve is drawn for {', '.join(those)}: {reason}." for reason, those in names.items()]


def _refined(found: CapacityResult, results: StudyResults) -> Refined | None:
    return found.sweet(results.objective).refined
