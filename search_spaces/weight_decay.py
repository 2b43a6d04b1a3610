"""The axis weight decay, which mixup competes with.

Range 1e-5 to 1e-2 on the log scale, a decade or more to either side of what is used in practice: the mixup paper
(Zhang et al., arXiv 1710.09412, section 3.2) trains CIFAR with 1e-4 and notes that ERM prefers 5e-4, mixup 1e-4.
"""

from search_spaces.dimension import Real

WEIGHT_DECAY = Real(name="weight_decay", low=1e-5, high=1e-2, scale="log")
ERM, MIXUP = 5e-4, 1e-4
