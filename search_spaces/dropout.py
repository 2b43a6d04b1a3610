"""The axis dropout: the probability of dropping a unit.

Range 0 to 0.5, linear. Against label noise the mixup paper (Zhang et al., arXiv 1710.09412, section 3.4) finds 0.7 to
0.8 best without mixup, in a network far wider than the ones trained here by default, which more than a half would
starve: a study of wide networks raises `high`. Clean benchmarks use none.
"""

from search_spaces.dimension import Real

DROPOUT = Real(name="dropout", low=0.0, high=0.5)
ERM, MIXUP = 0.0, 0.0
