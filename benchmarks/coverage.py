"""Does the confidence set of the best rung cover? Simulated studies over shapes of the risk curve and kinds of noise.

`python -m benchmarks coverage` prints the table of the README; the slow test holds every cell of it to the promise. The
percentile bootstrap of a fitted parabola's lowest point stands in the same table as a warning: nominal 95 % too.

A simulated study: risk = curve + split + noise of the cell. A flat curve has no scale, so there light and heavy noise are
one. A rung that the rule for missing replicates leaves out is flagged on the page and no part of the statement, so it
counts neither way.

Axes: D simulated studies, S splits, A rungs, B resamples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.arms import compare
from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.sweet_spot import best_rungs, confidence_set, hull, judge
from sweeps.analysis.two_way import fit
from trainable.moments import epsilon

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
EPSILON_A = np.array([epsilon(alpha) for alpha in ALPHAS])
T_A = EPSILON_A / EPSILON_A[-1]
VERTEX = 0.6  # of the way from ERM to the last rung: between alpha 1 (.56) and alpha 3 (.76)
CURVES = {
    "quadratic": 0.10 * (T_A - VERTEX) ** 2,
    "steep then flat": 0.05 * np.maximum(0.0, T_A[3] - T_A) + 0.004 * np.maximum(0.0, T_A - T_A[3]),
    "monotone": 0.05 * (1 - T_A),
    "flat": np.zeros(len(ALPHAS)),
}
OPTIMA = {"quadratic": VERTEX * EPSILON_A[-1], "steep then flat": EPSILON_A[3], "monotone": EPSILON_A[-1]}
FLAT_CURVE = "flat"
SPREADS = {
    "ERM 3 times noisier": np.array([3.0, 1, 1, 1, 1, 1, 1]), "one rung 4 times noisier": np.array([1.0, 1, 1, 4, 1, 1, 1]),
    "noise falls with alpha": np.linspace(2.5, 0.6, 7),
}
HEAVY, LEANING, MISSING = "heavy tails (t, 3 d.f.)", "splits lean to one end", "a sixth missing"
KINDS = ("equal", *SPREADS, HEAVY, LEANING, MISSING)
SCALES = {"light": 0.5, "usual": 1.0, "heavy": 2.0}
SPLITS = (2, 3, 4, 6, 8)
SPLIT_SD, CELL_SD = 0.010, 0.0064
LEAN = 2.5  # standard deviations of a cell, from the middle of the ladder to its end
FLAT_DRAWS, DRAWS, RESAMPLES, BOOTSTRAPPED = 4000, 600, 200, 250


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What the simulated studies of one cell gave, as shares of them; `size` is the mean number of rungs in the set.

    `coverage` is that of the worst-covered truly best rung; `hull` that of the optimum between rungs; `bootstrap` None where
    the curve has no optimum or cells are missing.
    """

    curve: str
    kind: str
    scale: str
    num_splits: int
    draws: int
    coverage: float
    hull: float
    size: float
    bracketed: float
    bootstrap: float | None

    def __str__(self) -> str:
        naive = "    -" if self.bootstrap is None else f"{self.bootstrap:.3f}"
        return (f"{self.curve:16} {self.kind:26} {self.scale:6} S={self.num_splits}  set {self.coverage:.3f}  "
                f"hull {self.hull:.3f}  size {self.size:.2f}  bracketed {self.bracketed:.3f}  bootstrap {naive}  n={self.draws}")


def simulate(curve: str, kind: str, num_splits: int, scale: float, draws: int) -> np.ndarray:
    """Risks (D, S, A) from a stream named by the cell; NaN where missing."""
    stream = np.random.default_rng([KINDS.index(kind), list(CURVES).index(curve), num_splits, round(100 * scale)])
    shape = (draws, num_splits, len(ALPHAS))
    noise = stream.standard_t(3, size=shape) / np.sqrt(3) if kind == HEAVY else stream.standard_normal(shape)
    noise = noise * SPREADS.get(kind, 1.0)
    if kind == LEANING:
        noise = noise + LEAN * stream.standard_normal((draws, num_splits, 1)) * (2 * T_A - 1)
    split = SPLIT_SD * stream.standard_normal((draws, num_splits, 1))
    risk_DSA: np.ndarray = 0.1 + CURVES[curve] + scale * (split + CELL_SD * noise)
    if kind == MISSING:
        risk_DSA[stream.random(shape) < 1 / 6] = np.nan
    return risk_DSA


