"""The chart of the pruning audit: how early in its training a trial's rank is that of its end.

It takes the results of a study and returns its charts, none when there is not enough data.
"""

from typing import Any

from sweeps.analysis.pruning import PruningGroup
from sweeps.analysis.results import StudyResults
from sweeps.charts.canvas import GRID, Chart, axis, bounds, text
from sweeps.quantities import risk
from sweeps.theme import MUTED, Unit, estimate, mark, plural

PLAIN = Unit("", 1.0, 2, 2)


def rank_correlation(results: StudyResults) -> list[Chart]:
    """Correlation with the end against the share of a trial's own epochs, a line a third of the trials by alpha."""
    audit = results.pruning
    drawn = [each for each in audit.terciles if _known(each)] if audit else []
    if not audit or not drawn:
        return []
    rungs = [{"type": "line", "x0": percent, "x1": percent, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
              "line": {"color": MUTED, "width": 1, "dash": "dot"}} for percent in audit.rungs]
    fewest = min(found.n for each in drawn for found in each.correlations.values() if found.estimate)
    chart = Chart("How early a trial's rank is known",
                  f"Rank correlation of {risk(results.objective).name} with its value at the end, within a capacity; thirds of the "
                  f"trials by alpha. Bars: 95 % intervals. Dotted: rungs of the rule. n = {fewest} trials a point at least.",
                  {"shapes": rungs, "xaxis": axis("percent of a trial's own epochs", range=[0, 100]),
                   "yaxis": axis("rank correlation with the end", range=[-1.05, 1.05], zeroline=True, zerolinecolor=GRID)}, 320)
    for index, each in enumerate(drawn):
        _line(chart, each, index, len(drawn))
    return [chart]


def _known(group: PruningGroup) -> dict[int, Any]:
    return {percent: found for percent, found in group.correlations.items() if found.estimate}


def _line(chart: Chart, group: PruningGroup, index: int, count: int) -> None:
    look, known, shift = mark(index), _known(group), 1.2 * (index - (count - 1) / 2)
    arms = [bounds(found.estimate, 1.0) for found in known.values()]
    chart.scatter([percent + shift for percent in known], [found.estimate.value for found in known.values()],
                  mode="lines+markers", name=text(group.name), legendgroup=text(group.name),
                  line={"color": look.colour, "dash": look.dash, "width": 2}, marker={"symbol": look.symbol, "size": 7},
                  error_y={"type": "data", "array": [each[1] for each in arms], "arrayminus": [each[0] for each in arms],
                           "thickness": 1.2, "width": 3},
                  hovertext=[f"<b>{text(group.name)}</b><br>at {percent} % of its epochs {estimate(found.estimate, PLAIN)}"
                             f"<br>n = {plural(found.n, 'trial')}" for percent, found in known.items()])
