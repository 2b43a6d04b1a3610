"""When the measure stage may stop before all its splits: the key `measure.until`, and that a wrong one is refused.

Owns what may stand in it. Refuses to know results: what is made of them is sweeps.analysis.races.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from search_spaces.dimension import is_number
from sweeps.study.rules import Parts, Rule
from trainable.config import nearest
from trainable.errors import Problem

FIRST = 3
FEWEST = 2


@dataclass(frozen=True, kw_only=True)
class Until:
    """A race: `first` splits for all, then more for those still tied, until all that is given holds.

    `width`: of the interval of alpha*, in epsilon, at most; `difference`: half width of the interval of risk(ERM) - risk(alpha*),
    in the unit of the objective, at most; `verdict`: probability that all splits would end in the verdict that is told, at least;
    alone, it lets rungs pause on which the verdict does not hang. `max_trials` at each capacity ends it in any case.
    """

    first: int = FIRST
    width: float | None = None
    difference: float | None = None
    verdict: float | None = None
    max_trials: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """What was given, and `first`, as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


NAMES = tuple(Until.__dataclass_fields__)
BOUNDS = {"width": (0.0, 0.5, "a number in (0, 0.5], in epsilon"), "difference": (0.0, 100.0, "a number in (0, 100]"),
          "verdict": (0.5, 1.0, "a probability in (0.5, 1]")}
"""Above the first, at most the second."""


def until_of(parts: Parts) -> Until | None:
    """The race that a study asks for, or None."""
    given: Mapping[str, Any] | None = parts["measure.until"]
    if given is None:
        return None
    values: dict[str, Any] = {name: float(value) if name in BOUNDS else int(value)
                              for name, value in given.items() if value is not None}
    return Until(**values)


def _check_until(parts: Parts) -> Iterator[Problem]:
    given, path = parts["measure.until"], "measure.until"
    if given is None:
        return
    for name, value in given.items():
        if name not in NAMES:
            yield Problem(f"{path}.{name}", value, f"is no key{nearest(str(name), NAMES) or '; they are ' + ', '.join(NAMES)}")
        elif value is not None and (allowed := _complaint(parts, name, value)):
            yield Problem(f"{path}.{name}", value, f"must be {allowed}")
    if all(given.get(name) is None for name in NAMES if name != "first"):
        yield Problem(path, given, "must give width, difference, verdict or max_trials: when to stop")
    if len(parts.alphas) < 2:
        yield Problem(path, given, "needs a ladder of two alphas or more in measure.alphas: alone, alpha 0 has nobody to race")


def _complaint(parts: Parts, name: str, value: Any) -> str | None:
    """What this key of `until` may be, where the value is not."""
    if name in BOUNDS:
        low, high, allowed = BOUNDS[name]
        return None if is_number(value) and low < value <= high else allowed
    whole = isinstance(value, int) and not isinstance(value, bool)
    splits = parts["measure.splits"]
    if name == "first":
        return None if whole and FEWEST <= value <= splits else f"a whole number of splits in [{FEWEST}, {splits}]"
    first = parts["measure.until"].get("first")
    first = min(first if isinstance(first, int) else FIRST, splits)
    per_split = (len(parts.alphas) + len(parts["measure.arms"])) * (parts["measure.seeds"] + parts["measure.redraws"] - 1)
    fewest = first * per_split
    return None if whole and value >= fewest else f"a whole number, at least {fewest}: all on the first splits"


UNTIL: tuple[tuple[tuple[str, ...], Rule], ...] = ((("measure",), _check_until),)
