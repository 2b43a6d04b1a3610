"""The parts of one claim as a picture: each contrast with its interval, and where the claim puts it. Static SVG.

Rows have different units, so each has its own scale with 0 (a ratio of 1) in the middle, and its numbers beside it. Follows a dark
page where the viewer supports it. All text is escaped.
"""

import html
from typing import Any

from sweeps.analysis.capacity import CONTRADICTED, SUPPORTED
from sweeps.charts.picture import STYLE
from sweeps.claims.text import effect_text
from sweeps.theme import COLOURS, MUTED

WIDTH, LEFT, RIGHT, TOP, ROW = 1280, 620, 900, 64, 30
LONGEST = 92
"""Characters of a part that fit beside its row."""
COLOUR = {SUPPORTED: COLOURS[0], CONTRADICTED: COLOURS[1]}


def picture(entry: dict[str, Any]) -> str:
    """The SVG of a claim as `record.claim_entry` gives it."""
    parts, bottom = entry["parts"], TOP + ROW * len(entry["parts"])
    title = html.escape(f"{entry['id']}: {entry['verdict']}")
    rows = "".join(_row(part, TOP + ROW * index + ROW / 2) for index, part in enumerate(parts))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 14}" width="{WIDTH}" height="{bottom + 14}" '
            f'role="img"><title>{title}. {html.escape(entry["says"])}</title><style>{STYLE}</style>'
            f'<text x="14" y="28" class="title">{title}</text>'
            f'<text x="14" y="50" class="soft">mean and 95 % interval over splits; shaded: where the claim puts it; each row has '
            f'its own scale about no effect</text>'
            f'<path class="axis" d="M{(LEFT + RIGHT) / 2} {TOP}V{bottom}"/>{rows}</svg>\n')


def _row(part: dict[str, Any], y: float) -> str:
    value, low, high = part["effect"]
    bounds = [bound for bound in part["claimed"] if bound is not None]
    reach = 1.15 * max((abs(side) for side in (value, low, high, *bounds) if side), default=1.0)

    def x(side: float | None, otherwise: float) -> float:
        return otherwise if side is None else (LEFT + RIGHT) / 2 + (RIGHT - LEFT) / 2 * side / reach

    start, end = x(part["claimed"][0], LEFT), x(part["claimed"][1], RIGHT)
    says = part["says"] if len(part["says"]) <= LONGEST else part["says"][:LONGEST - 1] + "…"
    colour = COLOUR.get(part["verdict"], MUTED)
    drawn = f'<rect x="{start:.1f}" y="{y - 11}" width="{end - start:.1f}" height="22" fill="{COLOURS[2]}" opacity=".16"/>'
    if low is not None and high is not None:
        drawn += f'<path d="M{x(low, LEFT):.1f} {y}H{x(high, RIGHT):.1f}" stroke="{colour}" stroke-width="3"/>'
    if value is not None:
        drawn += f'<circle cx="{x(value, LEFT):.1f}" cy="{y}" r="5" fill="{colour}"/>'
    told = f"{effect_text(part['effect'], part['unit'])}, {part['verdict']}"
    return (f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{html.escape(says)}</text>{drawn}'
            f'<text x="{RIGHT + 12}" y="{y + 4}">{html.escape(told)}</text>')