def sets(risk_DSA: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """(rungs in the set, rungs that took part) of every study, each (D, A): by the product's own rule."""
    if np.isfinite(risk_DSA).all():
        found = fit(risk_DSA)
        error_DAA = np.sqrt(found.factor_DAA * found.noise_DAA)
        inside = best_rungs(found.effect_DA, error_DAA, found.df_D, level)
        return inside, np.ones_like(inside)
    inside = np.zeros((len(risk_DSA), risk_DSA.shape[2]), dtype=bool)
    took_part = np.zeros_like(inside)
    for place, risk_SA in enumerate(risk_DSA):
        arms = compare(risk_SA)
        if arms is None:  # undecided: every measured rung may be the best
            inside[place] = took_part[place] = np.isfinite(risk_SA).any(axis=0)
        else:
            took_part[place, arms.kept_A] = True
            inside[place, arms.kept_A[confidence_set(arms, level)]] = True
    return inside, took_part


def cell(curve: str, kind: str, scale: str, num_splits: int, draws: int) -> Cell:
    """One cell of the table."""
    risk_DSA = simulate(curve, kind, num_splits, SCALES[scale], draws)
    inside, took_part = sets(risk_DSA)
    best = np.flatnonzero(CURVES[curve] == CURVES[curve].min())
    coverage = min(float(inside[took_part[:, rung], rung].mean()) for rung in best)
    judged = took_part[:, best].all(axis=1) if curve != FLAT_CURVE else took_part.any(axis=1)
    optimum = OPTIMA.get(curve)
    held, bracketed = judged_sets(optimum, inside[judged], took_part[judged])
    bootstrap = None if optimum is None or kind == MISSING else bootstrap_coverage(optimum, risk_DSA[:BOOTSTRAPPED])
    return Cell(curve=curve, kind=kind, scale=scale, num_splits=num_splits, draws=draws, coverage=coverage, bootstrap=bootstrap,
                hull=held, size=float(inside.sum(axis=1).mean()), bracketed=bracketed)


def judged_sets(optimum: float | None, inside_DA: np.ndarray, took_part_DA: np.ndarray) -> tuple[float, float]:
    """How often the hull of the set holds the optimum (always where there is none), and how often the verdict is bracketed."""
    pairs, counts = np.unique(np.concatenate([inside_DA, took_part_DA], axis=1), axis=0, return_counts=True)
    holds, bracketed = [], []
    for pair in pairs:
        inside_A, took_part_A = np.split(pair, 2)
        ladder = [alpha for alpha, is_in in zip(ALPHAS, took_part_A, strict=True) if is_in]
        low, high = hull(ladder, inside_A[took_part_A])
        holds.append(optimum is None or epsilon(low) - 1e-9 <= optimum <= epsilon(high) + 1e-9)
        bracketed.append(judge(inside_A[took_part_A]) == "bracketed")
    total = counts.sum()
    return float(counts @ np.array(holds) / total), float(counts @ np.array(bracketed) / total)


def bootstrap_coverage(optimum: float, risk_DSA: np.ndarray) -> float:
    """How often the percentile interval of a fitted parabola's lowest point holds the optimum (nominal 95 %)."""
    stream = np.random.default_rng(7)
    grid = np.linspace(0, EPSILON_A[-1], 201)
    to_grid = np.vander(grid, 3) @ np.linalg.pinv(np.vander(EPSILON_A, 3))
    num_splits, hits = risk_DSA.shape[1], 0
    for risk_SA in risk_DSA:
        mean_BA = risk_SA[stream.integers(num_splits, size=(RESAMPLES, num_splits))].mean(axis=1)
        low, high = np.quantile(grid[(mean_BA @ to_grid.T).argmin(axis=1)], [0.025, 0.975])
        hits += low - 1e-9 <= optimum <= high + 1e-9
    return hits / len(risk_DSA)


def cells(kinds: tuple[str, ...] = KINDS) -> Iterator[Cell]:
    """Every cell: curves x kinds of noise x its scale x number of splits."""
    for kind in kinds:
        for curve in CURVES:
            for scale in ("usual",) if curve == FLAT_CURVE else SCALES:
                for num_splits in SPLITS:
                    yield cell(curve, kind, scale, num_splits, FLAT_DRAWS if curve == FLAT_CURVE else DRAWS)


def summary(found: list[Cell]) -> str:
    """A Markdown table, a row a kind of noise and curve: lowest and highest over scales and splits."""
    sizes = " | ".join(f"size S={num_splits}" for num_splits in SPLITS)
    lines = [f"| noise | curve | set covers | hull covers | {sizes} | called bracketed | naive bootstrap covers | n |",
             "|---" * (7 + len(SPLITS)) + "|"]
    for kind, curve in dict.fromkeys((one.kind, one.curve) for one in found):
        own = [one for one in found if (one.kind, one.curve) == (kind, curve)]
        mean = [float(np.mean([one.size for one in own if one.num_splits == num_splits])) for num_splits in SPLITS]
        naive = [one.bootstrap for one in own if one.bootstrap is not None]
        lines.append(f"| {kind} | {curve} | {_span([one.coverage for one in own])} | {_span([one.hull for one in own])} | "
                     + " | ".join(f"{size:.1f}" for size in mean)
                     + f" | {_span([one.bracketed for one in own])} | {_span(naive)} | {own[0].draws:,} |")
    return "\n".join(lines)


def _span(shares: list[float]) -> str:
    """`96-100 %`, to a tenth of a percent below; - for none."""
    if not shares:
        return "-"
    low, high = (f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low}-{high} %"


def coverage() -> str:
    """The table with what its columns mean, ready to print."""
    found = list(cells())
    least = min(one.coverage for one in found)
    return (f"{summary(found)}\n\nShares of simulated studies (7 rungs; n a cell), lowest to highest over noise light, usual, "
            f"heavy and S = {', '.join(map(str, SPLITS))} splits; size: mean number of rungs in the set. Nominal 95 %; the lowest "
            f"of {len(found)} cells is {100 * least:.1f} %.")
