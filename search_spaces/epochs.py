"""The axis epochs: how often the training split is passed over; the learning-rate schedule is stretched to it.

Range 10 to 40, for networks that train in seconds. Both sides matter: from 90 to 200 epochs an ImageNet ResNet-50 gains
with mixup and not without (Zhang et al., arXiv 1710.09412, section 3.1), while on small data training much longer with
mixup can cost accuracy again (Liu et al., ICLR 2023, "Over-training with Mixup May Hurt Generalization").
Both literature values lie above this range: a search that keeps it starts from its upper end.
"""

from search_spaces.dimension import Integer

EPOCHS = Integer(name="epochs", low=10, high=40)
ERM, MIXUP = 90, 200
