"""The pictures of a study as plotly figures, for the page and for MLflow: which there are, in which order.

Owns the catalogue and the hand-over to plotly. What is drawn where belongs to sweeps.charts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from sweeps.analysis.results import StudyResults
from sweeps.charts import diagnostics, ladder, pruning, search, timeline
from sweeps.charts.canvas import Chart
from sweeps.quantities import GAP, TRAIN_ERROR

CURVES, CAPACITY, SEARCH, PRUNING, RUN = "curves", "capacity", "search", "pruning", "run"
"""The sections of the page in which figures stand."""

PLOT_CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": "", "responsive": True,
               "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]]}
"""How plotly.js is to behave wherever these figures are shown: no button sends a chart to anybody."""


@dataclass(frozen=True)
class Entry:
    """A place in the catalogue. `draw` gives no chart without enough data, several where there is one a capacity.

    Entries of one section and one `row` stand side by side where the page is wide enough.
    """

    name: str
    section: str
    row: int
    title: str
    draw: Callable[[StudyResults], list[Chart]]

    def charts(self, results: StudyResults) -> dict[str, Chart]:
        """The charts by name: numbered when there are several, none without enough data."""
        drawn = self.draw(results)
        if len(drawn) == 1:
            return {self.name: drawn[0]}
        return {f"{self.name}_{index}": chart for index, chart in enumerate(drawn, start=1)}


_training_error = ladder.over_alpha(TRAIN_ERROR, "Clean training error against alpha",
                                    "On unmixed training data, with the labels that were trained on.")
_gap = ladder.over_alpha(GAP, "Generalisation gap against alpha", "Validation error minus clean training error.")

CATALOGUE = (
    Entry("risk", CURVES, 0, "Risk against alpha", ladder.risk),
    Entry("bias_variance", CURVES, 1, "Bias and variance", ladder.bias_variance),
    Entry("training_error", CURVES, 2, "Clean training error", _training_error),
    Entry("gap", CURVES, 2, "Generalisation gap", _gap),
    Entry("capacity_alpha", CAPACITY, 0, "alpha* against capacity", ladder.capacity_alpha),
    Entry("capacity_slope", CAPACITY, 0, "Sensitivity of clean training error", ladder.capacity_slope),
    Entry("search_space", SEARCH, 0, "What the search tried", search.search_space),
    Entry("history", SEARCH, 1, "Search history", search.history),
    Entry("importance", SEARCH, 1, "Which axis matters", search.importance),
    Entry("timeline", RUN, 0, "Timeline of the trials", timeline.timeline),
)

DIAGNOSED = (
    Entry("reliability", "calibration", 0, "Reliability", diagnostics.reliability),
    Entry("attacks", "robustness", 0, "Error under attack", diagnostics.attacks),
    Entry("memorised", "memorisation", 0, "Error by epoch", diagnostics.memorisation),
    Entry("miss_rate", "between_samples", 0, "Miss rate", diagnostics.between("miss", "Miss rate", "%", 100.0)),
    Entry("gradient_norm", "between_samples", 1, "Gradient norm",
          diagnostics.between("gradient_norm", "Gradient norm", "nats per unit of input", 1.0)),
)
"""Pictures of the diagnostics; the section is the diagnostic's name. One a capacity where it found something."""

AUDITED = (Entry("rank_correlation", PRUNING, 0, "How early a trial's rank is known", pruning.rank_correlation),)
"""The picture of a search that prunes."""


def figures(results: StudyResults) -> dict[str, go.Figure]:
    """Every figure the data can fill, by a name fit for a file, in the order of the page.

    `layout.meta` holds title and caption. Raises ValueError where a chart is not what plotly takes: a defect of ours.
    """
    return {name: figure(chart) for entry in (*CATALOGUE, *DIAGNOSED, *AUDITED)
            for name, chart in entry.charts(results).items()}


def figure(chart: Chart) -> go.Figure:
    """One chart as a plotly figure, checked by plotly."""
    return go.Figure({"data": chart.traces, "layout": {**chart.full_layout(), "template": "none"}})
