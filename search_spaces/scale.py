"""The scales of an axis: linear, log and epsilon. Maps a value to the coordinate in which the axis is even, and back.

The epsilon scale belongs to alpha: epsilon = 1 - E max(lambda, 1 - lambda) with lambda ~ Beta(alpha, alpha) grows from
0 at alpha = 0 (plain training) to 1/2 at infinity, so it is bounded and contains both ends, which a log scale cannot.
"""

import math

from trainable.errors import Problem
from trainable.moments import alpha_from_epsilon, epsilon

SCALES = ("linear", "log", "epsilon")


def encode(scale: str, value: float) -> float:
    """The coordinate of `value` in which the axis is even."""
    if scale == "log":
        return math.log(value)
    return float(epsilon(value)) if scale == "epsilon" else float(value)


def decode(scale: str, coordinate: float) -> float:
    """The value at a coordinate: the inverse of `encode`, up to round-off."""
    if scale == "log":
        return math.exp(coordinate)
    return float(alpha_from_epsilon(coordinate)) if scale == "epsilon" else float(coordinate)


def scale_problem(name: str, scale: str, low: float) -> Problem | None:
    """Why an axis from `low` upwards cannot have this scale, or None."""
    if scale == "log" and low <= 0:
        return Problem(f"{name}.low", low, "must be above 0 on a log scale")
    if scale == "epsilon" and name != "alpha":
        return Problem(f"{name}.scale", scale, "is only for alpha; use linear or log")
    return None
