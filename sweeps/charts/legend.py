"""The legend of a chart as HTML: it wraps like text, where plotly's own overlaps the plot after a change of width.

Reads the traces of a chart and nothing else. Names in traces are escaped already. Each entry is a button; the page's
script makes it show and hide the traces that share its name or legend group.
"""

from sweeps.charts.canvas import Chart, Trace
from sweeps.theme import MUTED

STROKES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4"}
SHAPES = {
    "circle": '<circle cx="15" cy="7" r="4.2"/>', "square": '<rect x="11" y="3" width="8" height="8"/>',
    "diamond": '<path d="M15 2l5 5-5 5-5-5z"/>', "triangle-up": '<path d="M15 2.2l5 8.8H10z"/>',
    "cross": '<path d="M13 2h4v3h3v4h-3v3h-4V9h-3V5h3z"/>', "star-triangle-down": '<path d="M15 11.8l5-8.8H10z"/>',
}


def legend(chart: Chart) -> str:
    """The chart's legend, empty where it has one entry or none: the title says enough then."""
    named = [trace for trace in chart.traces if trace.get("name") and trace.get("showlegend", True)]
    order = reversed(named) if chart.layout.get("legend", {}).get("traceorder") == "reversed" else named
    entries = "".join(f'<button type="button" aria-pressed="true" data-group="{_attribute(group_of(trace))}">'
                      f'{_swatch(trace)}{trace["name"]}</button>' for trace in order)
    return f'<div class="legend">{entries}</div>' if len(named) > 1 else ""


def group_of(trace: Trace) -> str:
    """What is shown and hidden together."""
    return str(trace.get("legendgroup") or trace.get("name") or "")


def _attribute(escaped: str) -> str:
    return escaped.replace("&", "&amp;").replace('"', "&quot;")


def _swatch(trace: Trace) -> str:
    """A line and a marker as they are drawn in the chart."""
    marker, line = trace.get("marker", {}), trace.get("line", {})
    colour = line.get("color") or marker.get("color") or MUTED
    parts = f'<rect x="9" y="1" width="12" height="12" fill="{colour}"/>' if trace["type"] == "bar" else ""
    if "lines" in trace.get("mode", ""):
        parts += (f'<path d="M0 7h30" stroke="{colour}" stroke-width="{line.get("width", 2)}" '
                  f'stroke-dasharray="{STROKES[line.get("dash", "solid")]}" fill="none"/>')
    if "markers" in trace.get("mode", "") and (shape := SHAPES.get(marker.get("symbol", ""))):
        parts += f'<g fill="{colour}">{shape}</g>'
    return f'<svg width="30" height="14" aria-hidden="true">{parts}</svg>'
