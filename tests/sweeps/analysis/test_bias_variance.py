"""Decompositions against closed forms and simulated truths.

Axes: M models, N test examples, K classes, S splits.
"""

import weakref

import numpy as np
import pytest

from sweeps.analysis import bias_variance
from sweeps.analysis.bias_variance import decompose, logsumexp
from sweeps.analysis.intervals import jackknife

NUM_EXAMPLES, NUM_CLASSES = 24, 5
LABELS_N = np.random.default_rng(9).integers(NUM_CLASSES, size=NUM_EXAMPLES)


def simulate(num_splits: int, seeds: int, seed: int = 0, split_sd: float = 1.0, seed_sd: float = 0.6) -> np.ndarray:
    """Log-probabilities (S, seeds, N, K) of softmax models whose logits vary with split and seed."""
    stream = np.random.default_rng(seed)
    centre = 2 * np.random.default_rng(8).standard_normal((NUM_EXAMPLES, NUM_CLASSES))
    shape = (NUM_EXAMPLES, NUM_CLASSES)
    z = (centre + split_sd * stream.standard_normal((num_splits, 1, *shape))
         + seed_sd * stream.standard_normal((num_splits, seeds, *shape)))
    return z - logsumexp(z)[..., None]


def flat(z: np.ndarray) -> tuple[list[int], list[np.ndarray]]:
    return np.repeat(np.arange(z.shape[0]), z.shape[1]).tolist(), list(z.reshape(-1, *z.shape[2:]))


def test_squared_error_is_the_sample_variance_and_adds_up_to_the_loss() -> None:
    z_MNK = simulate(6, 1)[:, 0]
    squared, _ = decompose(range(6), list(z_MNK), LABELS_N)
    p_MNK, y_NK = np.exp(z_MNK), np.eye(NUM_CLASSES)[LABELS_N]
    assert squared.variance.value == pytest.approx(p_MNK.var(axis=0, ddof=1).sum(axis=1).mean())
    loss = ((p_MNK - y_NK) ** 2).sum(axis=2).mean()
    assert squared.bias.value + squared.variance.value == pytest.approx(loss)
    assert (squared.num_splits, squared.num_models) == (6, 6)


def test_kl_variance_is_the_mean_divergence_from_the_geometric_mean() -> None:
    z_MNK = simulate(6, 1)[:, 0]
    _, entropic = decompose(range(6), list(z_MNK), LABELS_N)
    centre_NK = z_MNK.mean(axis=0)
    centre_NK -= logsumexp(centre_NK)[:, None]
    divergence = (np.exp(centre_NK) * (centre_NK - z_MNK)).sum(axis=2).mean()
    assert entropic.variance.value * 5 / 6 == pytest.approx(divergence, rel=1e-12)
    nll = -np.take_along_axis(z_MNK, LABELS_N[None, :, None], axis=2).mean()
    assert entropic.bias.value + entropic.variance.value == pytest.approx(nll)


@pytest.mark.parametrize(("num_models", "factor"), [(2, 0.49), (3, 0.66), (5, 0.78), (10, 0.89), (20, 0.95)])
def test_the_correction_undoes_the_bias_of_few_models(num_models: int, factor: float) -> None:
    groups = simulate(150, num_models, seed=3, split_sd=0.0, seed_sd=1.5)
    truth = -logsumexp(groups.mean(axis=(0, 1))).mean()
    corrected = np.mean([decompose(range(num_models), list(group), LABELS_N)[1].variance.value for group in groups])
    assert corrected * (1 - 1 / num_models) / truth == pytest.approx(factor, abs=0.025)
    assert corrected / truth == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("counts", [[2, 2, 2, 2, 2, 2], [1, 3, 2, 4, 1, 1], [1, 1, 1, 1, 1, 5]])
