"""Plan: which trials a study has, and what they will cost.

Pure: from a Study to trial specifications, counts and estimates. Refuses to know what has run, and imports neither torch nor
ray, so that a plan is there at once.
"""

from collections.abc import Mapping
from typing import Any

from search_spaces import Capacity
from sweeps.records import MEASURE, SEARCH, TrialSpec
from sweeps.study import Study


def first_settings(study: Study, capacity: Capacity | str) -> list[dict[str, Any]]:  # noqa: ARG001 - the same at every step
    """The settings the search of a capacity starts with, no more than its budget."""
    return [dict(setting) for setting in study.search.first[:study.search.max_trials]]


def search_spec(study: Study, data_digest: str, capacity: str, number: int, setting: Mapping[str, Any], *, repeat: int = 0,
                origin: str = "sampler") -> TrialSpec:
    """The trial of ask `number` of a capacity's search, on split 0. `repeat` counts earlier asks of the same arm."""
    return _spec(study, data_digest, SEARCH, capacity, number, setting, (0, repeat), origin)


def measure_specs(study: Study, data_digest: str, best: Mapping[str, Mapping[str, Any]]) -> list[TrialSpec]:
    """Every trial of the measure stage of the capacities in `best` (capacity label -> its best setting).

    On splits 1..S: the split that chose the setting (0) is never measured on. Where the study itself fixes the other axes
    (`measure.at`), the settings in `best` are ignored. `number` is the position on the ladder of alphas.
    """
    specs = []
    for label, setting in best.items():
        chosen = setting if isinstance(study.measure.at, str) else study.measure.at
        for number, alpha in enumerate(study.measure.alphas):
            rung = rung_setting(study, chosen, alpha)
            for split in range(1, study.measure.splits + 1):
                specs += [_spec(study, data_digest, MEASURE, label, number, rung, (split, repeat), "ladder")
                          for repeat in range(study.measure.seeds)]
    return specs


def rung_setting(study: Study, setting: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    """`setting` with this alpha, and without axes that do not exist at it."""
    values = {"alpha": alpha, **{name: value for name, value in setting.items() if name != "alpha"}}
    return {"alpha": alpha, **study.space.only_active(values)}


def _spec(study, data_digest, stage, capacity, number, setting, replicate, origin):  # type: ignore
    split, repeat = replicate
    config = study.config(setting, capacity, split, repeat)
    return TrialSpec(key=config.trial_key(data_digest), stage=stage, number=number, capacity=capacity, arm_key=config.arm_key(),
                     split=split, repeat=repeat, config=config.to_dict(), setting=dict(setting), origin=origin)
