"""What may vary: dimensions, spaces and the named axes of a mixup study. Torch-free."""

from search_spaces.alpha import ALPHA
from search_spaces.capacity import Capacity, ladder, ladder_spec
from search_spaces.condition import When
from search_spaces.dimension import Axis, Choice, Fixed, Integer, Real
from search_spaces.dropout import DROPOUT
from search_spaces.epochs import EPOCHS
from search_spaces.space import SearchSpace
from search_spaces.weight_decay import WEIGHT_DECAY

DEFAULT_SPACE = SearchSpace((ALPHA, WEIGHT_DECAY, DROPOUT, EPOCHS))
"""The four axes a mixup study searches unless its file says otherwise."""

__all__ = ["ALPHA", "DEFAULT_SPACE", "DROPOUT", "EPOCHS", "WEIGHT_DECAY", "Axis", "Capacity", "Choice", "Fixed",
           "Integer", "Real", "SearchSpace", "When", "ladder", "ladder_spec"]
