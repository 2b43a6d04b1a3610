"""torchvision's v2.MixUp, called as a user calls it, against ours at the lambda it drew: images, labels and loss.

Its lambda is not patched in: the same seed and the same Beta draw give it again. Its pairing is our `roll`.
"""

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

from trainable.mixing import mix
from trainable.objective import mixed_cross_entropy
from trainable.pairing import partners
from trainable.seeding import numpy_stream

B, K = 7, 4


def their_lambda(alpha, seed):
    """The one number that v2.MixUp draws a minibatch, by the same draw at the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return float(torch.distributions.Beta(torch.tensor([alpha]), torch.tensor([alpha])).sample(()))


def their_minibatch(images_BCHW, labels, alpha, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return v2.MixUp(alpha=alpha, num_classes=K)(images_BCHW, labels)


@pytest.fixture
def minibatch():
    stream = torch.Generator().manual_seed(0)
    images_BCHW = torch.randn(B, 3, 5, 4, generator=stream, dtype=torch.float64)
    return images_BCHW, torch.randint(K, (B,), generator=stream), torch.from_numpy(partners(B, "roll", numpy_stream(0)))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0, 32.0])
def test_images_labels_and_loss_agree_at_the_lambda_it_drew(minibatch, alpha, seed):
    images_BCHW, labels_B, partner_B = minibatch
    one_hot_BK = F.one_hot(labels_B, K).double()
    lam = their_lambda(alpha, seed)
    their_images, their_labels = their_minibatch(images_BCHW, one_hot_BK, alpha, seed)
    torch.testing.assert_close(mix(images_BCHW, partner_B, lam), their_images, rtol=0, atol=1e-14)
    torch.testing.assert_close(mix(one_hot_BK, partner_B, lam), their_labels, rtol=0, atol=1e-14)
    logits_BK = 3 * torch.randn(B, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ours = mixed_cross_entropy(logits_BK, torch.eye(K, dtype=torch.float64), labels_B, labels_B[partner_B], lam)
    torch.testing.assert_close(ours, F.cross_entropy(logits_BK, their_labels), rtol=1e-13, atol=0)


def test_whole_labels_and_single_precision_agree_to_single_precision(minibatch):
    images_BCHW, labels_B, partner_B = minibatch
    their_images, their_labels = their_minibatch(images_BCHW.float(), labels_B, 0.4, 3)
    lam = their_lambda(0.4, 3)
    torch.testing.assert_close(mix(images_BCHW.float(), partner_B, lam), their_images, rtol=0, atol=1e-6)
    torch.testing.assert_close(mix(F.one_hot(labels_B, K).float(), partner_B, lam), their_labels, rtol=0, atol=1e-6)


def test_its_lambda_differs_between_seeds():
    assert len({their_lambda(0.4, seed) for seed in range(5)}) == 5
