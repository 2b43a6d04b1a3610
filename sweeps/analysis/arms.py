"""Paired comparison of arms over splits: the additive model risk = arm + split + noise, by least squares.

With every cell filled the effects are the arm means. With cells missing an arm is compared on the splits it has, corrected
for which splits those are, and its standard errors widen. Owns the rule by which arms are left out; refuses to know what an
arm is, what the risk measures, and how noise is judged (two_way).

Axes: S splits, A arms.
"""

import math
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.two_way import fit


@dataclass(frozen=True, kw_only=True)
class PairedArms:
    """Effects of the arms that could be compared. `kept_A` are their positions among all arms asked about.

    `noise_AA`: variance of one cell as the difference of two arms sees it; `factor_AA` times it is the square of that
    difference's standard error, but for the overlap of splits. `df` goes with it. `own_A`: the variance of each arm's cells.
    """

    kept_A: np.ndarray
    effect_A: np.ndarray
    factor_AA: np.ndarray
    noise_AA: np.ndarray
    own_A: np.ndarray
    mean_square: float
    residual_df: float
    df: float
    num_splits: int
    overlap: float

    def difference(self, first: int, second: int) -> tuple[float, float]:
        """effect[first] - effect[second] and its standard error (0 for an arm against itself)."""
        return float(self.effect_A[first] - self.effect_A[second]), float(self.standard_errors(second)[first])

    def standard_errors(self, other: int) -> np.ndarray:
        """Standard error of every arm's difference from `other`.

        The factor is 1/S + 1/S for a full table; splits that overlap add 2 n_val/n_train (Nadeau and Bengio 2003).
        """
        factor_A = self.factor_AA[other] + 2 * self.overlap
        factor_A[other] = 0.0
        se_A: np.ndarray = np.sqrt(self.noise_AA[other] * factor_A)
        return se_A


def compare(risk_SA: np.ndarray, overlap: float = 0.0) -> PairedArms | None:
    """The arms' effects, or None where nothing can be compared: fewer than two splits or arms, or no residual freedom.

    Missing cells are NaN. Left out: arms with results on fewer than half of the splits, then arms that no chain of
    shared splits links to the others.
    """
    kept_A = comparable(risk_SA)
    table = risk_SA[:, kept_A]
    table = table[np.isfinite(table).any(axis=1)]
    num_splits, num_arms = table.shape
    filled = np.isfinite(table)
    if num_splits < 2 or num_arms < 2 or int(filled.sum()) - num_splits - num_arms + 1 < 1:
        return None
    found = fit(np.where(filled, table, np.nan)[None])
    mean_square = float(found.mean_square_D[0])
    if mean_square <= (1e-9 * max(1e-6, float(np.abs(table[filled]).max()))) ** 2:
        mean_square = 0.0  # rounding, not noise
    return PairedArms(kept_A=kept_A, effect_A=found.effect_DA[0], factor_AA=found.factor_DAA[0], own_A=found.own_DA[0],
                      noise_AA=found.noise_DAA[0], mean_square=mean_square, residual_df=float(found.residual_df_D[0]),
                      df=float(found.df_D[0]), num_splits=num_splits, overlap=overlap)


def comparable(risk_SA: np.ndarray) -> np.ndarray:
    """Positions of the arms that have results on at least half of the splits and are linked to each other."""
    filled = np.isfinite(risk_SA)
    num_splits = int(filled.any(axis=1).sum())
    kept_A = np.flatnonzero((2 * filled.sum(axis=0) >= num_splits) & filled.any(axis=0))
    if not len(kept_A):
        return kept_A
    shared = (filled[:, kept_A].T.astype(int) @ filled[:, kept_A]) > 0
    linked = shared.astype(int)
    for _ in range(math.ceil(math.log2(len(kept_A))) + 1 if len(kept_A) > 1 else 0):
        linked = ((linked @ linked) > 0).astype(int)
    largest = linked[int(linked.sum(axis=1).argmax())] > 0
    return kept_A[largest]
