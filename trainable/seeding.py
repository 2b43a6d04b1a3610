"""Named random streams: every draw of a trial comes from one, and each is a pure function of a root seed and a name.

Owns how a name becomes a seed. Refuses to know what the streams are used for, and never touches a global generator.
"""

import hashlib
import json

import numpy as np

MIXING_STREAMS = frozenset({"pairing", "lam", "box", "layer", "others", "noise"})
"""What a redraw draws anew: who is mixed with whom, how much, where, in which layer, and noise and directions of the input.

Weights, order, augmentation and dropout are not among them, so trials that differ in `redraw` alone differ by the noise of
mixing alone.
"""


def stream_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream `names` under the root `seed`; the same on every machine and in every process.

    Names are kept apart by type and position ("1" is not 1, "a", "b" is not "ab"), so two streams share a seed only by
    an accident of chance 2^-63. Seed 0 is a seed like any other. Raises TypeError for a name that is neither text nor a
    whole number: a float's spelling is not stable enough to name anything.
    """
    for name in (seed, *names):
        if isinstance(name, bool) or not isinstance(name, int | str):
            raise TypeError(f"a stream is named by text and whole numbers, not by {name!r}")
    text = json.dumps([seed, *names])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def replicate_names(name: str, split: int, repeat: int, redraw: int) -> tuple[str | int, ...]:
    """The names of a stream of one replicate. Redraw 0 is the stream without any, and only the mixing streams have others."""
    redrawn = ("redraw", redraw) if redraw and name in MIXING_STREAMS else ()
    return (name, split, repeat, *redrawn)


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """A fresh numpy generator at the start of the stream; its draws are the same whatever device the trial runs on."""
    return np.random.default_rng(stream_seed(seed, *names))