def test_unequal_seeds_per_split_give_unbiased_components(counts: list[int]) -> None:
    big = np.exp(simulate(2500, 2, seed=1))
    init = big.var(axis=1, ddof=1).sum(axis=-1).mean()
    data = big.mean(axis=1).var(axis=0, ddof=1).sum(axis=-1).mean() - init / 2
    found = []
    for draw in range(100):
        z = simulate(len(counts), max(counts), seed=100 + draw)
        splits = np.repeat(np.arange(len(counts)), counts).tolist()
        models = [z[split, seed] for split, count in enumerate(counts) for seed in range(count)]
        squared, _ = decompose(splits, models, LABELS_N)
        found.append((squared.init.value, squared.data.value, squared.variance.value))
    assert np.mean(found, axis=0) == pytest.approx([init, data, init + data], rel=0.04)


def test_kl_components_follow_the_same_design() -> None:
    z = simulate(300, 40, seed=1)
    init = -logsumexp(z.mean(axis=1)).mean()
    data = logsumexp(z.mean(axis=1)).mean() - logsumexp(z.mean(axis=(0, 1))).mean()
    found = [decompose(*flat(simulate(5, 3, seed=100 + draw)), LABELS_N)[1] for draw in range(60)]
    mean = np.mean([(one.init.value, one.data.value, one.variance.value) for one in found], axis=0)
    assert mean == pytest.approx([init, data, init + data], rel=0.06)


def test_seeds_of_one_split_give_no_variance_but_their_own_part() -> None:
    squared, entropic = decompose(*flat(simulate(1, 4)), LABELS_N)
    for found in (squared, entropic):
        assert (found.bias, found.variance, found.data) == (None, None, None)
        assert found.init.value > 0
    assert decompose([3], [simulate(1, 1)[0, 0]], LABELS_N)[0].init is None


def test_intervals_need_three_splits_and_hold_the_truth_at_their_rate() -> None:
    assert decompose(*flat(simulate(2, 3)), LABELS_N)[0].variance.low is None
    z_MNK = simulate(2000, 1, seed=1)[:, 0]
    truth = np.exp(z_MNK).var(axis=0).sum(axis=1).mean(), -logsumexp(z_MNK.mean(axis=0)).mean()
    hits = np.zeros(2)
    for draw in range(100):
        found = decompose(*flat(simulate(4, 1, seed=100 + draw)), LABELS_N)
        hits += [loss.variance.low <= value <= loss.variance.high for loss, value in zip(found, truth, strict=True)]
    assert (hits >= 90).all()


def test_the_interval_is_the_jackknife_over_splits_also_with_unequal_seeds() -> None:
    splits, models = [1, 1, 2, 5, 5, 5, 7], list(simulate(1, 7)[0])
    for place, name in ((0, "variance"), (0, "bias"), (1, "variance"), (1, "init")):
        left_out = []
        for gone in (1, 2, 5, 7):
            kept = [number for number, split in enumerate(splits) if split != gone]
            part = decompose([splits[number] for number in kept], [models[number] for number in kept], LABELS_N)
            left_out.append(getattr(part[place], name).value)
        found = getattr(decompose(splits, models, LABELS_N)[place], name)
        expected = jackknife(found.value, left_out)
        assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_overlap_widens_the_interval_and_moves_no_value() -> None:
    models = flat(simulate(4, 1))
    plain, wide = decompose(*models, LABELS_N)[0].variance, decompose(*models, LABELS_N, overlap=0.25)[0].variance
    assert wide.value == plain.value
    assert wide.high - wide.low == pytest.approx(2**0.5 * (plain.high - plain.low))


def redrawn(num_splits: int, draw: int, sds: tuple[float, float, float]) -> tuple[list[int], list[int], list[np.ndarray]]:
    """(splits, repeats, log-probabilities) of the staggered design: on each split a seed drawn twice, and one once."""
    stream, shape = np.random.default_rng(draw), (NUM_EXAMPLES, NUM_CLASSES)
    centre = 2 * np.random.default_rng(8).standard_normal(shape)
    split = centre + sds[0] * stream.standard_normal((num_splits, 1, *shape))
    seed = split + sds[1] * stream.standard_normal((num_splits, 2, *shape))
    z = seed[:, [0, 0, 1]] + sds[2] * stream.standard_normal((num_splits, 3, *shape))
    models = (z - logsumexp(z)[..., None]).reshape(-1, *shape)
    return np.repeat(np.arange(num_splits), 3).tolist(), [0, 0, 1] * num_splits, list(models)


