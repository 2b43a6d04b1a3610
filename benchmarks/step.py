"""A training step against the bare forward, backward and optimiser step on the same tensors."""

import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.result import Result
from trainable.config import TrialConfig
from trainable.data import load
from trainable.device import resolve
from trainable.learner import Learner
from trainable.vicinity import batch_bounds

NUM_ROUNDS, NUM_EPOCHS = 15, 4


def step_overhead() -> Result:
    """Median over rounds of ours / bare, the two taking turns, for ERM and for mixup at the default study's widest model."""
    torch.set_num_threads(1)
    source = load("digits")
    ratios = {}
    for name, alpha in (("erm", 0.0), ("mixup", 1.0)):
        config = TrialConfig(alpha=alpha, label_noise=0.2, train_size=1000, val_size=297, epochs=1000)
        learner = Learner(config, source, resolve("cpu"))
        bare = _bare(Learner(config, source, resolve("cpu")))
        ratios[name] = _ratio(lambda learner=learner: _epochs(learner), bare)
    return Result(name="step_overhead", ours=ratios["mixup"], unit="x bare step", bar="<= 1.10", met=ratios["mixup"] <= 1.10,
                  n=NUM_ROUNDS, detail={"alpha = 0": ratios["erm"]})


def _epochs(learner: Learner) -> None:
    for epoch in range(1, NUM_EPOCHS + 1):
        learner.train_epoch(epoch)


def _bare(learner: Learner) -> Callable[[], None]:
    """The same model, optimiser and batch sizes on tensors that lie ready."""
    split = learner.split
    images = torch.from_numpy(learner.source.images[split.train_index]).float() / learner.source.scale
    labels = torch.from_numpy(split.train_labels)
    batches = [(images[start:stop], labels[start:stop]) for start, stop in batch_bounds(len(labels), learner.config.batch_size)]

    def run() -> None:
        learner.model.train()
        for _ in range(NUM_EPOCHS):
            for images_BCHW, labels_B in batches:
                loss = torch.nn.functional.cross_entropy(learner.model(images_BCHW), labels_B)
                learner.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                learner.optimizer.step()
    return run


def _ratio(ours: Callable[[], None], bare: Callable[[], None]) -> float:
    ours(), bare()
    return statistics.median(_seconds(ours) / _seconds(bare) for _ in range(NUM_ROUNDS))


def _seconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
