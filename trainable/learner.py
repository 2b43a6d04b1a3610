"""Learner: a model, its optimiser and its data on one device, and one epoch of training.

Owns the training step. Every draw of epoch e comes from streams named (name, split, repeat, e), so nothing random
outlives an epoch and the number of the last one is all that a checkpoint needs of it. Refuses to know of rows,
evaluation and files.

Axes: N training example in the order of an epoch, B example of a minibatch, C channel, H height, W width, K class.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable import augment, objective, optim, vicinity
from trainable.config import TrialConfig
from trainable.data import Source
from trainable.data.splits import Split, make_split
from trainable.device import Device
from trainable.models import build
from trainable.models.dropout import attach_generator
from trainable.seeding import numpy_stream, stream_seed


@dataclass(frozen=True, eq=False)
class Minibatch:
    """What one step needs, on the device; `partner_B` is None where nothing is mixed (alpha = 0)."""

    index_B: Tensor
    labels_B: Tensor
    crop_flip_B3: Tensor | None
    partner_B: Tensor | None
    partner_labels_B: Tensor | None
    lam: float | Tensor


class Learner:
    """Made fresh from a config and a source: initial weights, order, pairings and lambdas follow from these alone.

    Raises DataError or ModelError when the two do not fit together. Never writes to the source's arrays.
    """

    def __init__(self, config: TrialConfig, source: Source, place: Device) -> None:
        self.config, self.source, self.place = config, source, place
        self.split: Split = make_split(source, config)
        self.model = place.place_model(build(config, source.shape, source.num_classes))
        self.optimizer = optim.make_optimizer(self.model, config)
        self._parameters = list(self.model.parameters())
        self.images = place.place_images(source.images)
        self.normalise = augment.Normalise(source, place.torch_device)
        self._crops = augment.resolve_augment(config, source) == "crop_flip"
        self._rows_KK = objective.target_rows(source.num_classes, config.label_smoothing, place.torch_device)
        self._dropout = torch.Generator(device=place.torch_device)
        attach_generator(self.model, self._dropout)

    def train_epoch(self, epoch: int) -> tuple[Tensor, float]:
        """Trains epoch `epoch` (from 1). Gives the loss summed over examples, float64 on the device, and the mean
        entropy of the epoch's targets."""
        draws = vicinity.draw_epoch(len(self.split.train_index), self.config, self._streams(epoch))
        labels_N = self.split.train_labels[draws.order_N]
        partner_labels_N = self.split.train_labels[draws.partners_in_split()]
        floor_N = objective.target_entropy(labels_N, partner_labels_N, draws.lam_N,
                                           num_classes=self.source.num_classes, smoothing=self.config.label_smoothing)
        self._dropout.manual_seed(self.seed("dropout", epoch))
        self.model.train()
        num_steps = len(draws.bounds)
        losses = []  # stay on the device: reading one would make the device wait for the host at every step
        for step, batch in enumerate(self._minibatches(draws, labels_N, partner_labels_N, epoch)):
            lr = optim.lr_at((epoch - 1) * num_steps + step, self.config.epochs * num_steps, self.config)
            losses.append(self._step(batch, lr))
        sizes_S = self.place.upload(np.array([stop - start for start, stop in draws.bounds], dtype=np.float64))
        return torch.stack(losses).double() @ sizes_S, float(floor_N.mean())

    def _step(self, batch: Minibatch, lr: float) -> Tensor:
        images_BCHW = self.images.gather(batch.index_B)
        if batch.crop_flip_B3 is not None:
            images_BCHW = augment.crop_flip(images_BCHW, batch.crop_flip_B3)
        images_BCHW = self.normalise(images_BCHW)
        if batch.partner_B is not None:
            images_BCHW = vicinity.mix(images_BCHW, batch.partner_B, batch.lam)
        with self.place.autocast(self.config.precision):
            logits_BK = self.model(images_BCHW)
        loss = self._loss(logits_BK, batch)
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        optim.set_lr(self.optimizer, lr)
        self.optimizer.step()
        return loss.detach()

    def _loss(self, logits_BK: Tensor, batch: Minibatch) -> Tensor:
        if batch.partner_labels_B is None:
            return objective.cross_entropy(logits_BK, batch.labels_B, self.config.label_smoothing)
        return objective.mixed_cross_entropy(logits_BK, self._rows_KK, batch.labels_B, batch.partner_labels_B,
                                             batch.lam)

    def _minibatches(self, draws: vicinity.Draws, labels_N: np.ndarray, partner_labels_N: np.ndarray,
                     epoch: int) -> Iterator[Minibatch]:
        """One upload an epoch for each thing drawn; the steps see slices of it."""
        upload, sizes = self.place.upload, [stop - start for start, stop in draws.bounds]
        nothing = [None] * len(sizes)
        index = self.images.index(self.split.train_index[draws.order_N]).split(sizes)
        labels = upload(labels_N).split(sizes)
        crops = upload(self._crop_flips(epoch)).split(sizes) if self._crops else nothing
        if self.config.alpha == 0:
            yield from map(Minibatch, index, labels, crops, nothing, nothing, [1.0] * len(sizes))
            return
        lams: Any = [float(draws.lam_N[start]) for start, _ in draws.bounds]
        if self.config.lam_per == "sample":
            lams = upload(draws.lam_N.astype(np.float32)).split(sizes)
        yield from map(Minibatch, index, labels, crops, upload(draws.partner_N).split(sizes),
                       upload(partner_labels_N).split(sizes), lams)

    def _crop_flips(self, epoch: int) -> np.ndarray:
        return augment.draw_crop_flip(len(self.split.train_index), self.source.shape[1], self._stream("augment", epoch))

    def seed(self, name: str, epoch: int) -> int:
        """Of the stream `name` in one epoch; the replicate is part of its name, the arm is not."""
        return stream_seed(self.config.seed, name, self.config.split, self.config.repeat, epoch)

    def _stream(self, name: str, epoch: int) -> np.random.Generator:
        return numpy_stream(self.config.seed, name, self.config.split, self.config.repeat, epoch)

    def _streams(self, epoch: int) -> vicinity.Streams:
        return vicinity.Streams(*(self._stream(name, epoch) for name in ("order", "pairing", "lam")))

    def state(self) -> dict[str, Any]:
        """All that training has changed: weights, buffers, the optimiser's memory."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from `state()` of a learner made alike. Raises RuntimeError, KeyError or ValueError otherwise."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