def test_small_noise_of_known_size_is_recovered_in_all_three_parts_for_both_losses() -> None:
    sds, num_draws = (0.10, 0.07, 0.05), 150
    found = []
    for draw in range(num_draws):
        splits, repeats, models = redrawn(4, draw, sds)
        found.append([[parts.data.value, parts.init.value, parts.mixing.value]
                      for parts in decompose(splits, models, LABELS_N, repeats=repeats)])
    centred = 2 * np.random.default_rng(8).standard_normal((NUM_EXAMPLES, NUM_CLASSES))
    p_NK = np.exp(centred - logsumexp(centred)[:, None])
    jacobian_NKK = p_NK[:, :, None] * (np.eye(NUM_CLASSES) - p_NK[:, None, :])
    slopes = np.array([(jacobian_NKK**2).sum(axis=(1, 2)).mean(), (1 - (p_NK**2).sum(axis=1)).mean() / 2])
    truth = slopes[:, None] * np.square(sds)
    errors = np.std(found, axis=0) / np.sqrt(num_draws)
    assert (np.abs(np.mean(found, axis=0) - truth) < 4 * errors + 0.02 * truth).all()  # 2 %: the noise is small, not nil
    assert (errors < 0.05 * truth).all()


class OneAtATime(list):
    """Models that are made when they are asked for, and counts how many are alive."""

    alive = most = 0

    def __getitem__(self, place: int) -> np.ndarray:
        found = super().__getitem__(place).copy()
        type(self).alive += 1
        type(self).most = max(self.alive, self.most)
        weakref.finalize(found, self.gone)
        return found

    @classmethod
    def gone(cls) -> None:
        cls.alive -= 1


def test_models_are_read_one_at_a_time_whatever_their_number() -> None:
    splits, repeats, models = redrawn(6, 0, (1.0, 0.6, 0.4))
    lazy = OneAtATime(models)
    assert decompose(splits, lazy, LABELS_N, repeats=repeats) == decompose(splits, models, LABELS_N, repeats=repeats)
    assert (lazy.most, lazy.alive) == (2, 0)  # the next one is read before the name of the last one is let go


@pytest.mark.parametrize("loss", [0, 1])
def test_streaming_equals_the_formulas_on_all_models_at_once(loss: int) -> None:
    splits, repeats, models = redrawn(5, 1, (1.0, 0.6, 0.4))
    stack = np.stack(models).reshape(5, 3, NUM_EXAMPLES, NUM_CLASSES)
    x, phi = (np.exp(stack), bias_variance.square) if loss == 0 else (stack, logsumexp)
    mixing = (phi(x[:, :2]).sum(axis=1) - 2 * phi(x[:, :2].mean(axis=1))).mean(axis=0)  # of 1 degree of freedom a split
    seeds = 2 * phi(x[:, :2].mean(axis=1)) + phi(x[:, 2])
    within = (seeds - 3 * phi(x.mean(axis=1))).sum(axis=0)
    init = (within - 5 * mixing) / (15 - 5 * (4 + 1) / 3)
    between = 3 * (phi(x.mean(axis=1)).sum(axis=0) - 5 * phi(x.mean(axis=(0, 1))))
    data = (between - 4 * mixing - (5 * 5 / 3 - 5 * 5 / 15) * init) / (15 - 5 * 9 / 15)
    found = decompose(splits, models, LABELS_N, repeats=repeats)[loss]
    for part, expected in ((found.data, data), (found.init, init), (found.mixing, mixing), (found.variance, data + init + mixing)):
        assert part.value == pytest.approx(expected.mean(), rel=1e-9)
    order = np.random.default_rng(0).permutation(15)
    mixed = decompose([splits[place] for place in order], [models[place] for place in order], LABELS_N,
                      repeats=[repeats[place] for place in order])[loss]
    assert mixed.data.value == pytest.approx(found.data.value, rel=1e-9)


