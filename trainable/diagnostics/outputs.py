"""What a trained network puts out for given images: the one way in which diagnostics ask it.

Owns eval mode, batches, precision and the transfer to the host. Refuses to judge what comes out, and to change the
network.

Axes: V evaluated example, B example of a batch, C channel, H height, W width, K class.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trainable.device import Images
from trainable.errors import Diverged
from trainable.evaluation import batch_size
from trainable.learner import Learner

Transform = Callable[[Tensor], Tensor]
"""From normalised images (B, C, H, W), float32 on the device, to what the network is to see, of the same shape."""


def logits(learner: Learner, images: Images, index_V: np.ndarray, transform: Transform | None = None) -> np.ndarray:
    """Logits of the indexed images in the order of the index, float32 (V, K) on the host. Leaves the model in eval mode.

    Computed as the test set is measured: in the trial's precision, in batches that depend on the config and the image
    size alone. Raises ValueError when the index holds nothing, Diverged when an output is NaN or infinite.
    """
    if index_V.ndim != 1 or not len(index_V):
        raise ValueError(f"index of shape {index_V.shape}: must be (examples,), with at least one")
    learner.model.eval()
    found = []
    with torch.inference_mode():
        for index_B in images.index(index_V).split(batch_size(images, learner.config.batch_size)):
            inputs_BCHW = learner.normalise(images.gather(index_B))
            if transform is not None:
                inputs_BCHW = transform(inputs_BCHW)
            with learner.place.autocast(learner.config.precision):
                found.append(learner.model(inputs_BCHW).float())
        logits_VK: np.ndarray = torch.cat(found).cpu().numpy()
    bad_V = ~np.isfinite(logits_VK).all(axis=1)
    if bad_V.any():
        raise Diverged(f"outputs of {bad_V.sum()} of {len(bad_V)} images are NaN or infinite, first of image "
                       f"{index_V[bad_V.argmax()]}")
    return logits_VK


def on_validation(learner: Learner, transform: Transform | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Logits, float32 (V, K), of the trial's validation split, and its true labels int64 (V,)."""
    index_V = learner.split.val_index
    return logits(learner, learner.images, index_V, transform), learner.source.labels[index_V]


def on_test(learner: Learner, transform: Transform | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Logits, float32 (V, K), of the whole test set, and its labels int64 (V,). Nothing may be chosen by them."""
    labels_V = learner.source.test_labels
    images = learner.place.place_images(learner.source.test_images)
    return logits(learner, images, np.arange(len(labels_V)), transform), labels_V
