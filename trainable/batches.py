"""Batches: an epoch's draws as minibatches on the device, each with all that one step needs.

Owns what is uploaded when (everything drawn, once an epoch; the steps see slices) and where partners' images come from.
Refuses to know of models, losses and learning rates.

Axes: N training example in the order of an epoch, S step (minibatch), B example of a minibatch, D direction, C channel,
H height, W width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable import augment, pairing
from trainable.config import TrialConfig
from trainable.data import Source
from trainable.data.splits import Split
from trainable.device import Device, Images
from trainable.errors import DataError
from trainable.methods import METHODS, check_neighbors, latent_layers
from trainable.mixing import Pairs
from trainable.vicinity import Draws, Examples, Stream

CHUNK = 1024
"""Images looked at together when the whole split is: for its mean, and for its neighbours."""


@dataclass(frozen=True, eq=False)
class Minibatch:
    """What one step needs, on the device. `images_BCHW` are normalised, and not yet moved.

    `pairs` is None where nobody has a partner, `partner_labels_B` where targets are not mixed; `own` is the weight of
    the example's own label, one number or one a sample (B,). `others_DBCHW` and `other_labels_DB`: examples of the split
    that a second-order step looks toward.
    """

    plain: bool
    images_BCHW: Tensor
    labels_B: Tensor
    pairs: Pairs | None = None
    partner_labels_B: Tensor | None = None
    own: float | Tensor = 1.0
    others_DBCHW: Tensor | None = None
    other_labels_DB: Tensor | None = None


def check_fit(config: TrialConfig, labels_T: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Raises DataError where the config's method or pairing cannot work on these training labels and images (C, H, W)."""
    if METHODS[config.method].moves == "paste" and max(shape[1:]) == 1:
        raise DataError(f"method = {config.method}: examples of {shape[1]} x {shape[2]} pixels have no part to paste")
    if config.pairing == "same_class":
        pairing.check_classes(labels_T)
    if config.pairing == "knn":
        check_neighbors(len(labels_T), config.num_neighbors)


