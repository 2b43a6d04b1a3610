"""The registry of datasets: name -> Source.

Owns the names, what is known of each without reading it, and which reader serves it. Refuses to know of torch: every
reader is imported when its dataset is asked for, and gives numpy arrays.
"""

from trainable.data.source import Source, make_source

__all__ = ["Source", "load"]


def load(name: str, *, root: str | None = None, seed: int = 0, download: bool = False) -> Source:
    from trainable.data import digits
    return make_source(name, digits.read(seed))
