"""Pre-activation residual nets for small images, 18 or 34 layers deep, with a width multiplier.

Owns this one family. Refuses to know of data, losses and devices. Any memory format; no transfer to the host.

Axes: B example, C channel, H height, W width, K class.
"""

import itertools

from torch import Tensor, nn
from torch.nn import functional

from trainable.config import TrialConfig
from trainable.models.dropout import Dropout
from trainable.models.sizes import RESNET_CHANNELS, Shape, channels, resnet_blocks


class Block(nn.Module):
    """Two 3 x 3 convolutions, each after its batch norm and ReLU, added to the input.

    Where channels or resolution change, the input passes a 1 x 1 convolution of the *activated* values.
    """

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_in)
        self.conv1 = nn.Conv2d(num_in, num_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1, bias=False)
        changes = stride != 1 or num_in != num_out
        self.projection = nn.Conv2d(num_in, num_out, 1, stride=stride, bias=False) if changes else None

    def forward(self, values_BCHW: Tensor) -> Tensor:
        active_BCHW = functional.relu(self.norm1(values_BCHW))
        skipped_BCHW = values_BCHW if self.projection is None else self.projection(active_BCHW)
        branch_BCHW = self.conv1(active_BCHW)
        branch_BCHW = self.conv2(functional.relu(self.norm2(branch_BCHW)))
        return branch_BCHW + skipped_BCHW


class PreactResNet(nn.Module):
    """images (B, C, H, W), already normalised, to logits (B, K). Four stages of 64, 128, 256, 512 channels x width.

    He et al., *Identity Mappings in Deep Residual Networks* (arXiv 1603.05027), with the stem for small images: one
    3 x 3 convolution, no pooling. The code published with the mixup paper differs in three places: it normalises after
    the stem, its identity shortcuts carry the activated values, and it has no normalisation before the mean. We follow
    the paper the name refers to; depth 18 on CIFAR-10 has 11,172,170 parameters.
    """

    def __init__(self, config: TrialConfig, shape: Shape, num_classes: int) -> None:
        super().__init__()
        num_in = channels(RESNET_CHANNELS[0], config)
        self.stem = nn.Conv2d(shape[0], num_in, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for stage, (units, num_blocks) in enumerate(zip(RESNET_CHANNELS, resnet_blocks(config), strict=True)):
            num_out = channels(units, config)
            for index in range(num_blocks):
                blocks.append(Block(num_in, num_out, stride=2 if stage > 0 and index == 0 else 1))
                num_in = num_out
        self.blocks = nn.Sequential(*blocks)
        self._last_of_stage = list(itertools.accumulate(resnet_blocks(config)))
        self.norm = nn.BatchNorm2d(num_in)
        self.dropout = Dropout(config.dropout)
        self.classifier = nn.Linear(num_in, num_classes)

    def latent_parts(self) -> list[nn.Module]:
        """The last block of each of the four stages."""
        return [self.blocks[number - 1] for number in self._last_of_stage]

    def forward(self, images_BCHW: Tensor) -> Tensor:
        features_BCHW = functional.relu(self.norm(self.blocks(self.stem(images_BCHW))))
        features_BC = features_BCHW.mean(dim=(2, 3))
        logits_BK: Tensor = self.classifier(self.dropout(features_BC))
        return logits_BK
