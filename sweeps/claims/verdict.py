"""Whether a claim holds at this budget: its contrasts, each with an interval, and the one rule that reads them.

The rule. Of each part the contrast is computed split by split, and its mean gets a 95 % Student t interval over splits (n - 1
degrees of freedom), with 1/n + n_val/n_train for splits that overlap (Nadeau and Bengio 2003). The part is `supported` where the
whole interval lies where the claim puts it, `contradicted` where the whole interval lies elsewhere, else `undecided`. The first
part of a claim is its primary contrast, and alone decides the claim; all were declared before anything ran. Nothing is adjusted
for the number of claims: of 40 claims of direction without any effect behind them, one would be called supported.

A part is judged only if every planned split has every cell: trials that failed may be those that would have told against it.
Refuses to know trials, files and texts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.capacity import CONTRADICTED, SUPPORTED, UNDECIDED
from sweeps.analysis.intervals import mean_estimate
from sweeps.analysis.results import Estimate
from sweeps.claims.claim import RATIO, Cell, Claim, Claimed, Part
from sweeps.claims.evidence import Evidence

MIN_SPLITS = 2
"""With fewer there is no spread, hence no interval and no verdict."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The contrast of one part over `n` splits. `reason` says why it is undecided, where that is not the interval's width."""

    part: Part
    estimate: Estimate
    n: int
    verdict: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with the effects of its parts, in their order."""

    claim: Claim
    effects: tuple[Effect, ...]

    @property
    def primary(self) -> Effect:
        return self.effects[0]

    @property
    def verdict(self) -> str:
        return self.primary.verdict


def judge(claim: Claim, evidence: Mapping[str, Evidence]) -> Judged:
    """The claim by what its studies measured, by name of the study. KeyError for a study that is not there."""
    return Judged(claim=claim, effects=tuple(judge_part(part, evidence) for part in claim.parts))


def judge_part(part: Part, evidence: Mapping[str, Evidence]) -> Effect:
    """One contrast and its verdict."""
    planned = min(evidence[study].planned for study in part.studies)
    overlap = max(evidence[study].overlap for study in part.studies)
    contrast = per_split(part, evidence)
    estimate, n = mean_estimate(contrast, overlap=overlap), len(contrast)
    if reason := unfit(part, evidence, contrast, planned):
        return Effect(part=part, estimate=estimate, n=n, verdict=UNDECIDED, reason=reason)
    return Effect(part=part, estimate=estimate, n=n, verdict=read(estimate, part.claimed))


def per_split(part: Part, evidence: Mapping[str, Evidence]) -> np.ndarray:
    """The contrast on each split that has every cell it needs; of logarithms for a ratio. A ratio needs positive values."""
    columns = [(weight, usable(part, evidence[cell.study].values(cell))) for weight, cell in part.terms]
    shared = set.intersection(*(set(values) for _, values in columns))
    return np.array([sum(weight * values[split] for weight, values in columns) for split in sorted(shared)])


def usable(part: Part, values: Mapping[int, float]) -> dict[int, float]:
    if part.unit != RATIO:
        return dict(values)
    return {split: math.log(value) for split, value in values.items() if value > 0}


def read(estimate: Estimate, claimed: Claimed) -> str:
    """The verdict that an interval gives. A bound itself belongs to neither side."""
    if estimate.low is None or estimate.high is None:
        return UNDECIDED
    if claimed.low < estimate.low and estimate.high < claimed.high:
        return SUPPORTED
    return CONTRADICTED if estimate.high < claimed.low or estimate.low > claimed.high else UNDECIDED


def unfit(part: Part, evidence: Mapping[str, Evidence], contrast: np.ndarray, planned: int) -> str:
    """Why no verdict can be given on these numbers, or nothing."""
    if not len(contrast):
        return f"nothing was measured of {', '.join(lacking(part, evidence)) or 'its cells on one split'}"
    if planned < MIN_SPLITS or len(contrast) < MIN_SPLITS:
        return f"an interval needs {MIN_SPLITS} splits, and there is {len(contrast)}"
    if len(contrast) < planned:
        return f"{planned - len(contrast)} of {planned} splits lack a result, and those left may be a favourable selection"
    return "all splits gave the same number, which says nothing of their spread" if np.ptp(contrast) == 0 else ""


def lacking(part: Part, evidence: Mapping[str, Evidence]) -> list[str]:
    """The cells without any value, in words."""
    return [f"{cell.metric} of {cell.arm} in {cell.study}" for _, cell in part.terms if not evidence[cell.study].values(cell)]


def cell_mean(cell: Cell, evidence: Evidence, within: tuple[float, float]) -> tuple[Estimate, int]:
    """The mean of one cell over splits with its interval, cut off at what the metric can be; and how many splits it has."""
    values = list(evidence.values(cell).values())
    return mean_estimate(values, overlap=evidence.overlap, within=within), len(values)
