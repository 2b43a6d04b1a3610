"""What a minibatch mixed with itself estimates: the exact risk, but for how often an example meets itself.

A minibatch of B mixed with a permutation of itself has, in expectation, 1/B of the risk of self pairs (plain ERM) and 1 - 1/B
of the risk of true pairs; the exact risk has 1/n in place of 1/B, so they agree at B = n. A roll never has self pairs.

Axes: N example, B example of a minibatch.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from tests.trainable.proofs.problem import Problem, expected_pair_losses, random_problem, soft_cross_entropy
from tests.trainable.proofs.quadrature import beta_nodes
from trainable.config import TrialConfig
from trainable.mixing import Pairs, blend
from trainable.pairing import partners
from trainable.seeding import numpy_stream
from trainable.vicinity import Examples, draw_epoch

ALPHA = 0.4


def pair_losses(case):
    return expected_pair_losses(case, soft_cross_entropy, beta_nodes(ALPHA, ALPHA)).numpy()


def fitted_problem(num_examples):
    """Labels are the net's own predictions, so that self pairs cost far less than true ones, as they do after training."""
    case = random_problem(num_examples, seed=2)
    return Problem(case.inputs_ND, (5 * case.net(case.inputs_ND)).softmax(1), lambda x_BD: 5 * case.net(x_BD))


def self_and_true_risk(losses_NN):
    own, num_examples = np.trace(losses_NN), len(losses_NN)
    return own / num_examples, (losses_NN.sum() - own) / (num_examples * (num_examples - 1))


@pytest.mark.parametrize(("num_examples", "size"), [(5, 1), (5, 2), (5, 3), (5, 5), (4, 4)])
def test_a_permuted_minibatch_has_one_in_its_size_of_self_pair_risk(num_examples, size):
    losses_NN = pair_losses(random_problem(num_examples, seed=2))
    means = [np.mean([losses_NN[batch[b], batch[permutation[b]]] for b in range(size)])
             for batch in itertools.combinations(range(num_examples), size)
             for permutation in itertools.permutations(range(size))]
    own, true = self_and_true_risk(losses_NN)
    assert np.mean(means) == pytest.approx(own / size + (1 - 1 / size) * true, abs=1e-14)
    bias = (1 / size - 1 / num_examples) * (own - true)
    assert np.mean(means) == pytest.approx(losses_NN.mean() + bias, abs=1e-14)
    assert (abs(bias) > 1e-3) == (size < num_examples)


@pytest.mark.parametrize(("num_examples", "size"), [(5, 2), (5, 3), (5, 5), (4, 4)])
def test_a_rolled_minibatch_has_the_risk_of_true_pairs_alone(num_examples, size):
    losses_NN = pair_losses(random_problem(num_examples, seed=2))
    partner_B = partners(size, "roll", numpy_stream(0))
    means = [losses_NN[batch, np.array(batch)[partner_B]].mean()
             for batch in itertools.permutations(range(num_examples), size)]
    assert np.mean(means) == pytest.approx(self_and_true_risk(losses_NN)[1], abs=1e-14)


@pytest.mark.parametrize("size", [3, 4])
def test_every_permutation_is_equally_likely(size):
    stream, draws = numpy_stream(0, "law of pairing"), 200 * math.factorial(size)
    counts = dict.fromkeys(itertools.permutations(range(size)), 0)
    for _ in range(draws):
        counts[tuple(partners(size, "permutation", stream).tolist())] += 1
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize(("pairing", "self_share"), [("permutation", 1 / 3), ("roll", 0.0)])
@pytest.mark.parametrize("lam_per", ["batch", "sample"])
def test_drawn_epochs_have_this_risk(lam_per, pairing, self_share):
    num_examples, num_epochs = 60, 300
    case = fitted_problem(num_examples)
    streams = {name: numpy_stream(0, name) for name in ("order", "pairing", "lam")}
    config = TrialConfig(alpha=ALPHA, batch_size=3, pairing=pairing, lam_per=lam_per)
    examples = Examples(np.zeros(num_examples, int))

    def epoch_loss():
        drawn = draw_epoch(config, examples, 1, streams.__getitem__)
        order, partner, lam = (torch.from_numpy(one) for one in (drawn.order_N, drawn.partner_N, drawn.lam_N))
        inputs, labels = (blend(values[order], Pairs(lam, images_BX=values[partner]))
                          for values in (case.inputs_ND, case.labels_NK))
        return soft_cross_entropy(labels, case.net(inputs)).mean().item()

    losses = [epoch_loss() for _ in range(num_epochs)]
    error = np.std(losses) / math.sqrt(num_epochs)
    self_risk, true_risk = self_and_true_risk(pair_losses(case))
    assert np.mean(losses) == pytest.approx(self_share * self_risk + (1 - self_share) * true_risk, abs=4 * error)
    assert abs(self_risk - true_risk) / 6 > 8 * error  # so a share of 1/6 or 1/2 in place of 1/3 would be seen
