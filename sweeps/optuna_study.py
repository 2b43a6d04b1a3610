"""How a search space, a sampler and a pruning rule look to Optuna, and what Optuna says about the weight of the axes.

Pure translations: owns no study and no history. Optuna sees an axis on its own coordinate: alpha as epsilon, the rest as it is.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from search_spaces.dimension import Axis, Choice, Fixed, Integer
from search_spaces.space import SearchSpace
from sweeps.study import Prune

MEDIAN_EVERY = 10
"""Percent of a trial between two looks of the median rule."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def distribution(axis: Axis) -> BaseDistribution:
    """The axis as Optuna sees it: uniform in epsilon where alpha has that scale."""
    if isinstance(axis, Choice | Fixed):
        return CategoricalDistribution(axis.grid())
    low, high = axis.internal
    if isinstance(axis, Integer):
        return IntDistribution(int(low), int(high), log=axis.log)
    return FloatDistribution(low, high, log=axis.log)


def suggest(trial: optuna.Trial, axis: Axis) -> Any:
    """What Optuna suggests for this axis, on its own coordinate."""
    if isinstance(axis, Choice | Fixed):
        return trial.suggest_categorical(axis.name, axis.grid())
    low, high = axis.internal
    if isinstance(axis, Integer):
        return trial.suggest_int(axis.name, int(low), int(high), log=axis.log)
    return trial.suggest_float(axis.name, low, high, log=axis.log)


def to_internal(axis: Axis, value: Any) -> Any:
    """A value of the axis on the coordinate that Optuna sees."""
    return value if isinstance(axis, Choice | Fixed) else axis.to_internal(value)


def from_internal(axis: Axis, value: Any, *, on_grid: bool = False) -> Any:
    """The value of the axis at Optuna's coordinate; `on_grid` takes the nearest grid value, free of round-off."""
    if isinstance(axis, Choice | Fixed):
        return value
    if on_grid:
        return min(axis.grid(), key=lambda one: abs(axis.to_internal(one) - value))
    return axis.from_internal(value)


def memory_of(space: SearchSpace, setting: Mapping[str, Any]) -> dict[str, Any]:
    """What a search remembers of a setting that no sampler of its own chose (see Brain, Ask.memory)."""
    params = {axis.name: to_internal(axis, setting[axis.name]) for axis in space.active(setting)}
    return {"params": params, "attrs": {}, "study": {}}


def make_sampler(name: str, space: SearchSpace, seed: int, sequence_seed: int) -> BaseSampler:
    """A fresh sampler for one ask. `seed` is this ask's own; `sequence_seed` is the search's, for samplers that walk a sequence.

    tpe is multivariate: alpha, weight decay, dropout and epochs regularise together, so their optimum is a ridge that axes taken
    one by one cannot follow. Trials still running count as bad ones ("constant liar"), so that workers asking at about the same
    time are sent to different places; that is safe here because no trial stays RUNNING in a rebuilt study unless it will run.
    tpe and gp begin to model after two trials per axis.
    """
    startup = max(4, 2 * len(space.varying))
    conditional = any(axis.when for axis in space.varying)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, group=conditional, constant_liar=True)
        if name == "gp":
            return GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
        if name == "cmaes":
            return CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if name == "qmc":
            return QMCSampler(scramble=True, seed=sequence_seed, independent_sampler=RandomSampler(seed=seed),
                              warn_independent_sampling=False)
        if name == "grid":
            grid = {axis.name: [to_internal(axis, value) for value in axis.grid()] for axis in space.varying}
            return GridSampler(grid, seed=sequence_seed)
    return RandomSampler(seed=seed)


def make_pruner(prune: Prune) -> BasePruner:
    """The rule, on a step that is percent of a trial's own epochs; what a trial is safe for is the first rung."""
    first = _percent(prune.grace)
    if prune.rule == "asha":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=prune.reduction)
    if prune.rule == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=first, n_min_trials=3)
    return NopPruner()


def rung_steps(prune: Prune) -> tuple[int, ...]:
    """Percent of a trial's own epochs at which it is compared with others; never 100."""
    step, steps = _percent(prune.grace), []
    while prune.rule != "none" and step < 100:
        steps.append(step)
        step = step * prune.reduction if prune.rule == "asha" else step + MEDIAN_EVERY
    return tuple(steps)


def rung_epochs(steps: Sequence[int], epochs: int) -> dict[int, int]:
    """Step -> the first epoch at which a trial of this length has reached it. Steps reached only at the end are left out."""
    reached = {step: -(-step * epochs // 100) for step in steps}
    return {step: epoch for step, epoch in reached.items() if epoch < epochs}


def stop_epochs(prune: Prune, lengths: Sequence[int], curves: Sequence[Mapping[int, float]]) -> list[int | None]:
    """When the rule stops each of these trials, run whole one after the other; None: never. For what already ran unpruned.

    `lengths` are their epochs, `curves` their objective by epoch. Optuna's own pruner judges, as in a search by one worker.
    """
    study = optuna.create_study(direction="minimize", pruner=make_pruner(prune), sampler=RandomSampler(seed=0))
    found: list[int | None] = []
    for epochs, curve in zip(lengths, curves, strict=True):
        trial, stopped = study.ask(), None
        for step, epoch in rung_epochs(rung_steps(prune), epochs).items():
            if epoch in curve:
                trial.report(curve[epoch], step)
                stopped = epoch if trial.should_prune() else None
            if stopped is not None:
                break
        last = curve.get(epochs, math.nan)
        state = TrialState.PRUNED if stopped is not None else TrialState.COMPLETE if math.isfinite(last) else TrialState.FAIL
        study.tell(trial, last if state == TrialState.COMPLETE else None, state=state)
        found.append(stopped)
    return found


NUM_TREES, FEW_TREES = 16, 8
"""Of the forest, and of that of a resample: with Optuna's 64 a share differs in its second digit. A bootstrap of three capacities
with 16 trials each takes a second of CPU with 8 trees a resample, and two with 16, whose intervals are an eighth narrower."""


def importance(space: SearchSpace, settings: Sequence[Mapping[str, Any]], values: Sequence[float],
               seed: int = 0, num_trees: int = NUM_TREES) -> dict[str, float]:
    """Axis -> share of the variation of `values` that it explains, summing to 1; {} where the data cannot say.

    fANOVA (Hutter et al. 2014: a random forest over the settings); PED-ANOVA where some settings lack an axis, because a
    condition switched it off. Plain values in and out, so that an analysis can resample the trials and call it again.
    """
    study = optuna.create_study(direction="minimize")
    axes = {axis.name: axis for axis in space.varying}
    for setting, value in zip(settings, values, strict=True):
        if math.isfinite(value):
            study.add_trial(optuna.trial.create_trial(
                state=TrialState.COMPLETE, value=float(value),
                params={name: to_internal(axes[name], setting[name]) for name in setting},
                distributions={name: distribution(axes[name]) for name in setting}))
    told = study.get_trials(deepcopy=False)
    if len(axes) == 0 or len(told) < 4 or len({trial.value for trial in told}) < 2:
        return {}
    complete = all(axes.keys() == trial.params.keys() for trial in told)
    fanova, ped_anova = optuna.importance.FanovaImportanceEvaluator, optuna.importance.PedAnovaImportanceEvaluator
    evaluator = fanova(n_trees=num_trees, seed=seed) if complete else ped_anova()
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # a forest whose every tree is one leaf has nothing to explain
        return {}
    return {name: float(found.get(name, 0.0)) for name in axes}


def _percent(fraction: float) -> int:
    return max(1, round(100 * fraction))
