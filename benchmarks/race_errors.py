"""What a race for the verdict costs and gets wrong, on the simulated studies of `benchmarks.coverage` with eight splits.

`python -m benchmarks race_errors` prints the table. Beside the race stands the confidence set of all splits, from the same studies:
its errors are the price that is paid anyway. Axes: D simulated studies, S splits, A rungs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage import ALPHAS, CURVES, FLAT_CURVE, KINDS, SCALES, sets, simulate
from sweeps.analysis.race_answer import raced_spot
from sweeps.analysis.races import Field, run_race
from sweeps.analysis.sweet_spot import judge
from sweeps.study.until import Until

UNTIL, NUM_SPLITS, DRAWS = Until(verdict=0.9, first=2), 8, 500
FIELD = Field(alphas=ALPHAS, arms=(), splits=NUM_SPLITS, per_split=1, overlap=0.0)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Shares of the simulated studies of one cell; `share` is that of all trials which the race ran.

    `left_out`: the worst-off truly best rung is not in the set; `bracketed`: so called; `same`: the verdict of all splits.
    """

    curve: str
    kind: str
    scale: str
    draws: int
    share: float
    same: float
    left_out: float
    left_out_by_all: float
    bracketed: float
    bracketed_by_all: float

    def __str__(self) -> str:
        return (f"{self.curve:16} {self.kind:26} {self.scale:6} share {self.share:.2f}  same {self.same:.3f}  best left out "
                f"{self.left_out:.3f} (all splits {self.left_out_by_all:.3f})  bracketed {self.bracketed:.3f} "
                f"({self.bracketed_by_all:.3f})  n={self.draws}")


def cell(curve: str, kind: str, scale: str, draws: int = DRAWS, until: Until = UNTIL) -> Cell:
    """One cell of the table."""
    risk_DSA = simulate(curve, kind, NUM_SPLITS, SCALES[scale], draws)
    whole_DA, took_part_DA = sets(risk_DSA)
    whole_DA = whole_DA | ~took_part_DA  # a rung that was left out for missing results is not excluded
    raced = [race_once(risk_SA, until) for risk_SA in risk_DSA]
    raced_DA = np.array([inside for inside, _ in raced])
    best = np.flatnonzero(CURVES[curve] == CURVES[curve].min())
    verdicts, others = ([judge(inside_A) for inside_A in inside_DA] for inside_DA in (raced_DA, whole_DA))
    return Cell(
        curve=curve, kind=kind, scale=scale, draws=draws, share=float(np.mean([share for _, share in raced])),
        same=float(np.mean([one == other for one, other in zip(verdicts, others, strict=True)])),
        left_out=float((~raced_DA[:, best]).mean(axis=0).max()), left_out_by_all=float((~whole_DA[:, best]).mean(axis=0).max()),
        bracketed=verdicts.count("bracketed") / draws, bracketed_by_all=others.count("bracketed") / draws)


def race_once(risk_SA: np.ndarray, until: Until) -> tuple[np.ndarray, float]:
    """(the set at the end of the race, the share of all trials that it ran)."""
    results = [(arm, row + 1, 0, float(risk) if np.isfinite(risk) else None) for (row, arm), risk in np.ndenumerate(risk_SA)]
    race = run_race(results, FIELD, until)
    spot = raced_spot(race, results, FIELD)
    return np.isin(ALPHAS, spot.alphas_in_set), sum(race.asked_A) / risk_SA.size


def cells(kinds: tuple[str, ...] = KINDS, draws: int = DRAWS) -> Iterator[Cell]:
    """Every cell: curves x kinds of noise x its scale."""
    for kind in kinds:
        for curve in CURVES:
            for scale in ("usual",) if curve == FLAT_CURVE else SCALES:
                yield cell(curve, kind, scale, draws)


def race_errors() -> str:
    """The table with what its columns mean, ready to print."""
    found = list(cells())
    lines = ["| noise | curve | its scale | share of trials | verdict of all splits | a best rung left out | by all splits | "
             "called bracketed | by all splits |", "|---" * 9 + "|"]
    lines += [f"| {one.kind} | {one.curve} | {one.scale} | {one.share:.2f} | {one.same:.0%} | {one.left_out:.1%} | "
              f"{one.left_out_by_all:.1%} | {one.bracketed:.1%} | {one.bracketed_by_all:.1%} |" for one in found]
    worst = max(one.left_out for one in found)
    flat = max(one.bracketed for one in found if one.curve == FLAT_CURVE)
    return "\n".join(lines) + (
        f"\n\nShares of {DRAWS} simulated studies a cell, 7 rungs, {NUM_SPLITS} splits at most, until {UNTIL.to_dict()}. The "
        f"worst-off truly best rung is left out in {worst:.1%} at most of {len(found)} cells, and a flat curve called bracketed in "
        f"{flat:.1%}.")
