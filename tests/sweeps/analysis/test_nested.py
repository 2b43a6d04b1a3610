"""Variance components against textbook forms and simulated truths.

Axes: S splits, D draws of the simulation.
"""

import numpy as np
import pytest

from sweeps.analysis.intervals import jackknife
from sweeps.analysis.nested import Components, Counts, Sums, components

TRUTH = (1.0, 0.5, 0.3)
DESIGNS = {  # models by seed, by split
    "crossed": ((2, 2), (2, 2), (2, 2), (2, 2)),
    "staggered": ((3, 1), (3, 1), (3, 1), (3, 1)),
    "ragged": ((2, 1, 1), (1, 3), (2,), (1, 1, 4, 1)),
}


def draw(counts: Counts, truth: tuple[float, float, float], num_draws: int) -> list[list[np.ndarray]]:
    """Numbers (models, D) of each seed of each split, with these variances."""
    stream = np.random.default_rng(0)
    sd_data, sd_init, sd_mixing = np.sqrt(truth)
    found = []
    for split in counts:
        of_split_D = 3.0 + sd_data * stream.standard_normal(num_draws)
        found.append([of_split_D + sd_init * stream.standard_normal(num_draws)
                      + sd_mixing * stream.standard_normal((count, num_draws)) for count in split])
    return found


def estimate(values: list[list[np.ndarray]]) -> Components:
    """The components from sums taken the plain way."""
    of_split = [np.concatenate(split) for split in values]
    whole = np.concatenate(of_split)
    return components([[len(seed) for seed in split] for split in values], Sums(
        (whole**2).sum(axis=0), sum(len(seed) * seed.mean(axis=0)**2 for split in values for seed in split),
        sum(len(split) * split.mean(axis=0)**2 for split in of_split), len(whole) * whole.mean(axis=0)**2))


@pytest.mark.parametrize("name", DESIGNS)
def test_known_variances_are_recovered_without_bias(name: str) -> None:
    found = np.stack(list(estimate(draw(DESIGNS[name], TRUTH, 20_000))))
    errors = found.std(axis=1) / np.sqrt(20_000)
    assert (np.abs(found.mean(axis=1) - [*TRUTH, sum(TRUTH)]) < 4 * errors).all()
    assert (errors < 0.01).all()


def test_balanced_designs_give_the_mean_squares_of_the_textbook() -> None:
    values = draw(DESIGNS["crossed"], TRUTH, 5)
    x = np.array(values)  # splits, seeds, redraws, draws
    mixing = x.var(axis=2, ddof=1).mean(axis=(0, 1))
    between_seeds, between_splits = 2 * x.mean(axis=2).var(axis=1, ddof=1).mean(axis=0), 4 * x.mean(axis=(1, 2)).var(axis=0, ddof=1)
    expected = ((between_splits - between_seeds) / 4, (between_seeds - mixing) / 2, mixing)
    for found, wanted in zip(estimate(values), expected, strict=False):
        assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("counts", "known"), [
    (((1,), (1,), (1,)), "total"), (((2,), (2,), (1,)), "mixing total"), (((1, 1), (1, 1)), "data init total"),
    (((2, 1),), "init mixing"), (((1, 1),), "init"), (((2,),), "mixing"), (((1,),), ""), (((2, 1), (1,)), "data init mixing total"),
])
def test_what_a_design_does_not_identify_is_nan(counts: Counts, known: str) -> None:
    found = dict(zip(("data", "init", "mixing", "total"), estimate(draw(counts, TRUTH, 3)), strict=True))
    assert " ".join(name for name, value in found.items() if np.isfinite(value).all()) == known


@pytest.mark.parametrize(("counts", "init"), [(((1, 1), (1, 1), (1, 1)), 0.8), (((2,), (2,), (3,)), None)])
def test_what_is_not_told_apart_is_in_the_total_all_the_same(counts: Counts, init: float | None) -> None:
    found = estimate(draw(counts, TRUTH, 40_000))
    assert found.total_C.mean() == pytest.approx(sum(TRUTH), abs=0.03)
    assert init is None or found.init_C.mean() == pytest.approx(init, abs=0.02)


def of_vectors(x: np.ndarray) -> np.ndarray:
    """data, init and mixing (3, D) of models (splits, seeds, redraws, D, coordinates), squared error."""
    sums = [(np.prod(x.shape[:3]) // np.prod(x.mean(axis=axes).shape[:-2], dtype=int)) * (x.mean(axis=axes)**2).sum(axis=-1)
            .reshape(-1, x.shape[3]).sum(axis=0) for axes in ((), 2, (1, 2), (0, 1, 2))]
    counts = [[x.shape[2]] * x.shape[1]] * x.shape[0]
    return np.stack(list(components(counts, Sums(*sums)))[:3])


@pytest.mark.parametrize("num_splits", [4, 8])
@pytest.mark.parametrize("coordinates", [5, 50])
def test_leaving_splits_out_covers_where_bootstraps_do_not(num_splits: int, coordinates: int) -> None:
    """The table in bias_variance: how often nominal 95 % intervals hold the truth."""
    stream, num_draws = np.random.default_rng(1), 400
    x = sum(np.sqrt(value / coordinates) * stream.standard_normal((num_splits, *shape, num_draws, coordinates))
            for value, shape in zip(TRUTH, ((1, 1), (2, 1), (2, 2)), strict=True))
    truth = np.array(TRUTH)[:, None]
    full, left_out = of_vectors(x), np.array([of_vectors(np.delete(x, split, axis=0)) for split in range(num_splits)])
    found = [[jackknife(full[part, draw], left_out[:, part, draw]) for draw in range(num_draws)] for part in range(3)]
    covered = np.mean([[one.low <= TRUTH[part] <= one.high for one in found[part]] for part in range(3)], axis=1)
    assert (covered >= 0.88).all()
    tops, nested = [], []
    for _ in range(100):
        top = x[stream.integers(num_splits, size=num_splits)]
        seeds, redraws = stream.integers(2, size=(num_splits, 2)), stream.integers(2, size=(num_splits, 2, 2))
        tops.append(of_vectors(top))
        drawn = np.take_along_axis(top, seeds[..., None, None, None], axis=1)
        nested.append(of_vectors(np.take_along_axis(drawn, redraws[..., None, None], axis=2)))
    share_top, share_nested = (((low <= truth) & (truth <= high)).mean(axis=1)
                               for low, high in (np.quantile(draws, [0.025, 0.975], axis=0) for draws in (tops, nested)))
    assert share_top.max() < 0.93
    assert share_nested[2] < 0.60
