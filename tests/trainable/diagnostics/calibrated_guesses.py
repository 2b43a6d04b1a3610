"""Predictions of a network that is calibrated by construction: labels are drawn from them."""

import numpy as np

from trainable.diagnostics.calibration import scaled


def guesses(num_examples, num_classes=10, spread=3.0, seed=0):
    """Log-probabilities of normal logits, and labels drawn from them: a network that is calibrated by construction."""
    stream = np.random.default_rng(seed)
    log_probabilities = scaled(stream.normal(scale=spread, size=(num_examples, num_classes)))
    return log_probabilities, draw(log_probabilities, stream)


def draw(log_probabilities, stream):
    uniforms = stream.random((len(log_probabilities), 1))
    return (np.exp(log_probabilities).cumsum(axis=1) < uniforms).sum(axis=1).clip(max=log_probabilities.shape[1] - 1)
