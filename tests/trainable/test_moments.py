"""The mixing distribution, against published values, closed forms, quadrature and scipy.stats."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from trainable.moments import alpha_from_epsilon, epsilon, gamma2, lam_from_uniform, sigma2, theta_bar

TABLE = [  # alpha, epsilon, sigma2, gamma2
    (0.0, 0.0, 0.0, 0.0),
    (0.1, 0.058424, 0.013344, 0.016758),
    (0.2, 0.101190, 0.019522, 0.029762),
    (0.4, 0.160242, 0.023454, 0.049131),
    (1.0, 1 / 4, 1 / 48, 1 / 12),
    (2.0, 0.3125, 0.014844, 0.1125),
    (8.0, 0.401810, 0.005065, 0.166516),
    (32.0, 0.450327, 0.001379, 0.204173),
    (math.inf, 0.5, 0.0, 0.25),
]
ALPHAS = [1e-3, 0.1, 0.4, 1.0, 2.5, 8.0, 32.0, 1e3]


@pytest.mark.parametrize(("alpha", "epsilon_", "sigma2_", "gamma2_"), TABLE)
def test_moments_agree_with_the_table_to_six_digits(alpha, epsilon_, sigma2_, gamma2_):
    assert epsilon(alpha) == pytest.approx(epsilon_, abs=6e-7)
    assert theta_bar(alpha) == pytest.approx(1 - epsilon_, abs=6e-7)
    assert sigma2(alpha) == pytest.approx(sigma2_, abs=6e-7)
    assert gamma2(alpha) == pytest.approx(gamma2_, abs=6e-7)


@pytest.mark.parametrize("alpha", [1e-3, 0.1, 0.4, 1.0, 2.5, 8.0, 32.0])
def test_moments_agree_with_quadrature(alpha):
    def mean(function):  # over theta = max(lam, 1 - lam) in [1/2, 1], with the endpoint's power as quad's own weight
        weight = {"weight": "alg", "wvar": (0.0, alpha - 1.0)}
        value, _ = integrate.quad(lambda t: function(t) * t ** (alpha - 1.0), 0.5, 1.0, **weight)
        return 2.0 * value / special.beta(alpha, alpha)

    first = mean(lambda t: t)
    assert theta_bar(alpha) == pytest.approx(first, rel=1e-9)
    assert sigma2(alpha) == pytest.approx(mean(lambda t: (t - first) ** 2), rel=1e-7)
    assert gamma2(alpha) == pytest.approx(mean(lambda t: (1 - t) ** 2), rel=1e-7)


@pytest.mark.parametrize("alpha", [1e-6, 0.1, 1.0, 7.0, 900.0, 1e6])
def test_epsilon_agrees_with_its_closed_form(alpha):
    log_gap = -2 * alpha * math.log(2) - math.log(alpha) - special.betaln(alpha, alpha)
    assert epsilon(alpha) == pytest.approx(0.5 - math.exp(log_gap), abs=1e-9)


def test_epsilon_rises_strictly():
    values = [epsilon(alpha) for alpha in np.geomspace(1e-9, 1e6, 400)]
    assert all(low < high for low, high in itertools.pairwise(values))


@pytest.mark.parametrize("alpha", [1e-12, 1e-3, 0.1, 0.4, 1.0, 3.0, 32.0, 1e3, 1e6])
def test_alpha_comes_back_from_its_epsilon(alpha):
    assert alpha_from_epsilon(epsilon(alpha)) == pytest.approx(alpha, rel=1e-11)


def test_the_ends_of_epsilon_are_exact():
    assert alpha_from_epsilon(0.0) == 0.0
    assert alpha_from_epsilon(0.5) == math.inf
    assert alpha_from_epsilon(0.25) == pytest.approx(1.0, rel=1e-14)


@given(st.floats(0.0, 0.4999))
def test_epsilon_comes_back_from_its_alpha(value):
    assert epsilon(alpha_from_epsilon(value)) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize("value", [-1e-9, 0.5000001, 1.0, math.nan])
def test_an_epsilon_outside_its_range_is_refused(value):
    with pytest.raises(ValueError, match=r"must be in \[0, 0.5\]"):
        alpha_from_epsilon(value)


@pytest.mark.parametrize("function", [epsilon, theta_bar, sigma2, gamma2, lambda a: lam_from_uniform(np.zeros(1), a)])
@pytest.mark.parametrize("alpha", [-1e-9, math.nan, -math.inf])
def test_an_alpha_outside_its_range_is_refused(function, alpha):
    with pytest.raises(ValueError, match="alpha"):
        function(alpha)


@pytest.mark.parametrize("alpha", [0.05, *ALPHAS, 1e6])
def test_lam_is_the_inverse_distribution_function(alpha):
    u = np.concatenate([np.linspace(0.001, 0.999, 301), 2.0 ** -np.arange(2, 50), 1 - 2.0 ** -np.arange(2, 50)])
    u = u[stats.beta.ppf(np.minimum(u, 1 - u), alpha, alpha) > 1e-300]  # below that scipy's own function gives up
    np.testing.assert_allclose(lam_from_uniform(u, alpha), stats.beta.ppf(u, alpha, alpha), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 32.0])
def test_lam_has_the_distribution_it_should(alpha):
    u = (np.arange(20_000) + 0.5) / 20_000
    lam = lam_from_uniform(u, alpha)
    np.testing.assert_allclose(stats.beta.cdf(lam[u < 0.5], alpha, alpha), u[u < 0.5], rtol=1e-9)
    assert np.minimum(lam, 1 - lam).mean() == pytest.approx(epsilon(alpha), abs=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_lam_is_mirrored_exactly(alpha):
    u = np.arange(1, 33) / 64  # 1 - u is exact
    np.testing.assert_array_equal(lam_from_uniform(1 - u, alpha), 1 - lam_from_uniform(u, alpha))


def test_a_larger_alpha_never_moves_lam_away_from_one_half():
    u = np.concatenate([np.random.default_rng(0).random(2000), 10.0 ** -np.arange(1, 300, 7), [0.0, 0.5, 1.0]])
    distances = [np.abs(lam_from_uniform(u, alpha) - 0.5) for alpha in [*np.geomspace(1e-4, 1e6, 60), math.inf]]
    assert all(np.isfinite(distance).all() for distance in distances)
    assert all((closer <= farther).all() for farther, closer in itertools.pairwise(distances))


def test_lam_is_one_everywhere_at_alpha_zero_and_one_half_at_infinity():
    u = np.array([0.0, 0.3, 0.5, 1.0])
    np.testing.assert_array_equal(lam_from_uniform(u, 0.0), np.ones(4))
    np.testing.assert_array_equal(lam_from_uniform(u, math.inf), np.full(4, 0.5))


@pytest.mark.parametrize("shape", [(), (0,), (3, 2)])
def test_lam_keeps_the_shape_and_leaves_the_uniforms_alone(shape):
    u = np.full(shape, 0.2)
    assert lam_from_uniform(u, 2.0).shape == shape
    assert lam_from_uniform(u, 2.0).dtype == np.float64
    assert (u == 0.2).all()
