"""What a study will cost, estimated before anything has run: epochs, example passes, multiply-adds, seconds.

Pure arithmetic on a Study and what the registries know without torch. Refuses to know which trials there are exactly
(plan) and what has run.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import trainable.data
from search_spaces.dimension import Fixed
from sweeps.records import SEARCH
from sweeps.study import Study
from trainable.data.splits import split_sizes
from trainable.models.sizes import Size, size

NOMINAL_RATE = 2e10
NOMINAL_STEP_SECONDS = 0.006
"""Multiply-adds a second of one processor core, and what each training step costs besides, its evaluation included.

For estimates before anything was measured; fitted to the three capacities of the study `digits` on one core of an x86
server. Another machine may well be three times faster or slower: give measured seconds to `plan` where there are any.
"""

TRAINING_PASSES = 3
"""A training step costs about three forward passes: one forward, two backward (by weights and by activations)."""


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage at one capacity. Estimates are of all its trials run to their end (pruning saves some); None: unknown.

    `trial_epochs` is expected for settings drawn evenly from the space; `max_epochs` is the longest trial there can be.
    `seconds` are of one worker. `fewest` trials: where a race ends after its first splits.
    """

    stage: str
    capacity: str
    num_trials: int
    trial_epochs: float
    max_epochs: int
    example_passes: float | None
    multiply_adds: float | None
    seconds: float | None
    fewest: int


def ladder_sizes(study: Study) -> dict[str, Size | None]:
    """Capacity label -> parameters and multiply-adds; None for torchvision models and data of unknown shape."""
    facts = trainable.data.facts(study.base.data)
    if not (facts.shape and facts.num_classes):
        return {capacity.label: None for capacity in study.capacities}
    return {capacity.label: size(study.config({}, capacity), facts.shape, facts.num_classes)
            for capacity in study.capacities}


def num_trials(study: Study, stage: str) -> int:
    """Trials of a stage at each capacity."""
    if stage == SEARCH:
        return study.search.max_trials
    until = study.measure.until
    return min(study.measure.num_trials, until.max_trials or study.measure.num_trials) if until else study.measure.num_trials


def fewest_trials(study: Study, stage: str) -> int:
    """Trials of a stage at each capacity where a race ends as soon as it may; without a race all of them."""
    until = study.measure.until
    if stage == SEARCH or until is None:
        return num_trials(study, stage)
    return study.measure.num_trials * min(until.first, study.measure.splits) // study.measure.splits


def stage_plan(study: Study, stage: str, label: str, model: Size | None,
               seconds_per_epoch: Mapping[str, float]) -> StagePlan:
    """The estimates of a stage at one capacity; `seconds_per_epoch` holds what was measured, by capacity label."""
    count, own_epochs = num_trials(study, stage), study.capacity(label).fields.get("epochs")
    epochs = count * own_epochs if own_epochs else _expected_epochs(study, stage)
    passes = multiply_adds = seconds = None
    if examples := _examples(study):
        train, evaluated, at_end = examples
        passes = epochs * train
        if model:
            multiply_adds = model.multiply_adds * (epochs * (TRAINING_PASSES * train + evaluated) + count * at_end)
            num_steps = epochs * math.ceil(train / study.base.batch_size)
            seconds = multiply_adds / NOMINAL_RATE + num_steps * NOMINAL_STEP_SECONDS
    if label in seconds_per_epoch:
        seconds = epochs * seconds_per_epoch[label]
    return StagePlan(stage=stage, capacity=label, num_trials=count, fewest=fewest_trials(study, stage), trial_epochs=epochs,
                     max_epochs=own_epochs or _most_epochs(study, stage), example_passes=passes, multiply_adds=multiply_adds,
                     seconds=seconds)


def _examples(study: Study) -> tuple[int, int, int] | None:
    """Examples trained on and evaluated in an epoch, and evaluated at a trial's end; None where sizes are unknown."""
    facts = trainable.data.facts(study.base.data)
    if facts.pool_size is None:
        return None
    train_size, val_size = split_sizes(facts.pool_size, study.base)
    return train_size, val_size + min(val_size, train_size), train_size + (facts.test_size or 0)


def _expected_epochs(study: Study, stage: str) -> float:
    """Epochs of all trials of a stage at one capacity."""
    count = num_trials(study, stage)
    if stage == SEARCH:
        first = [setting.get("epochs", study.base.epochs) for setting in study.search.first[:count]]
        return sum(first) + (count - len(first)) * _mean_epochs(study)
    own = [epochs for epochs in _arm_epochs(study) for _ in range(study.measure.num_replicates)]
    shared = _mean_epochs(study) if isinstance(study.measure.at, str) else _epochs_at(study.measure.at, study)
    whole = study.measure.num_trials
    epochs = (whole - len(own)) * shared + sum(own)
    return epochs if count == whole else epochs * count / whole


def _arm_epochs(study: Study) -> list[int]:
    """The epochs of the arms that set them."""
    return [arm["epochs"] for arm in study.measure.arms.values() if "epochs" in arm]


def _mean_epochs(study: Study) -> float:
    """Epochs of a setting drawn evenly from the space."""
    axis = study.space["epochs"]
    if isinstance(axis, Fixed):
        return float(axis.value)
    values = [axis.from_unit((step + 0.5) / 100) for step in range(100)]
    return float(sum(values)) / len(values)


def _most_epochs(study: Study, stage: str) -> int:
    longest = max(study.space["epochs"].grid())
    if stage == SEARCH:
        return int(longest)
    shared = longest if isinstance(study.measure.at, str) else _epochs_at(study.measure.at, study)
    return int(max(shared, *_arm_epochs(study), 0))


def _epochs_at(at: Mapping[str, float], study: Study) -> float:
    return at.get("epochs", study.base.epochs)
