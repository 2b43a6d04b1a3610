"""The search: which setting to try next, which trial to stop early, which setting was best. One Optuna study per capacity.

Optuna's memory is a projection of the ledger. It lives in this process only, is rebuilt from the search trials at every start,
and the sampler is made anew for each ask from (study seed, capacity, number of the ask): the same history gives the same next
setting, resumed or not. What a sampler must remember of an ask beyond that goes into the ledger with the trial (`Ask.memory`).
"""

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from search_spaces.space import SearchSpace
from sweeps.dispatch import Ask
from sweeps.optuna_study import (
    distribution,
    from_internal,
    make_pruner,
    make_sampler,
    rung_epochs,
    rung_steps,
    suggest,
    to_internal,
)
from sweeps.plan import first_settings
from sweeps.records import FINAL_STATES, FINISHED, PRUNED, TrialRecord
from sweeps.study import Study
from trainable.errors import LedgerError
from trainable.seeding import stream_seed

FIRST, SAMPLER = "first", "sampler"
_TRANSIENT = ("tpe:relative_params", "gp:relative_params")
"""Attributes by which Optuna shares a half-made ask between processes: empty of meaning once the trial has its parameters."""


class Told(NamedTuple):
    """What Optuna knows of a trial: its state by Optuna's name, its value, and its values by percent of its own epochs."""

    state: str
    value: float | None
    at_rungs: dict[int, float]


