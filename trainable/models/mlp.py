"""A multilayer perceptron on the flattened example: for tables, spectra, and as the smallest rung of a ladder.

Owns this one family. Refuses to know of data, losses and devices.

Axes: B example, C channel, H height, W width, D all values of an example in one row, K class.
"""

from torch import Tensor, nn

from trainable.config import TrialConfig
from trainable.models.dropout import Dropout
from trainable.models.sizes import Shape, mlp_units


class MLP(nn.Module):
    """images (B, C, H, W), already normalised, to logits (B, K): `depth` hidden layers of 256 x width units.

    ReLU after each hidden layer, and dropout after each ReLU (Srivastava et al. 2014), not only before the classifier.
    """

    def __init__(self, config: TrialConfig, shape: Shape, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        num_in = shape[0] * shape[1] * shape[2]
        for num_out in mlp_units(config):
            layers += [nn.Linear(num_in, num_out), nn.ReLU(inplace=True), Dropout(config.dropout)]
            num_in = num_out
        self.hidden = nn.Sequential(*layers)
        self.classifier = nn.Linear(num_in, num_classes)

    def latent_parts(self) -> list[nn.Module]:
        """The dropout that ends each hidden layer."""
        return list(self.hidden)[2::3]

    def forward(self, images_BCHW: Tensor) -> Tensor:
        values_BD = images_BCHW.flatten(start_dim=1)
        logits_BK: Tensor = self.classifier(self.hidden(values_BD))
        return logits_BK
