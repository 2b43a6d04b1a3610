"""Charts of the search stage: what was tried, how the best improved, and which axis mattered.

Each function takes the results of a study and returns its charts, none when there is not enough data.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from sweeps import tables
from sweeps.analysis.results import SearchTrial, StudyResults
from sweeps.charts.canvas import LEGEND, Chart, axis, bounds, strip, text, tick, value_axis
from sweeps.charts.parallel import BANDS, ParallelAxis, axes_of, band_of, values_of
from sweeps.quantities import risk
from sweeps.records import FAILED, FINISHED, PRUNED
from sweeps.theme import COLOURS, MUTED, PERCENT, Unit, estimate, known, mark, number, plural, value_text

BAND_LOOKS = ((COLOURS[1], 2.4, 1.0), (COLOURS[0], 1.4, 0.8), (MUTED, 1.0, 0.4))
RUG_LOOKS = {PRUNED: ("line-ns-open", COLOURS[4]), FAILED: ("x-thin", COLOURS[1])}

MOST_SPOKEN = 500
"""Up to so many lines answer at every axis, more of them only at the last: the page would grow by megabytes."""


def names(results: StudyResults) -> list[str]:
    """Every capacity of the study, the measured ones first and in order: the position is the look."""
    measured = [found.capacity for found in results.capacities]
    return list(dict.fromkeys([*measured, *(trial.capacity for trial in results.search), *results.importance]))


def search_space(results: StudyResults) -> list[Chart]:
    """Parallel coordinates over the axes that varied, ending at the objective."""
    objective, trials = risk(results.objective), results.search
    axes, bands = axes_of(trials, objective), band_of(trials)
    if len(axes) < 2 or not any(known(trial.value) for trial in trials):
        return []
    chart = Chart("What the search tried", "One line a trial, ranked within its capacity by the objective. "
                  f"n = {plural(len(trials), 'trial')}, {sum(band is not None for band in bands)} with a result.",
                  _parallel_layout(axes), 420)
    looks: list[tuple[str, int | None, dict[str, Any], float]] = [
        ("without result", None, {"color": MUTED, "width": 1, "dash": "dot"}, 0.5)]
    looks += [(BANDS[index][0], index, {"color": colour, "width": width}, opacity)
              for index, (colour, width, opacity) in reversed(list(enumerate(BAND_LOOKS)))]
    for name, wanted, line, opacity in looks:
        chosen = [values_of(trial, objective) for trial, band in zip(trials, bands, strict=True) if band == wanted]
        if chosen:
            x, y, hover = _threads(chosen, axes)
            chart.scatter(x, y, hovertext=hover, name=name, opacity=opacity, line=line, mode="lines+markers",
                          marker={"size": 4, "color": line["color"]})
    return [chart]


def _threads(rows: Sequence[dict[str, Any]], axes: Sequence[ParallelAxis]) -> tuple[list[Any], list[Any], list[str]]:
    """All lines of one look as one trace: a gap between two trials and where a value cannot be placed."""
    x: list[Any] = []
    y: list[Any] = []
    hover: list[str] = []
    for row in rows:
        known_values = {name: value_text(value) for name, value in row.items() if value is not None}
        said = "<br>".join(text(f"{name} {value}") for name, value in known_values.items())
        x += [*range(len(axes)), None]
        y += [*(axis_.place(row.get(axis_.name)) for axis_ in axes), None]
        spoken = len(axes) if len(rows) <= MOST_SPOKEN else 1
        hover += [*[""] * (len(axes) - spoken), *[said] * spoken, ""]
    return x, y, hover


def _parallel_layout(axes: Sequence[ParallelAxis]) -> dict[str, Any]:
    lines = [{"type": "line", "x0": index, "x1": index, "y0": 0, "y1": 1, "line": {"color": MUTED, "width": 1},
              "layer": "below"} for index in range(len(axes))]
    marks = [{"x": index, "y": place, "text": tick(said), "showarrow": False, "xanchor": "left", "xshift": 4,
              "font": {"size": 10}} for index, axis_ in enumerate(axes) for place, said in axis_.ticks()]
    headings = [tick(axis_.name).replace("_", " ").replace(" ", "<br>") for axis_ in axes]
    return {"shapes": lines, "legend": {**LEGEND, "traceorder": "reversed"}, "annotations": marks,
            "xaxis": axis(tickvals=list(range(len(axes))), ticktext=headings, tickangle=0, showgrid=False, ticks="",
                          showline=False, range=[-0.1, len(axes) - 0.55]),
            "yaxis": axis(visible=False, range=[-0.04, 1.04])}


def history(results: StudyResults) -> list[Chart]:
    """The objective of each search trial and the best so far; pruned and failed trials marked below."""
    objective, shown = risk(results.objective), names(results)
    finished = [trial for trial in results.search if known(trial.value)]
    if not finished:
        return []
    counts = {state: sum(trial.state == state for trial in results.search) for state in (FINISHED, PRUNED, FAILED)}
    height, axes = strip(shown, 250, value_axis(objective))
    chart = Chart("Search history", "Line: best so far. Marks below: | pruned, x failed. n = "
                  + ", ".join(f"{count} {state.lower()}" for state, count in counts.items()) + ".",
                  {**axes, "xaxis": axis("trial of its capacity, in the order asked", anchor="y2", rangemode="tozero",
                                        **({"dtick": 1} if len(results.search) < 10 else {}))}, height)
    for index, name in enumerate(shown):
        mine = sorted((trial for trial in finished if trial.capacity == name), key=lambda trial: trial.number)
        values = [trial.value * objective.unit.scale for trial in mine if trial.value is not None]
        look, x = mark(index), [trial.number + 1 for trial in mine]
        chart.scatter(x, values, mode="markers", name=text(name), legendgroup=text(name), opacity=0.75,
                      marker={"symbol": look.symbol, "size": 7, "color": look.colour},
                      hovertext=[_trial_text(trial, objective.unit) for trial in mine])
        chart.scatter(x, list(accumulate(values, min)), mode="lines", legendgroup=text(name),
                      line={"color": look.colour, "dash": look.dash, "width": 2, "shape": "hv"})
        for state, (symbol, colour) in RUG_LOOKS.items():
            marked = [trial for trial in results.search if trial.capacity == name and trial.state == state]
            chart.scatter([trial.number + 1 for trial in marked], [index] * len(marked), yaxis="y2", mode="markers",
                          marker={"symbol": symbol, "color": colour, "size": 8,
                                  "line": {"width": 1.5, "color": colour}}, legendgroup=text(name),
                          hovertext=[_trial_text(trial, objective.unit) for trial in marked])
    return [chart]


def _trial_text(trial: SearchTrial, unit: Unit) -> str:
    result = f"{number(trial.value, unit)} {unit.label}" if known(trial.value) else trial.state.lower()
    lines = [f"{name} {value_text(value)}" for name, value in trial.setting.items()]
    return "<br>".join(map(text, [f"{trial.capacity}, trial {trial.number + 1} ({trial.origin}): {result}", *lines]))


def importance(results: StudyResults) -> list[Chart]:
    """How much of the objective's variation each axis explains, per capacity, with intervals."""
    found = {name: {knob: value for knob, value in knobs.items() if known(value.value)}
             for name, knobs in results.importance.items()}
    knobs = list(dict.fromkeys(knob for values in found.values() for knob in values))
    if not knobs:
        return []
    looks = {name: index for index, name in enumerate(names(results))}
    count = sum(known(trial.value) for trial in results.search)
    rows = axis(tickvals=list(range(len(knobs))), ticktext=list(map(tick, knobs)), ticks="",
                range=[len(knobs) - 0.4, -0.6])
    chart = Chart("Which axis matters", f"Bars: {tables.level_text(results)} intervals. n = "
                  f"{plural(count, 'finished trial')} of the search.",
                  {"xaxis": axis("share of the objective's variation (%)", rangemode="tozero"), "yaxis": rows},
                  150 + 58 * len(knobs))
    for position, (name, values) in enumerate(found.items()):
        look, arms = mark(looks[name]), [bounds(value, PERCENT.scale) for value in values.values()]
        shift = 0.6 * ((position + 0.5) / len(found) - 0.5)
        chart.scatter([value.value * PERCENT.scale for value in values.values()],
                      [knobs.index(knob) + shift for knob in values], mode="markers", name=text(name),
                      marker={"symbol": look.symbol, "size": 9, "color": look.colour},
                      error_x={"type": "data", "array": [each[1] for each in arms], "thickness": 1.6, "width": 4,
                               "arrayminus": [each[0] for each in arms]},
                      hovertext=[f"<b>{text(name)}</b><br>{text(knob)} {estimate(value, PERCENT)} %"
                                 for knob, value in values.items()])
    return [chart]