class Brain:
    """The searches of a study, by capacity label. See sweeps.dispatch.Sampler for what a sweep asks of it."""

    def __init__(self, study: Study) -> None:
        self._steps = rung_steps(study.search.prune)
        self._searches = {capacity.label: _Search(study, capacity.label, first_settings(study, capacity))
                          for capacity in study.capacities}

    def restore(self, trials: list[TrialRecord], curves: Mapping[str, Mapping[int, float]],
                audited: Mapping[str, int] = MappingProxyType({})) -> None:
        """Rebuild every search from its trials in the ledger: nothing else is remembered from before.

        `audited`: trials that should have been stopped at this epoch and ran on. Later rungs have not heard of them.

        Trials that will run again are RUNNING, all others have ended: no RUNNING one is left over. Raises LedgerError when
        an ask is missing among the trials of a capacity.
        """
        for trial in sorted(trials, key=lambda one: (one.capacity, one.number)):
            search = self._searches.get(trial.capacity)
            if search is None:
                continue
            search.add(trial)
            last = audited.get(trial.key, math.inf)
            search.report(trial, {epoch: value for epoch, value in curves.get(trial.key, {}).items() if epoch <= last})
            if trial.state in FINAL_STATES:
                search.tell(trial, curves.get(trial.key, {}).get(trial.last_epoch))

    def ask(self, capacity: str) -> Ask:
        """The next setting of this capacity; the study's first settings come first."""
        return self._searches[capacity].ask()

    def report(self, trial: TrialRecord, curve: Mapping[int, float]) -> bool:
        """Compare a trial with the others at every rung its new epochs reach; True where it should be pruned."""
        return self._searches[trial.capacity].report(trial, curve)

    def tell(self, trial: TrialRecord, value: float | None) -> None:
        """Close a trial that has ended: a pruned one as PRUNED, one that failed or has no finite value as FAIL."""
        self._searches[trial.capacity].tell(trial, value)

    def best(self, capacity: str) -> dict[str, Any] | None:
        """The setting with the lowest mean objective over its finished trials; of equals the one asked first."""
        return self._searches[capacity].best()

    def told(self, capacity: str) -> dict[int, Told]:
        """What Optuna knows of every trial of a capacity, by the number of the ask."""
        return self._searches[capacity].told()

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs at which a trial of this length may be pruned."""
        return tuple(sorted(set(rung_epochs(self._steps, epochs).values())))


class _Search:
    """One capacity's search. An Optuna trial's number is the number of the ask."""

    def __init__(self, study: Study, capacity: str, first: list[dict[str, Any]]) -> None:
        self._space: SearchSpace = study.space
        self._sampler, self._first = study.search.sampler, first
        self._seed, self._capacity = study.seed, capacity
        self._steps = rung_steps(study.search.prune)
        # Some samplers act when a trial is told, too (Optuna's grid stops a study that is not being optimised), so the real
        # one is there while it is asked and at no other time.
        self._neutral = RandomSampler(seed=0)
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, study_name=capacity, direction="minimize",
                                          sampler=self._neutral, pruner=make_pruner(study.search.prune))
        self._study_id = self._storage.get_study_id_from_name(capacity)
        self._num_asked = 0
        self._settings: dict[int, dict[str, Any]] = {}
        self._values: dict[int, float] = {}

    def ask(self) -> Ask:
        number = self._num_asked
        first = self._next_first()
        if first is not None:
            self._study.enqueue_trial({axis.name: to_internal(axis, first[axis.name]) for axis in self._space.active(first)})
        self._study.sampler = self._fresh_sampler(number)
        trial = self._study.ask()
        sampled: dict[str, Any] = {}
        for axis in self._space.varying:
            if self._space.is_active(axis.name, first or sampled):
                sampled[axis.name] = from_internal(axis, suggest(trial, axis), on_grid=self._sampler == "grid")
        self._study.sampler = self._neutral
        self._num_asked += 1
        self._settings[number] = sampled if first is None else dict(first)
        return Ask(number=number, setting=self._settings[number], origin=SAMPLER if first is None else FIRST,
                   memory=self._memory(number))

    def add(self, trial: TrialRecord) -> None:
        """Take over a trial from the ledger, as one that runs."""
        if trial.number != self._num_asked:
            raise LedgerError(f"{self._capacity}: search trial {self._num_asked} is missing, the next one is {trial.number}")
        memory = trial.brain
        axes = [axis for axis in self._space.varying if axis.name in memory["params"]]
        self._study.add_trial(optuna.trial.create_trial(
            state=TrialState.RUNNING, params={axis.name: memory["params"][axis.name] for axis in axes},
            distributions={axis.name: distribution(axis) for axis in axes}, system_attrs=memory["attrs"]))
        for name, value in memory["study"].items():
            self._storage.set_study_system_attr(self._study_id, name, value)
        self._num_asked += 1
        self._settings[trial.number] = trial.setting

    def report(self, trial: TrialRecord, curve: Mapping[int, float]) -> bool:
        """Every step is judged, also after one that says prune: each judgement leaves the trial's value at its rung for others."""
        known, pruned = self._frozen(trial.number), False
        for step, epoch in rung_epochs(self._steps, trial.config["epochs"]).items():
            if epoch in curve and step not in known.intermediate_values:
                self._storage.set_trial_intermediate_value(self._id(trial.number), step, curve[epoch])
                pruned |= self._study.pruner.prune(self._study, self._frozen(trial.number))
        return pruned

    def tell(self, trial: TrialRecord, value: float | None) -> None:
        if trial.state == FINISHED and value is not None and math.isfinite(value):
            self._values[trial.number] = value
            self._study.tell(trial.number, value)
        elif trial.state == PRUNED:
            self._study.tell(trial.number, state=TrialState.PRUNED)
        else:
            self._study.tell(trial.number, state=TrialState.FAIL)

    def best(self) -> dict[str, Any] | None:
        values: dict[str, list[float]] = {}
        first_number: dict[str, int] = {}
        for number, value in sorted(self._values.items()):
            arm = json.dumps(self._settings[number], sort_keys=True)
            values.setdefault(arm, []).append(value)
            first_number.setdefault(arm, number)
        if not values:
            return None
        winner = min(values, key=lambda arm: (math.fsum(values[arm]) / len(values[arm]), first_number[arm]))
        return dict(self._settings[first_number[winner]])

    def told(self) -> dict[int, Told]:
        frozen = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return {one.number: Told(one.state.name, one.value, dict(one.intermediate_values)) for one in frozen}

    def _fresh_sampler(self, number: int) -> BaseSampler:
        own = stream_seed(self._seed, "sampler", self._capacity, number) % 2**32
        return make_sampler(self._sampler, self._space, own, stream_seed(self._seed, "sampler", self._capacity) % 2**32)

    def _next_first(self) -> dict[str, Any] | None:
        """The first setting that was not asked yet: a fork may begin with some of them, and with others between."""
        asked = list(self._settings.values())
        for setting in self._first:
            if setting not in asked:
                return setting
            asked.remove(setting)
        return None

    def _memory(self, number: int) -> dict[str, Any]:
        frozen = self._frozen(number)
        attrs = {name: value for name, value in frozen.system_attrs.items() if not name.startswith(_TRANSIENT)}
        of_study = self._storage.get_study_system_attrs(self._study_id)
        return {"params": dict(frozen.params), "attrs": attrs, "study": dict(of_study)}

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _frozen(self, number: int) -> optuna.trial.FrozenTrial:
        return self._storage.get_trial(self._id(number))
