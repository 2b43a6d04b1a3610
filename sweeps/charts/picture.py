"""The headline of a study as one static SVG, for a README or a slide: risk over alpha, alpha* and its hull per capacity.

Plain SVG text, no plot library and no script; follows a dark page where the viewer supports it. Everything that comes
from the study is escaped.
"""

import html
from collections.abc import Sequence
from pathlib import Path

from sweeps import tables
from sweeps.analysis.results import CapacityResult, StudyResults
from sweeps.charts.canvas import drawable, place
from sweeps.charts.legend import SHAPES, STROKES
from sweeps.charts.parallel import round_steps
from sweeps.quantities import risk
from sweeps.storage import write_whole
from sweeps.theme import Mark, alpha_interval, alpha_text, count_text, has_interval, known, mark

WIDTH, LEFT, RIGHT, TOP, PLOT, ROW = 900, 62, 640, 50, 270, 26
LONGEST = 22
"""Characters of a capacity's name that fit beside the plot."""
STAR = "M0-9L2.6-3L9-2.8L3.9 1.2L5.6 7.4L0 3.8L-5.6 7.4L-3.9 1.2L-9-2.8L-2.6-3Z"
STYLE = """text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1b1f24}.soft{fill:#57606a}
.title{font-size:17px;font-weight:600}.grid{stroke:#8885;stroke-width:1}.axis{stroke:#6e7781;stroke-width:1}
@media(prefers-color-scheme:dark){text{fill:#e6e9ed}.soft{fill:#9aa5b1}}"""


def write_picture(results: StudyResults, path: Path | str) -> Path:
    """The picture at `path`, whole or not at all. Makes the folder; raises OSError when it cannot be written."""
    write_whole(str(path), picture(results).encode())
    return Path(path)


def picture(results: StudyResults) -> str:
    """The picture as SVG text; without enough data it says so."""
    quantity = risk(results.objective)
    shown = [found for found in results.capacities if drawable(found.points, quantity)]
    bottom = TOP + PLOT + 22 + ROW * len(shown)
    head = (f'<text x="14" y="28" class="title">{html.escape(results.study)}: {quantity.name} against alpha</text>')
    body = _plot(results, shown, bottom) if shown else f'<text x="14" y="60">{tables.NOT_ENOUGH}</text>'
    height = bottom + 48 if shown else 90
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img"><title>{html.escape(" ".join(tables.headline(results)))}</title><style>{STYLE}</style>'
            f"{head}{body}</svg>\n")


class _Scale:
    """Where values lie on the picture: epsilon across, the risk (in its unit) up."""

    def __init__(self, results: StudyResults, shown: Sequence[CapacityResult]) -> None:
        quantity = risk(results.objective)
        rows = [row for found in shown for row in drawable(found.points, quantity)]
        sides = [side for _, found in rows for side in (found.value, found.low, found.high) if side is not None and known(side)]
        values = [side * quantity.unit.scale for side in sides]
        pad = 0.04 * (max(values) - min(values)) or 1.0
        self.low, self.high = min(values) - pad, max(values) + pad
        self.end = max(point.epsilon for point, _ in rows) or 0.5
        self.rungs = sorted({point.alpha for point, _ in rows})

    def x(self, epsilon: float) -> float:
        return LEFT + 14 + (RIGHT - LEFT - 28) * epsilon / self.end

    def y(self, value: float) -> float:
        return TOP + PLOT * (self.high - value) / (self.high - self.low)


def _plot(results: StudyResults, shown: Sequence[CapacityResult], bottom: float) -> str:
    scale, quantity = _Scale(results, shown), risk(results.objective)
    parts = [f'<path class="grid" d="M{LEFT} {scale.y(tick):.1f}H{RIGHT}"/><text class="soft" text-anchor="end" '
             f'x="{LEFT - 8}" y="{scale.y(tick) + 4:.1f}">{tick:.4g}</text>' for tick in round_steps(scale.low, scale.high)]
    for alpha in scale.rungs:
        x = scale.x(place(alpha) or 0.0)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/><text class="soft" text-anchor="middle" x="{x:.1f}" '
                     f'y="{bottom + 18}">{alpha_text(alpha)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{RIGHT}"/><text x="{(LEFT + RIGHT) / 2}" y="{bottom + 38}" '
                 'class="soft" text-anchor="middle">alpha (spaced by ε = 1 − E max(λ, 1−λ))</text>'
                 f'<text class="soft" transform="translate(18 {TOP + PLOT / 2}) rotate(-90)" text-anchor="middle">'
                 f"{quantity.heading}</text>")
    looks = {found.capacity: mark(index) for index, found in enumerate(results.capacities)}
    parts += [_band(found, scale, looks[found.capacity], results) for found in shown]
    parts += [_line(found, scale, looks[found.capacity], results) for found in shown]
    parts += [_row(found, scale, looks[found.capacity], results, (index, TOP + PLOT + 30 + ROW * index))
              for index, found in enumerate(shown)]
    return "".join(parts)


