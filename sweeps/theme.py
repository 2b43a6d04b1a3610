"""How answers look: one colour, marker and dash for each capacity, and how a number is written for people.

Owns looks only: knows no plot library, no table and no page. The colours are Okabe and Ito's, told apart by readers
with every common form of colour blindness; marker and dash tell the capacities apart without any colour.
"""

import math
from dataclasses import dataclass

from sweeps.analysis.results import Estimate

NOTHING = "-"
"""What stands where there is no number."""

INK, MUTED = "#1b1f24", "#6e7781"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6000")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star-triangle-down")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
GLYPHS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "cross": "✚", "star-triangle-down": "▼"}


@dataclass(frozen=True)
class Mark:
    """How one capacity is drawn, everywhere."""

    colour: str
    symbol: str
    dash: str

    @property
    def glyph(self) -> str:
        """The marker as a character, for text."""
        return GLYPHS[self.symbol]

    def fill(self, opacity: float) -> str:
        """The colour as a CSS rgba(), for bands and hulls."""
        red, green, blue = (int(self.colour[start:start + 2], 16) for start in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity:g})"


def mark(position: int) -> Mark:
    """The look of the capacity at this position of the ladder; 210 of them before one returns."""
    return Mark(COLOURS[position % len(COLOURS)], SYMBOLS[position % len(SYMBOLS)], DASHES[position % len(DASHES)])


@dataclass(frozen=True)
class Unit:
    """A unit of reading: stored values times `scale`, with a number of decimals that follows the interval's width."""

    label: str
    scale: float
    fewest: int
    most: int


PERCENT = Unit("%", 100.0, 1, 2)
POINTS = Unit("points", 100.0, 1, 2)
NATS = Unit("nats", 1.0, 3, 4)
SQUARED = Unit("squared error", 1.0, 3, 4)


def known(value: float | None) -> bool:
    """True for a finite number: what may be drawn or written."""
    return value is not None and math.isfinite(value)


def has_interval(estimate: Estimate | None) -> bool:
    return estimate is not None and known(estimate.low) and known(estimate.high)


def number(value: float | None, unit: Unit, half_width: float | None = None) -> str:
    """`value` in `unit`, so many decimals that the half width is at least two of the last; `-` when it is not known."""
    if value is None or not known(value):
        return NOTHING
    decimals = unit.fewest
    if half_width is not None and known(half_width) and half_width > 0:
        decimals = min(unit.most, max(unit.fewest, -math.floor(math.log10(half_width * unit.scale / 2))))
    text = f"{value * unit.scale:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def estimate(found: Estimate | None, unit: Unit) -> str:
    """`5.7 [4.9, 6.5]` without the unit's label; without an interval just `5.7`."""
    if found is None or not known(found.value):
        return NOTHING
    if found.low is None or found.high is None or not has_interval(found):
        return number(found.value, unit)
    half = (found.high - found.low) / 2
    return f"{number(found.value, unit, half)} [{number(found.low, unit, half)}, {number(found.high, unit, half)}]"


def alpha_text(alpha: float | None) -> str:
    """`0`, `0.35`, `32`, `inf`: three digits that count, never an exponent."""
    if alpha is None or math.isnan(alpha):
        return NOTHING
    return "inf" if math.isinf(alpha) else _digits(alpha)


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    text = f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def alpha_interval(low: float, high: float) -> str:
    """`[0.8, 3.1]`, or `-` where there is no interval."""
    return NOTHING if math.isnan(low) or math.isnan(high) else f"[{alpha_text(low)}, {alpha_text(high)}]"


def count_text(count: int | None) -> str:
    """`731`, `11.2 k`, `25.6 M`: a parameter count as it is spoken."""
    if count is None:
        return NOTHING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * size:
            return f"{_digits(count / size)} {letter}"
    return str(count)


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def value_text(value: object) -> str:
    """A knob's value: numbers with three digits that count (`1.3e-4` where small), anything else as it is."""
    if not isinstance(value, float):
        return str(value)
    if 0 < abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.3g}"
