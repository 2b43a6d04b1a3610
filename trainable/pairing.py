"""Who is mixed with whom: the partner of each example, within its minibatch or anywhere in the training split.

Owns the pairings and what they need to know of the split. Refuses to know of lambda, of models and of alpha.

Axes: N training example in the order of an epoch, T training example in the order of the split, B example of a
minibatch, D number of an input, k neighbour.
"""

import numpy as np
import torch
from torch import Tensor

from trainable.errors import DataError
from trainable.methods import check_neighbors

_ROWS = 1024


def partners(size: int, pairing: str, stream: np.random.Generator) -> np.ndarray:
    """Position of each example's partner within a minibatch of `size`, int64.

    permutation: as in the paper's code; an example meets itself with probability 1/size, and is then not mixed at all
    (one example a minibatch on average: 6 % of them at 16, under 1 % at 128). roll: example b meets b - 1, the first
    meets the last, nobody itself; what torchvision's MixUp does. The order is shuffled anyway, so the pairs are random.
    """
    if pairing == "roll":
        return (np.arange(size) - 1) % size
    return stream.permutation(size)


def same_class(labels_T: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Position in the split of another example of the same class, each of them alike, for every example; int64 (T,).

    Raises DataError where a class has one example only (see `check_classes`).
    """
    check_classes(labels_T)
    order_T = np.argsort(labels_T, kind="stable")
    counts_K = np.bincount(labels_T)
    starts_K = np.concatenate([[0], np.cumsum(counts_K)[:-1]])
    rank_T = np.empty_like(order_T)
    rank_T[order_T] = np.arange(len(labels_T)) - starts_K[labels_T[order_T]]
    counts_T = counts_K[labels_T]
    shift_T = 1 + np.floor(stream.random(len(labels_T)) * (counts_T - 1)).astype(np.int64)
    return order_T[starts_K[labels_T] + (rank_T + shift_T) % counts_T]


def check_classes(labels_T: np.ndarray) -> None:
    """Raises DataError, naming them, when some class that occurs has a single example, which then has no partner."""
    lonely = np.flatnonzero(np.bincount(labels_T) == 1)
    if len(lonely):
        shown = ", ".join(map(str, lonely[:10])) + (" ..." if len(lonely) > 10 else "")
        raise DataError(f"pairing = same_class: {len(lonely)} classes have one training example only ({shown}); each needs "
                        "two; raise train_size or choose another pairing")


@torch.inference_mode()
def nearest_neighbors(inputs_TD: Tensor, num_neighbors: int) -> Tensor:
    """Positions of each input's nearest others by Euclidean distance, nearest first, int64 (T, k), on the same device.

    The example itself is no neighbour of itself; of equal inputs one is. Takes T x 1024 numbers at a time.
    """
    check_neighbors(len(inputs_TD), num_neighbors)
    inputs_TD = inputs_TD - inputs_TD.mean(dim=0)  # distances are the same, and no digits go into a common offset
    norms_T = inputs_TD.square().sum(dim=1)
    found = []
    for start in range(0, len(inputs_TD), _ROWS):
        rows_RD = inputs_TD[start:start + _ROWS]
        distances_RT = torch.addmm(norms_T, rows_RD, inputs_TD.T, alpha=-2.0)  # short of |row|^2, which orders nothing
        own_R = torch.arange(len(rows_RD), device=inputs_TD.device)
        distances_RT[own_R, start + own_R] = torch.inf
        found.append(distances_RT.topk(num_neighbors, dim=1, largest=False).indices)
    return torch.cat(found)


def one_neighbor(neighbors_Tk: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """One of the neighbours of every example, each of them alike; int64 (T,)."""
    num_examples, num_neighbors = neighbors_Tk.shape
    return neighbors_Tk[np.arange(num_examples), stream.integers(num_neighbors, size=num_examples)]
