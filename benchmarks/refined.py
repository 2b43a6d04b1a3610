"""Does the refined interval of alpha* cover? The simulated studies of `benchmarks.coverage`, with a curve through the rungs.

`python -m benchmarks refined` prints the table. An interval is shown only where a curve passes its test, so two shares are
told: of the studies that show one, how often it holds the optimum; and of all studies, how often the answer does, which is the hull
of the confidence set where no curve is shown. A flat curve has its optimum everywhere: there the worst-covered rung counts.

Axes: D simulated studies, S splits, A rungs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage import ALPHAS, CURVES, EPSILON_A, FLAT_CURVE, KINDS, OPTIMA, SCALES, simulate
from sweeps.analysis.arms import compare
from sweeps.analysis.refinement import FEWEST_SPLITS, refine
from sweeps.analysis.results import Refined
from sweeps.analysis.sweet_spot import confidence_set, hull
from trainable.moments import epsilon

DRAWS, FEW_SHOWN = 500, 20
"""Studies a cell; of a share of fewer than the second nothing is concluded."""
SPLITS = (FEWEST_SPLITS, 6, 8)
CLOSE = 1e-9
Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What the simulated studies of one cell gave. `shown`: the share with a refined interval; `quadratic`: its share by one.

    `covered` of those shown (of flat: None), `answered` of all; `width` of the interval over that of the hull, a mean.
    """

    curve: str
    kind: str
    scale: str
    num_splits: int
    draws: int
    shown: float
    quadratic: float
    covered: float | None
    answered: float
    width: float

    def __str__(self) -> str:
        covered = "    -" if self.covered is None else f"{self.covered:.3f}"
        return (f"{self.curve:16} {self.kind:26} {self.scale:6} S={self.num_splits}  shown {self.shown:.3f} (quadratic "
                f"{self.quadratic:.2f})  covers {covered}  answer covers {self.answered:.3f}  width {self.width:.2f}  "
                f"n={self.draws}")


def answer(risk_SA: np.ndarray) -> tuple[Span, Span | None, str]:
    """(hull, refined interval or None, its method) in epsilon, as the report has them."""
    arms = compare(risk_SA)
    if arms is None:
        return (0.0, float(EPSILON_A[-1])), None, ""
    low, high = hull([ALPHAS[place] for place in arms.kept_A], confidence_set(arms))
    found = refine(risk_SA, ALPHAS, (low, high))
    outer = (float(epsilon(low)), float(epsilon(high)))
    if not isinstance(found, Refined):
        return outer, None, ""
    return outer, (float(epsilon(found.low)), float(epsilon(found.high))), found.method


def cell(curve: str, kind: str, scale: str, num_splits: int, draws: int = DRAWS) -> Cell:
    """One cell of the table."""
    answers = [answer(risk_SA) for risk_SA in simulate(curve, kind, num_splits, SCALES[scale], draws)]
    shown = [(outer, span, method) for outer, span, method in answers if span is not None]
    optima = [OPTIMA[curve]] if curve in OPTIMA else EPSILON_A.tolist()
    final = [span or outer for outer, span, _ in answers]
    widths = [(span[1] - span[0]) / (outer[1] - outer[0]) for outer, span, _ in shown if outer[1] > outer[0]]
    return Cell(
        curve=curve, kind=kind, scale=scale, num_splits=num_splits, draws=draws, shown=len(shown) / draws,
        quadratic=sum(method.startswith("quadratic") for *_, method in shown) / max(len(shown), 1),
        covered=None if curve == FLAT_CURVE or not shown else held([span for _, span, _ in shown], optima),
        answered=held(final, optima), width=float(np.mean(widths)) if widths else 1.0)


def held(spans: list[Span], optima: list[float]) -> float:
    """How often the worst-covered of these optima lies in its interval."""
    return min(sum(low - CLOSE <= optimum <= high + CLOSE for low, high in spans) / len(spans) for optimum in optima)


def cells(kinds: tuple[str, ...] = KINDS, draws: int = DRAWS) -> Iterator[Cell]:
    """Every cell: curves x kinds of noise x its scale x number of splits."""
    for kind in kinds:
        for curve in CURVES:
            for scale in ("usual",) if curve == FLAT_CURVE else SCALES:
                for num_splits in SPLITS:
                    yield cell(curve, kind, scale, num_splits, draws)


def refined() -> str:
    """The table with what its columns mean, ready to print."""
    found = list(cells())
    lines = ["| noise | curve | shown | of it by a quadratic | covers where shown | answer covers | width |", "|---" * 7 + "|"]
    for kind, curve in dict.fromkeys((one.kind, one.curve) for one in found):
        own = [one for one in found if (one.kind, one.curve) == (kind, curve)]
        columns = [[one.shown for one in own], [one.quadratic for one in own],
                   [one.covered for one in own if one.covered is not None], [one.answered for one in own],
                   [one.width for one in own]]
        lines.append(f"| {kind} | {curve} | {' | '.join(map(_span, columns))} |")
    most = [one.covered for one in found if one.covered is not None and one.shown * one.draws >= FEW_SHOWN]
    return "\n".join(lines) + (
        f"\n\nShares of {DRAWS:,} simulated studies a cell (7 rungs), lowest to highest over noise light, usual, heavy and S = "
        f"{', '.join(map(str, SPLITS))} splits. Where {FEW_SHOWN} or more are shown in a cell, {min(most):.1%} of them cover at "
        f"least; answer: that interval, or the hull of the set where none is shown, {min(one.answered for one in found):.1%} at "
        "least; width: over that of the hull. A flat curve has its optimum everywhere: the worst-off rung counts.")


def _span(shares: list[float]) -> str:
    return f"{min(shares):.3f} to {max(shares):.3f}" if shares else "-"
