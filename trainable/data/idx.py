"""The IDX format of MNIST and its kin: a header with type and shape, then the values; plain or gzip-compressed.

Owns decoding one file. Refuses to know which dataset it belongs to.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from trainable.errors import DataError

_UNSIGNED_BYTE = 0x08  # the only value type in use for images and labels of classes


def read_idx(path: Path, num_axes: int) -> np.ndarray:
    """The uint8 array in an IDX file of `num_axes` axes; read-only. A path that ends in .gz is decompressed.

    Raises DataError naming the file when it cannot be read, is no IDX file of bytes with that many axes, or holds fewer
    or more values than its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:  # gzip's own BadGzipFile is an OSError
        raise DataError(f"{path}: cannot be read, the file is damaged or truncated: {error}") from error
    header_size = 4 + 4 * num_axes
    if len(content) < header_size or content[:4] != bytes((0, 0, _UNSIGNED_BYTE, num_axes)):
        raise DataError(f"{path}: begins with {content[:4].hex() or 'nothing'}, must be an IDX file of bytes with "
                        f"{num_axes} axes (0000080{num_axes})")
    shape = tuple(int(extent) for extent in np.frombuffer(content, ">u4", num_axes, offset=4))
    if len(content) - header_size != math.prod(shape):
        raise DataError(f"{path}: the header announces {' x '.join(map(str, shape))} = {math.prod(shape)} values, "
                        f"the file holds {len(content) - header_size}")
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)
