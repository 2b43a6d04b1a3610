"""The peer: the training loop that a user writes from the well-known public mixup script, on our model and data.

A loader with shuffling and workers, one draw of lambda from numpy's Beta a minibatch, a random permutation, two
cross-entropies, and the loss and the accuracy read back with `.item()` at every step. Kinder than the script in one thing: the
images lie in memory as normalised tensors, in the model's memory format, so that workers only collate. As in the script, a
loader's workers start anew in every epoch unless they are told to persist; on data of few steps that is most of its time.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from trainable.learner import Learner


class PublicLoop:
    """One learner's model, optimiser and training split, trained as described; the rest as DataLoader has it."""

    def __init__(self, learner: Learner, num_workers: int, *, persistent_workers: bool = False) -> None:
        self.learner = learner
        images = learner.normalise(torch.from_numpy(learner.source.images[learner.split.train_index]))
        self.loader = DataLoader(TensorDataset(images, torch.from_numpy(learner.split.train_labels)), shuffle=True,
                                 batch_size=learner.config.batch_size, num_workers=num_workers,
                                 persistent_workers=persistent_workers)

    def epoch(self) -> tuple[float, float]:
        """Mean loss and share of correct answers over one epoch, as the script prints them."""
        model, optimizer, alpha = self.learner.model, self.learner.optimizer, self.learner.config.alpha
        model.train()
        loss_sum, correct, total = 0.0, 0.0, 0
        for loaded, labels in self.loader:
            lam = float(np.random.beta(alpha, alpha)) if alpha > 0 else 1.0
            images = loaded.to(memory_format=torch.channels_last)
            index = torch.randperm(len(images))
            mixed: Tensor = lam * images + (1 - lam) * images[index]
            logits = model(mixed)
            loss = lam * F.cross_entropy(logits, labels) + (1 - lam) * F.cross_entropy(logits, labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            predicted = logits.argmax(dim=1)
            loss_sum += loss.item() * len(images)
            correct += lam * predicted.eq(labels).sum().item() + (1 - lam) * predicted.eq(labels[index]).sum().item()
            total += len(images)
        return loss_sum / total, correct / total