def test_models_that_are_not_there_leave_the_design() -> None:
    splits, repeats, models = redrawn(4, 2, (1.0, 0.6, 0.4))
    gone = {1, 3, 4, 5}  # a redraw, and a whole split
    kept = [place for place in range(12) if place not in gone]
    found = decompose(splits, [None if place in gone else model for place, model in enumerate(models)], LABELS_N, repeats=repeats)
    assert found == decompose([splits[place] for place in kept], [models[place] for place in kept], LABELS_N,
                              repeats=[repeats[place] for place in kept])
    assert (found[0].num_models, found[0].num_splits, found[0].num_seeds) == (8, 3, 6)
    assert decompose([1, 2], [None, None], LABELS_N)[0].num_models == 0


def test_the_classes_add_up_to_the_whole() -> None:
    for found in decompose(*flat(simulate(4, 2)), LABELS_N):
        assert [one.label for one in found.by_class] == sorted(set(LABELS_N.tolist()))
        shares = np.array([one.num_examples for one in found.by_class]) / NUM_EXAMPLES
        assert shares @ [one.bias.value for one in found.by_class] == pytest.approx(found.bias.value, rel=1e-9)
        assert shares @ [one.variance.value for one in found.by_class] == pytest.approx(found.variance.value, rel=1e-9)
        assert all(one.variance.low < one.variance.value < one.variance.high for one in found.by_class)


def test_half_precision_is_close_to_double() -> None:
    splits, models = flat(simulate(4, 1))
    exact = decompose(splits, models, LABELS_N)
    rounded = decompose(splits, [z.astype(np.float16) for z in models], LABELS_N)
    for one, other in zip(exact, rounded, strict=True):
        assert other.bias.value == pytest.approx(one.bias.value, rel=2e-3)
        assert other.variance.value == pytest.approx(one.variance.value, rel=2e-3)


@pytest.mark.filterwarnings("error")
def test_underflowed_log_probabilities_are_floored() -> None:
    sure = np.full((2, NUM_CLASSES), -np.inf, dtype=np.float16)
    sure[:, 0] = 0.0
    unsure = np.log(np.full((2, NUM_CLASSES), 1 / NUM_CLASSES)).astype(np.float16)
    squared, entropic = decompose([1, 2, 3], [sure, sure, unsure], np.array([0, 1]))
    for found in (squared, entropic):
        assert np.isfinite([found.bias.value, found.variance.value, found.variance.low]).all()
    same = decompose([1, 2, 3], [sure] * 3, np.array([0, 1]))
    assert same[1].variance.value == pytest.approx(0.0, abs=1e-9)
    assert same[1].bias.value == pytest.approx(52.0)  # half of the examples at the floor of 104


@pytest.mark.parametrize(("array", "words"), [
    (np.full((NUM_EXAMPLES, NUM_CLASSES), np.nan), "NaN"),
    (np.zeros((NUM_EXAMPLES - 1, NUM_CLASSES)), "23, 5"),
    (np.zeros(NUM_EXAMPLES), "24 test labels"),
    (np.zeros((NUM_EXAMPLES, 2)), "24, 2"),
])
def test_predictions_that_do_not_fit_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decompose([1, 2], [simulate(1, 1)[0, 0], array], LABELS_N)


def test_labels_outside_the_classes_are_refused() -> None:
    for wrong in (-1, NUM_CLASSES):
        with pytest.raises(ValueError, match="5 classes"):
            decompose([1], [simulate(1, 1)[0, 0]], np.full(NUM_EXAMPLES, wrong))
