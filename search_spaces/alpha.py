"""The axis alpha: how strongly pairs are mixed, lambda ~ Beta(alpha, alpha).

Range 0 to 32 on the epsilon scale. 0 is plain training (ERM), without which no gain can be stated; 32 is the largest
alpha of the mixup paper's label-noise tables (Zhang et al., arXiv 1710.09412, section 3.4), where lambda is already
close to 1/2. The literature's values: 1 for CIFAR (section 3.2 there), 0.1 to 0.4 for ImageNet (section 3.1).
"""

from search_spaces.dimension import Real

ALPHA = Real(name="alpha", low=0.0, high=32.0, scale="epsilon")
ERM, MIXUP = 0.0, 1.0