def _band(found: CapacityResult, scale: _Scale, look: Mark, results: StudyResults) -> str:
    quantity = risk(results.objective)
    rows = [(point, each) for point, each in drawable(found.points, quantity) if has_interval(each)]
    upper = [(scale.x(point.epsilon), scale.y((each.high or 0.0) * quantity.unit.scale)) for point, each in rows]
    lower = [(scale.x(point.epsilon), scale.y((each.low or 0.0) * quantity.unit.scale)) for point, each in rows]
    return f'<polygon points="{_points(upper + lower[::-1])}" fill="{look.colour}" opacity=".13"/>' if rows else ""


def _line(found: CapacityResult, scale: _Scale, look: Mark, results: StudyResults) -> str:
    quantity = risk(results.objective)
    spots = [(scale.x(point.epsilon), scale.y(each.value * quantity.unit.scale), point.alpha)
             for point, each in drawable(found.points, quantity)]
    best = found.sweet(results.objective).alpha
    marks = "".join(_star(x, y, look) if alpha == best else _shape(x, y, look) for x, y, alpha in spots)
    return (f'<polyline points="{_points([(x, y) for x, y, _ in spots])}" fill="none" stroke="{look.colour}" '
            f'stroke-width="2.2" stroke-dasharray="{STROKES[look.dash]}"/>{marks}')


def _row(found: CapacityResult, scale: _Scale, look: Mark, results: StudyResults, where: tuple[int, float]) -> str:
    """The strip's row: hull and rungs on the left, what they say on the right; and the capacity's entry in the legend."""
    spot, (index, y) = found.sweet(results.objective), where
    low, best, high = place(spot.low), place(spot.alpha), place(spot.high)
    bar = ""
    if low is not None and best is not None and high is not None:
        rungs = "".join(f'<circle cx="{scale.x(place(alpha) or 0.0):.1f}" cy="{y}" r="3" fill="{look.colour}"/>'
                        for alpha in spot.alphas_in_set)
        bar = (f'<path d="M{scale.x(low):.1f} {y}H{scale.x(high):.1f}" stroke="{look.colour}" stroke-width="11" '
               f'opacity=".32"/>{rungs}{_star(scale.x(best), y, look)}')
    said = f"α* = {alpha_text(spot.alpha)} {alpha_interval(spot.low, spot.high)}, {spot.verdict}"
    size = f" ({count_text(found.num_parameters)})" if found.num_parameters is not None else ""
    name = found.capacity if len(found.capacity) <= LONGEST else found.capacity[:LONGEST - 1] + "…"
    key = TOP + 14 + 26 * index
    return (f'{bar}<text x="{RIGHT + 16}" y="{y + 4}">{html.escape(said)}</text><path d="M{RIGHT + 16} {key}h34" '
            f'stroke="{look.colour}" stroke-width="2.2" stroke-dasharray="{STROKES[look.dash]}"/>'
            f'{_shape(RIGHT + 33, key, look)}<text x="{RIGHT + 58}" y="{key + 4}">{html.escape(name)}'
            f'<tspan class="soft">{size}</tspan></text>')


def _shape(x: float, y: float, look: Mark) -> str:
    return f'<g transform="translate({x - 15:.1f} {y - 7:.1f})" fill="{look.colour}">{SHAPES[look.symbol]}</g>'


def _star(x: float, y: float, look: Mark) -> str:
    return (f'<path transform="translate({x:.1f} {y:.1f})" d="{STAR}" fill="{look.colour}" stroke="white" '
            'stroke-width="1.2" paint-order="stroke"/>')


def _points(spots: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
