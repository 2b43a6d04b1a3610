"""Learner: a model, its optimiser and its data on one device, and one epoch of training.

Owns the training step: draw, pair, mix, loss, the same for every method of the mixup family. Every draw of epoch e comes
from streams named (name, split, repeat, e), those of mixing by redraw as well, so nothing random outlives an epoch and the
number of the last one is all that a checkpoint needs of it. Refuses to know of rows, evaluation and files.

Axes: N training example in the order of an epoch, B example of a minibatch, C channel, H height, W width, K class.
"""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable import mixing, objective, optim, second_order
from trainable.batches import Batches, Minibatch
from trainable.config import TrialConfig
from trainable.data import Source
from trainable.data.splits import Split, make_split
from trainable.device import Device, Images
from trainable.methods import METHODS
from trainable.models import build, latent_parts
from trainable.models.dropout import attach_generator
from trainable.moments import gamma2, sigma2, theta_bar
from trainable.seeding import numpy_stream, replicate_names, stream_seed
from trainable.vicinity import Draws, draw_epoch


@dataclass(frozen=True, eq=False)
class TrainedEpoch:
    """`sums`: the loss summed over examples and, for a second-order method, each of its terms; float64 on the device.
    `floor`: the mean entropy of the epoch's targets, the part of the loss that no model removes."""

    sums: dict[str, Tensor]
    floor: float


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
        self._latent = latent_parts(self.model) if METHODS[config.method].hidden else []
        self._batches = Batches(config, source, self.split, place)
        self.images, self.normalise = self._batches.images, self._batches.normalise
        self._examples = self._batches.examples(len(self._latent))
        self._smoothing = objective.smoothing_of(config)
        self._spread_K = objective.spread_of(config, self.split.train_labels, source.num_classes)
        self._rows_KK = objective.target_rows(source.num_classes, self._smoothing, place.torch_device, self._spread_K)
        self._share_K = place.upload(self._spread_K.astype(np.float32))
        self._classes_KK = torch.eye(source.num_classes, device=place.torch_device)
        self._evenly = bool(self._smoothing == 0.0 or np.ptp(self._spread_K) == 0.0)
        self._dropout = torch.Generator(device=place.torch_device)
        self._noise = torch.Generator(device=place.torch_device)
        attach_generator(self.model, self._dropout)
        mean_1CHW = self.mean_1CHW if METHODS[config.method].moves == "shrink" else None
        self._move = mixing.mover(config, mixing.Surroundings(mean_1CHW, theta_bar(config.alpha), self._noise))

    @functools.cached_property
    def test_images(self) -> Images:
        """The test images, where batches are gathered from."""
        return self.place.place_images(self.source.test_images)

    @functools.cached_property
    def mean_1CHW(self) -> Tensor:
        """x_bar, float32 (1, C, H, W) on the device: the mean input of the training split, over all augmentations."""
        return self._batches.mean_input()

    def train_epoch(self, epoch: int) -> TrainedEpoch:
        """Trains epoch `epoch`, from 1."""
        stream = functools.partial(self._stream, epoch)
        draws = draw_epoch(self.config, self._examples, epoch, stream)
        self._dropout.manual_seed(self.seed("dropout", epoch))
        self._noise.manual_seed(self.seed("noise", epoch))
        self.model.train()
        num_steps = len(draws.bounds)
        steps = []  # stay on the device: reading one would make the device wait for the host at every step
        for step, batch in enumerate(self._batches.of(draws, stream)):
            lr = optim.lr_at((epoch - 1) * num_steps + step, self.config.epochs * num_steps, self.config)
            steps.append(self._step(batch, lr))
        sizes_S = self.place.upload(np.array([stop - start for start, stop in draws.bounds], dtype=np.float64))
        sums = {name: torch.stack([terms[name] for terms in steps]).double() @ sizes_S for name in steps[0]}
        return TrainedEpoch(sums, self._floor(draws))

    def _floor(self, draws: Draws) -> float:
        labels_T = self.split.train_labels
        own_N = np.ones(len(labels_T)) if draws.own_N is None else draws.own_N
        floor_N = objective.target_entropy(labels_T[draws.order_N], labels_T[draws.partner_N], own_N,
                                           num_classes=self.source.num_classes, smoothing=self._smoothing,
                                           spread_K=self._spread_K)
        return float(floor_N.mean())

    def _step(self, batch: Minibatch, lr: float) -> dict[str, Tensor]:
        terms = self._risk(batch)
        for parameter in self._parameters:
            parameter.grad = None
        terms["loss"].backward()
        optim.set_lr(self.optimizer, lr)
        self.optimizer.step()
        return {name: value.detach() for name, value in terms.items()}

    def _risk(self, batch: Minibatch) -> dict[str, Tensor]:
        """`loss`, which is minimised, and what it is the sum of where that is worth a record."""
        if batch.others_DBCHW is not None:
            return self._expanded_risk(batch)
        images_BCHW = batch.images_BCHW if batch.plain else self._move(batch.images_BCHW, batch.pairs)
        return {"loss": self._loss(self._logits(images_BCHW, batch.pairs), batch)}

    def _logits(self, images_BCHW: Tensor, pairs: mixing.Pairs | None = None) -> Tensor:
        with contextlib.ExitStack() as forward:
            forward.enter_context(self.place.autocast(self.config.precision))
            if pairs is not None and pairs.layer > 0:
                forward.enter_context(mixing.mixed_output(self._latent[pairs.layer - 1], pairs))
            logits_BK: Tensor = self.model(images_BCHW)
        return logits_BK

    def _loss(self, logits_BK: Tensor, batch: Minibatch) -> Tensor:
        if batch.partner_labels_B is None:
            if self._evenly:
                return objective.cross_entropy(logits_BK, batch.labels_B, self._smoothing)
            return objective.mixed_cross_entropy(logits_BK, self._rows_KK, batch.labels_B, batch.labels_B, 1.0)
        return objective.mixed_cross_entropy(logits_BK, self._rows_KK, batch.labels_B, batch.partner_labels_B, batch.own)

    def _expanded_risk(self, batch: Minibatch) -> dict[str, Tensor]:
        """The second-order expansion about the shrunk minibatch, toward `num_directions` random examples of the split."""
        assert batch.others_DBCHW is not None
        assert batch.other_labels_DB is not None
        share_K, classes_KK = self._share_K, self._classes_KK
        shrunk = second_order.Shrunk(
            inputs_BX=self._move(batch.images_BCHW, None), targets_BK=self._rows_KK[batch.labels_B],
            own_BX=batch.images_BCHW - self.mean_1CHW, own_label_BK=classes_KK[batch.labels_B] - share_K,
            other_DBX=batch.others_DBCHW - self.mean_1CHW, other_label_DBK=classes_KK[batch.other_labels_DB] - share_K)
        terms = second_order.expand(self._logits, shrunk, second_order.CrossEntropy(),
                                    sigma2=sigma2(self.config.alpha), gamma2=gamma2(self.config.alpha),
                                    with_r2=self.config.approximate_terms == "all")
        named = {f"{name}_term": value for name, value in terms.named().items() if name != "label"}
        return {"loss": terms.risk(), **named}

    def seed(self, name: str, epoch: int) -> int:
        """Of the stream `name` in one epoch; the replicate is part of its name, the arm is not."""
        return stream_seed(self.config.seed, *self._names(name), epoch)

    def _stream(self, epoch: int, name: str) -> np.random.Generator:
        return numpy_stream(self.config.seed, *self._names(name), epoch)

    def _names(self, name: str) -> tuple[str | int, ...]:
        return replicate_names(name, self.config.split, self.config.repeat, self.config.redraw)

    def state(self) -> dict[str, Any]:
        """All that training has changed: weights, buffers, the optimiser's memory."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from `state()` of a learner made alike. Raises RuntimeError, KeyError or ValueError otherwise."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
