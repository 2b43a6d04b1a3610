"""The chart of the run: who worked when, and on what.

Takes the results of a study; returns no chart when nothing has run.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sweeps.analysis.results import Bar, StudyResults
from sweeps.charts.canvas import Chart, axis, text, tick
from sweeps.records import FAILED, FINISHED, PRUNED
from sweeps.theme import COLOURS, MUTED, known, plural

BAR_LOOKS = {"search": (COLOURS[5], ""), "measure": (COLOURS[0], ""), "pruned": (COLOURS[4], "/"),
             "failed": (COLOURS[1], "x"), "lost": (MUTED, "\\"), "running": (COLOURS[2], ".")}
SPANS = ((3 * 3600.0, 3600.0, "hours"), (300.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
"""A timeline at least this long is read in units of so many seconds."""


def timeline(results: StudyResults) -> list[Chart]:
    """Who ran what when: one row a worker, one bar an attempt."""
    bars = [bar for bar in results.timeline if known(bar.start) and known(bar.end) and bar.end >= bar.start]
    if not bars:
        return []
    begin, end = min(bar.start for bar in bars), max(bar.end for bar in bars)
    seconds, unit = next((size, name) for least, size, name in SPANS if end - begin >= least)
    workers = list(dict.fromkeys(bar.worker for bar in sorted(bars, key=lambda bar: bar.start)))
    began = datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d %H:%M UTC")
    caption = (f"One bar an attempt, from {began}; lost: interrupted, or gone with its worker. n = "
               f"{plural(len(bars), 'attempt')} on {plural(len(workers), 'worker')}, busy {_busy(bars)} of the time.")
    rows = axis(tickvals=list(range(len(workers))), ticktext=list(map(tick, workers)), ticks="", showgrid=False,
                range=[len(workers) - 0.4, -0.6])
    chart = Chart("Timeline of the trials", caption,
                  {"xaxis": axis(f"time since the first trial ({unit})", rangemode="tozero"), "yaxis": rows,
                   "barmode": "overlay", "bargap": 0.25}, 150 + 30 * min(len(workers), 40))
    for kind, (colour, pattern) in BAR_LOOKS.items():
        chosen = [bar for bar in bars if _kind(bar) == kind]
        if chosen:
            chart.traces.append({
                "type": "bar", "orientation": "h", "name": kind, "hoverinfo": "text", "textposition": "none",
                "x": [(bar.end - bar.start) / seconds for bar in chosen],
                "base": [(bar.start - begin) / seconds for bar in chosen],
                "y": [workers.index(bar.worker) for bar in chosen],
                "marker": {"color": colour, "line": {"width": 0.6, "color": "white"},
                           "pattern": {"shape": pattern, "size": 5, "fillmode": "overlay", "fgcolor": "white"}},
                "hovertext": [_said(bar) for bar in chosen]})
    return [chart]


def _busy(bars: Sequence[Bar]) -> str:
    """Share of each worker's own span that its bars fill, over all workers."""
    spans: dict[str, tuple[float, float]] = {}
    for bar in bars:
        first, last = spans.get(bar.worker, (bar.start, bar.end))
        spans[bar.worker] = min(first, bar.start), max(last, bar.end)
    whole = sum(last - first for first, last in spans.values())
    return f"{100 * min(1.0, sum(bar.end - bar.start for bar in bars) / whole):.0f} %" if whole > 0 else "all"


def _kind(bar: Bar) -> str:
    if bar.state in (FINISHED, "ENDED"):
        return bar.stage
    return {PRUNED: "pruned", FAILED: "failed", "RUNNING": "running"}.get(bar.state, "lost")


def _said(bar: Bar) -> str:
    return text(f"{bar.capacity}, {bar.stage}, {bar.state.lower()}, {bar.end - bar.start:.1f} s, {bar.key}")
