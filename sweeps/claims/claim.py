"""What a claim is: a sentence of a source, and the contrasts of a study that would bear it out or not.

Every contrast is linear in what was measured: a weighted sum over cells, or over their logarithms, taken split by split. So
differences, interactions, slopes and ratios are one thing, with one interval and one rule for the verdict. Owns the shapes and
the ways to build a contrast. Refuses to know trials, intervals and verdicts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sweeps.records import rung_name
from trainable.moments import epsilon

FIRST, LAST = "first", "last"
"""A step of the model ladder by its place, so that a claim on capacity can be asked of any ladder."""
POINTS, NATS, RATIO, SHARE = "points", "nats", "ratio", "share"
"""How a contrast is read: hundredths of a fraction; as it is; e to its power; hundredths of a trial's epochs."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number a split: a metric of one arm. `capacity`: FIRST or LAST of the study's ladder; LAST where there is one."""

    study: str
    arm: str
    metric: str
    capacity: str = LAST


Terms = tuple[tuple[float, Cell], ...]


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """Where the contrast lies if the claim is true: an interval, open to one side for a claim of direction."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.low, self.high) == (-math.inf, math.inf):
            raise ValueError(f"({self.low}, {self.high}): a claim must leave out something and allow something")


BELOW_0, ABOVE_0 = Claimed(high=0.0), Claimed(low=0.0)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One contrast of a claim: what it says in a line, the cells it is made of, where it is claimed to lie.

    With `unit` RATIO the terms are of logarithms, and `claimed` is too.
    """

    says: str
    terms: Terms
    claimed: Claimed
    unit: str = POINTS

    @property
    def studies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.study for _, cell in self.terms))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a source and what tests it. The first of `parts` decides the verdict, declared before anything ran.

    `says` is the claim in our words, `supported_by` what would bear it out, `untested` what of it these studies cannot ask.
    `explains`: verdict -> what may be behind it.
    """

    id: str
    source: str
    says: str
    supported_by: str
    parts: tuple[Part, ...]
    untested: str = ""
    explains: Mapping[str, str] = field(default_factory=dict)

    @property
    def studies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(study for part in self.parts for study in part.studies))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that is measured for it, in order, each once."""
        return tuple(dict.fromkeys(cell for part in self.parts for _, cell in part.terms))


def rung(alpha: float) -> str:
    """The arm that is the ladder's rung of this alpha."""
    return rung_name(alpha)


def difference(study: str, metric: str, arm: str, base: str, capacity: str = LAST) -> Terms:
    """metric(arm) - metric(base); of the logarithms where the part is read as a ratio."""
    return ((1.0, Cell(study=study, arm=arm, metric=metric, capacity=capacity)),
            (-1.0, Cell(study=study, arm=base, metric=metric, capacity=capacity)))


def change(study: str, arm: str, metric: str, base: str) -> Terms:
    """metric - base of one arm: two ways to judge the same model."""
    return (1.0, Cell(study=study, arm=arm, metric=metric)), (-1.0, Cell(study=study, arm=arm, metric=base))


def minus(first: Terms, second: Terms) -> Terms:
    """first - second: the interaction, where both are differences."""
    return (*first, *((-weight, cell) for weight, cell in second))


def mean(several: Sequence[Terms]) -> Terms:
    """The mean of contrasts, such as one a study."""
    return tuple((weight / len(several), cell) for terms in several for weight, cell in terms)


def slope(study: str, metric: str, alphas: Sequence[float], capacity: str = LAST) -> Terms:
    """Least-squares slope of the metric in epsilon(alpha) over these rungs."""
    x = [epsilon(alpha) for alpha in alphas]
    centre = sum(x) / len(x)
    squares = sum((each - centre) ** 2 for each in x)
    return tuple(((each - centre) / squares, Cell(study=study, arm=rung(alpha), metric=metric, capacity=capacity))
                 for each, alpha in zip(x, alphas, strict=True))


def of_study(terms: Terms, study: str) -> Terms:
    """The same contrast in another study."""
    return tuple((weight, replace(cell, study=study)) for weight, cell in terms)
