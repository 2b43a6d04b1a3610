"""The settings every search tries first: plain training and mixup as the literature sets them, moved inside the space.

A sampler that starts from nothing spends its first trials far from what is known to work, and a continuous axis never
draws exactly alpha = 0, the baseline of everything. Refuses to know stages and trials.
"""

from typing import Any

from search_spaces import SearchSpace, alpha, dropout, epochs, weight_decay
from search_spaces.dimension import Searched
from trainable.config import TrialConfig

_NAMED = {"alpha": alpha, "weight_decay": weight_decay, "dropout": dropout, "epochs": epochs}


def literature_settings(space: SearchSpace, base: TrialConfig) -> list[dict[str, Any]]:
    """Plain training, where the space contains alpha 0, and mixup.

    Each axis at the literature's value, or the nearest inside; axes without one start from the base configuration's.
    """
    settings = [_setting(space, base, "MIXUP")]
    if space["alpha"].contains(0.0):
        settings.insert(0, _setting(space, base, "ERM"))
    return [setting for index, setting in enumerate(settings) if setting and setting not in settings[:index]]


def _setting(space: SearchSpace, base: TrialConfig, kind: str) -> dict[str, Any]:
    setting: dict[str, Any] = {}
    for axis in space.varying:  # each after the axes that its conditions name
        if space.is_active(axis.name, setting):
            setting[axis.name] = axis.nearest(_wanted(axis, base, kind))
    return setting


def _wanted(axis: Searched, base: TrialConfig, kind: str) -> Any:
    return getattr(_NAMED[axis.name], kind) if axis.name in _NAMED else getattr(base, axis.name)
