"""Does the confidence set cover? Simulated truths over four shapes of the risk curve, against the naive bootstrap.

`pytest -m slow -s tests/sweeps/analysis/test_coverage.py` prints the table.

Axes: S splits, A rungs.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from sweeps.analysis.sweet_spot import sweet_spot
from trainable.moments import epsilon

ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
EPSILON_A = np.array([epsilon(alpha) for alpha in ALPHAS])
T_A = EPSILON_A / EPSILON_A[-1]

VERTEX = 0.6  # of the way from ERM to the last rung: between alpha 1 (.56) and alpha 3 (.76)
SHAPES = {
    "quadratic": 0.10 * (T_A - VERTEX) ** 2,
    "steep then flat": 0.05 * np.maximum(0.0, T_A[3] - T_A) + 0.004 * np.maximum(0.0, T_A - T_A[3]),
    "monotone": 0.05 * (1 - T_A),
    "flat": np.zeros(len(ALPHAS)),
}
OPTIMA = {"quadratic": VERTEX * EPSILON_A[-1], "steep then flat": EPSILON_A[3], "monotone": EPSILON_A[-1]}
UNEQUAL = {
    "ERM noisier": np.array([3.0, 1, 1, 1, 1, 1, 1]), "noise falls": np.linspace(2.5, 0.6, 7),
    "one noisier": np.array([1.0, 1, 1, 4, 1, 1, 1]),
}
NOISE = {"light": 0.5, "usual": 1.0, "heavy": 2.0}
SPLIT_SD, CELL_SD, SEED_SD = 0.010, 0.004, 0.005


@dataclass
class Tally:
    """What a number of simulated studies gave."""

    coverage: float
    hull_coverage: float
    set_size: float
    bracketed: float

    def __str__(self) -> str:
        return (f"set {self.coverage:.3f} hull {self.hull_coverage:.3f} size {self.set_size:.2f} "
                f"bracketed {self.bracketed:.3f}")


def simulate(shape: str, num_splits: int, draws: int, noise: float, spread_A: np.ndarray | float = 1.0) -> np.ndarray:
    """Risks (draws, S, A): the curve + split + arm x split + seed, from a stream named by all arguments."""
    stream = np.random.default_rng([sum(map(ord, shape)), num_splits, draws, round(100 * noise)])
    split = SPLIT_SD * stream.standard_normal((draws, num_splits, 1))
    cell = np.hypot(CELL_SD, SEED_SD) * spread_A * stream.standard_normal((draws, num_splits, len(ALPHAS)))
    return 0.1 + SHAPES[shape] + noise * (split + cell)


def tally(shape: str, risks: np.ndarray) -> Tally:
    """Coverage of the worst-covered truly best rung, and of the optimum by the hull."""
    best = [alpha for alpha, risk in zip(ALPHAS, SHAPES[shape], strict=True) if risk == SHAPES[shape].min()]
    covered, hulls, sizes, bracketed = np.zeros(len(best)), 0, 0, 0
    for risk_SA in risks:
        spot = sweet_spot(risk_SA, ALPHAS)
        covered += [alpha in spot.alphas_in_set for alpha in best]
        optimum = OPTIMA.get(shape)
        inside = optimum is None or epsilon(spot.low) - 1e-9 <= optimum <= epsilon(spot.high) + 1e-9
        hulls += inside
        sizes += len(spot.alphas_in_set)
        bracketed += spot.verdict == "bracketed"
    draws = len(risks)
    return Tally(float(covered.min()) / draws, hulls / draws, sizes / draws, bracketed / draws)


def bootstrap_coverage(shape: str, risks: np.ndarray, resamples: int = 200) -> float:
    """How often the percentile interval of a fitted parabola's lowest point holds the optimum (nominal 95 %)."""
    stream = np.random.default_rng(7)
    grid = np.linspace(0, EPSILON_A[-1], 201)
    to_grid = np.vander(grid, 3) @ np.linalg.pinv(np.vander(EPSILON_A, 3))
    num_splits, hits = risks.shape[1], 0
    for risk_SA in risks:
        resampled = risk_SA[stream.integers(num_splits, size=(resamples, num_splits))].mean(axis=1)
        low, high = np.quantile(grid[(resampled @ to_grid.T).argmin(axis=1)], [0.025, 0.975])
        hits += low - 1e-9 <= OPTIMA[shape] <= high + 1e-9
    return hits / len(risks)


@pytest.mark.parametrize("num_splits", [2, 4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_set_covers_at_its_nominal_rate_and_flat_is_not_called_bracketed(shape: str, num_splits: int) -> None:
    found = tally(shape, simulate(shape, num_splits, 200, 1.0))
    assert found.coverage >= 0.93
    assert found.hull_coverage >= 0.93
    if shape == "flat":
        assert found.bracketed <= 0.05
        assert found.set_size >= 6


@pytest.mark.parametrize("num_splits", [4, 8])
def test_a_clear_optimum_is_bracketed(num_splits: int) -> None:
    found = tally("quadratic", simulate("quadratic", num_splits, 100, 0.5))
    assert found.bracketed >= 0.95
    assert found.set_size <= 3.5


@pytest.mark.slow
def test_coverage_over_shapes_splits_and_noise() -> None:
    print(f"\n{'shape':16} {'noise':6} S  set cov  hull cov  size  bracketed  bootstrap")
    for shape in SHAPES:
        for noise, scale in NOISE.items():
            for num_splits in (2, 3, 4, 6, 8):
                risks = simulate(shape, num_splits, 1000, scale)
                found = tally(shape, risks)
                naive = f"{bootstrap_coverage(shape, risks[:500]):9.3f}" if shape in OPTIMA else f"{'-':>9}"
                print(f"{shape:16} {noise:6} {num_splits}  {found.coverage:7.3f}  {found.hull_coverage:8.3f}  "
                      f"{found.set_size:4.2f}  {found.bracketed:9.3f}  {naive}")
                assert found.coverage >= 0.93
                assert found.hull_coverage >= 0.93
                assert shape != "flat" or found.bracketed <= 0.05


@pytest.mark.slow
def test_coverage_with_a_sixth_of_the_cells_missing() -> None:
    for shape in SHAPES:
        for num_splits in (4, 8):
            risks = simulate(shape, num_splits, 1000, 1.0)
            risks[np.random.default_rng(1).random(risks.shape) < 1 / 6] = np.nan
            found = tally(shape, risks)
            print(f"\n{shape:16} missing 1/6, S = {num_splits}: {found}", end="")
            assert found.coverage >= 0.93
            assert shape != "flat" or found.bracketed <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNEQUAL)
def test_rungs_of_unequal_noise_cost_coverage_where_the_curve_is_nearly_flat(kind: str) -> None:
    """The price of one pooled residual, kept in sight: the noise of one rung is judged by the average of all."""
    for shape in SHAPES:
        for num_splits in (2, 4, 8):
            found = tally(shape, simulate(shape, num_splits, 1000, 1.0, UNEQUAL[kind]))
            print(f"\n{shape:16} {kind}, S = {num_splits}: {found}", end="")
            assert found.coverage >= 0.84
            assert shape != "flat" or found.bracketed <= 0.09