class Batches:
    """The training split of one trial, ready to be drawn from."""

    def __init__(self, config: TrialConfig, source: Source, split: Split, place: Device) -> None:
        self.config, self.source, self.split, self.place = config, source, split, place
        self.images: Images = place.place_images(source.images)
        self.normalise = augment.Normalise(source, place.torch_device)
        self._crops = augment.resolve_augment(config, source) == "crop_flip"

    def examples(self, num_latent: int) -> Examples:
        """What the draws of an epoch must know of the split; `num_latent`: hidden layers of the model that may be mixed.

        Raises DataError where a method or pairing does not fit the data, ModelError where `mixing_layers` names a layer too many.
        """
        check_fit(self.config, self.split.train_labels, self.source.shape)
        layers = latent_layers(self.config, num_latent) if METHODS[self.config.method].hidden else (0,)
        neighbors_Tk = self._neighbors() if self.config.pairing == "knn" else None
        return Examples(self.split.train_labels, *self.source.shape[1:], neighbors_Tk, layers)

    def mean_input(self) -> Tensor:
        """x_bar, float32 (1, C, H, W): the mean of what the network sees of the training split, over all augmentations."""
        total_1CHW = torch.zeros((1, *self.source.shape), dtype=torch.float64, device=self.place.torch_device)
        for images_BCHW in self._chunks():
            total_1CHW += images_BCHW.sum(dim=0, keepdim=True, dtype=torch.float64)
        mean_1CHW = total_1CHW / len(self.split.train_index)
        if self._crops:
            mean_1CHW = augment.mean_of_crop_flip(mean_1CHW)
        return self.normalise(mean_1CHW)  # which is affine, so the mean may go through it in place of the images

    def of(self, draws: Draws, stream: Stream) -> Iterator[Minibatch]:
        """The minibatches of one epoch. `stream` gives the random stream of a name in this epoch."""
        sizes = [stop - start for start, stop in draws.bounds]
        labels = self._cut(self.split.train_labels[draws.order_N], sizes)
        steps = zip(self._loaded(draws.order_N, stream("augment"), sizes), labels, self._pairs(draws, stream, sizes),
                    self._targets(draws, sizes), self._others(draws, stream, sizes), strict=True)
        for images_BCHW, labels_B, pairs, (partner_labels_B, own), (others_DBCHW, other_labels_DB) in steps:
            yield Minibatch(draws.plain, images_BCHW, labels_B, pairs, partner_labels_B, own, others_DBCHW, other_labels_DB)

    def _cut(self, values_N: np.ndarray, sizes: Sequence[int]) -> Sequence[Tensor]:
        """Uploaded at once, one slice a step."""
        return self.place.upload(values_N).split(list(sizes))

    def _loaded(self, positions_N: np.ndarray, stream: np.random.Generator, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Normalised images (B, C, H, W) at these positions of the split, augmented anew, a step at a time."""
        index = self.images.index(self.split.train_index[positions_N]).split(list(sizes))
        if not self._crops:
            yield from (self.normalise(self.images.gather(index_B)) for index_B in index)
            return
        draws = self._cut(augment.draw_crop_flip(len(positions_N), self.source.shape[1], stream), sizes)
        for index_B, draws_B3 in zip(index, draws, strict=True):
            yield self.normalise(augment.crop_flip(self.images.gather(index_B), draws_B3))

    def _pairs(self, draws: Draws, stream: Stream, sizes: Sequence[int]) -> Iterator[Pairs | None]:
        num_steps = len(sizes)
        if draws.lam_N is None:
            yield from [None] * num_steps
            return
        nothing: list[Any] = [None] * num_steps
        local = nothing if draws.local_N is None else self._cut(draws.local_N, sizes)
        images: Any = nothing if draws.local_N is not None else self._loaded(draws.partner_N, stream("augment_partner"), sizes)
        boxes = nothing if draws.box_N4 is None else self._cut(draws.box_N4, sizes)
        layers = [0] * num_steps if draws.layer_S is None else draws.layer_S
        yield from map(Pairs, self._weights(draws.lam_N, draws, sizes), local, images, boxes, layers)

    def _targets(self, draws: Draws, sizes: Sequence[int]) -> Iterator[tuple[Tensor | None, float | Tensor]]:
        """The partners' labels and the weight of the example's own, a step at a time."""
        if draws.own_N is None:
            yield from [(None, 1.0)] * len(sizes)
            return
        labels = self._cut(self.split.train_labels[draws.partner_N], sizes)
        yield from zip(labels, self._weights(draws.own_N, draws, sizes), strict=True)

    def _weights(self, values_N: np.ndarray, draws: Draws, sizes: Sequence[int]) -> Sequence[Any]:
        """One number a step where they are equal within it by design, else one a sample (B,) on the device."""
        if self.config.lam_per == "batch":
            return [float(values_N[start]) for start, _ in draws.bounds]
        return self._cut(values_N.astype(np.float32), sizes)

    def _others(self, draws: Draws, stream: Stream, sizes: Sequence[int]) -> Iterator[tuple[Tensor | None, Tensor | None]]:
        if draws.others_DN is None:
            yield from [(None, None)] * len(sizes)
            return
        augmented = stream("augment_others")
        loaded = [self._loaded(positions_N, augmented, sizes) for positions_N in draws.others_DN]
        labels = [self._cut(self.split.train_labels[positions_N], sizes) for positions_N in draws.others_DN]
        for images_D, labels_D in zip(zip(*loaded, strict=True), zip(*labels, strict=True), strict=True):
            yield torch.cat(images_D).unflatten(0, (len(images_D), -1)), torch.stack(labels_D)

    def _chunks(self) -> Iterator[Tensor]:
        """The training split's images as they are stored."""
        for index_B in self.images.index(self.split.train_index).split(CHUNK):
            yield self.images.gather(index_B)

    def _neighbors(self) -> np.ndarray:
        inputs_TD = torch.cat([self.normalise(images_BCHW).flatten(start_dim=1) for images_BCHW in self._chunks()])
        found: np.ndarray = pairing.nearest_neighbors(inputs_TD, self.config.num_neighbors).cpu().numpy()
        return found
