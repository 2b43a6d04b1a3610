"""Which trial comes next: interrupted ones, then asks of the sampler in turns, then measure trials, longest first.

Owns the order and the budgets of a study's trials. Reads no ledger and no clock; the sampler arrives as an argument.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from sweeps.plan import impossible_arms, measure_specs, plan
from sweeps.racing import Racer
from sweeps.records import FINAL_STATES, FINISHED, MEASURE, SEARCH, TrialRecord, TrialSpec
from sweeps.study import Study

SEARCH_SPLIT = 0
"""The training split of every search trial. Measure trials use the others: none is judged on the split that chose it."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What the sampler proposes: a setting of the searched axes, and what must be kept to go on after a restart."""

    number: int
    setting: dict[str, Any]
    origin: str
    memory: dict[str, Any]


class Sampler(Protocol):
    """What a sweep needs of its search: sweeps.brain.Brain, or a fake in a test."""

    def restore(self, trials: list[TrialRecord], curves: dict[str, dict[int, float]], audited: dict[str, int]) -> None:
        """Take over the search trials of the ledger; `curves` holds the objective per epoch of each, by trial key.

        `audited`: trials that run on although they should have been stopped, with the epoch at which.
        """

    def ask(self, capacity: str) -> Ask: ...

    def report(self, trial: TrialRecord, curve: dict[int, float]) -> bool:
        """Take note of new epochs; True where the trial should be pruned."""

    def tell(self, trial: TrialRecord, value: float | None) -> None:
        """Take note of the end of a trial, by its state; `value` is the objective at its last epoch."""

    def best(self, capacity: str) -> dict[str, Any] | None: ...

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs of a trial of this length at which it may be pruned."""


@dataclass
class CapacitySearch:
    """Where the search of one capacity stands: how much was asked, what still runs, what it has cost."""

    max_trials: int
    max_hours: float | None
    num_asked: int = 0
    seconds: float = 0.0
    num_epochs: int = 0
    unfinished: set[str] = field(default_factory=set)

    @property
    def spent(self) -> bool:
        """Whether a budget is used up, so that nothing more is asked."""
        return self.num_asked >= self.max_trials or (self.max_hours is not None and self.seconds >= 3600 * self.max_hours)

    @property
    def complete(self) -> bool:
        return self.spent and not self.unfinished

    @property
    def seconds_per_epoch(self) -> float:
        return self.seconds / self.num_epochs if self.num_epochs else 0.0


class Dispatch:
    """The order of a study's trials. `notes` says in words what cannot be run, and why."""

    def __init__(self, study: Study, sampler: Sampler, data_digest: str) -> None:
        self._study, self._sampler, self._data_digest = study, sampler, data_digest
        self.searches = {capacity.label: CapacitySearch(study.search.max_trials, study.search.max_hours)
                         for capacity in study.capacities}
        self.notes: list[str] = []
        self._by_cost = by_cost(study)
        self._resumable: deque[TrialSpec] = deque()
        self._alone: deque[TrialSpec] = deque()
        self._measures: list[tuple[float, int, TrialSpec]] = []
        self._known: set[str] = set()
        self._measured: set[str] = set()
        self._races: dict[str, Racer] = {}
        self._ended: dict[str, float | None] = {}
        self._num_of_arm: Counter[str] = Counter()

    def add_known(self, trial: TrialRecord, value: float | None = None, *, alone: bool = False) -> None:
        """Take over a trial of the ledger: it is not asked again, and it is run first where it has not ended.

        `value`: the objective at its last epoch. `alone`: see `resume`.
        """
        self._known.add(trial.key)
        self._note_risk(trial, value)
        search = self.searches.get(trial.capacity)
        if trial.stage == SEARCH and search:
            search.num_asked += 1
            self._num_of_arm[trial.arm_key] += 1
        if trial.state not in FINAL_STATES:
            self.resume(trial, alone=alone)
            if trial.stage == SEARCH and search:
                search.unfinished.add(trial.key)

    def resume(self, trial: TrialRecord, *, alone: bool = False) -> None:
        """Run this trial again before anything else; `alone`, while nothing else runs."""
        (self._alone if alone else self._resumable).append(spec_of(trial))

    @property
    def resumable(self) -> set[str]:
        """The trials that wait to be run again."""
        return {spec.key for spec in (*self._resumable, *self._alone)}

    def next(self, *, idle: bool) -> TrialSpec | None:
        """The next trial, or None where nothing is ready at the moment. `idle`: nothing runs.

        Where a trial waits to run alone nothing else begins, so that its turn comes.
        """
        if self._alone:
            return self._alone.popleft() if idle else None
        if self._resumable:
            return self._resumable.popleft()
        return self._ask() or self._measure()

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to run, provided that the trials now running end well."""
        asked = all(search.spent for search in self.searches.values())
        racing = any(not race.over for race in self._races.values())
        return asked and not self.resumable and not self._measures and not racing and self._measured == set(self.searches)

    @property
    def num_measures(self) -> dict[str, tuple[int, int]]:
        """How many measure trials each race comes to, at least and at most, by capacity."""
        return {capacity: race.num_trials for capacity, race in self._races.items()}

    def note_epochs(self, trial: TrialRecord, seconds: Iterable[float]) -> None:
        """Count the cost of new epochs of a search trial."""
        search = self.searches.get(trial.capacity)
        if trial.stage == SEARCH and search:
            for epoch_seconds in seconds:
                search.seconds += epoch_seconds
                search.num_epochs += 1

    def note_end(self, trial: TrialRecord, value: float | None = None) -> None:
        """A trial has ended; `value`: the objective at its last epoch."""
        search = self.searches.get(trial.capacity)
        self._note_risk(trial, value)
        if trial.stage == MEASURE and trial.capacity in self._races:
            self._line_up(trial.capacity, self._races[trial.capacity].wanted(self._ended))
        if search:
            search.unfinished.discard(trial.key)
            self.plan_measures()

    def plan_measures(self) -> None:
        """Line up the measure trials of every capacity whose search is complete and that was not lined up before."""
        for capacity, search in self.searches.items():
            ready = search.complete or self._study.measure.at != "best"
            if ready and capacity not in self._measured:
                self._measured.add(capacity)
                self._plan_capacity(capacity, search)

    def _plan_capacity(self, capacity: str, search: CapacitySearch) -> None:
        best = self._sampler.best(capacity)
        if best is None and self._study.measure.at == "best":
            self.notes.append(f"{capacity} is not measured: none of its {search.num_asked} search trials finished")
            return
        for name in impossible_arms(self._study, capacity, best or {}):
            self.notes.append(f"{capacity}: arm {name} is not measured: what it sets contradicts the best setting found")
        specs = measure_specs(self._study, self._data_digest, {capacity: best or {}})
        if (until := self._study.measure.until) is not None:
            self._races[capacity] = Racer(self._study, until, specs)
            specs = self._races[capacity].wanted(self._ended)
        self._line_up(capacity, specs)

    def _line_up(self, capacity: str, specs: list[TrialSpec]) -> None:
        """The measure trials among these that were not lined up before, the longest first."""
        for spec in specs:
            if spec.key not in self._known:
                self._known.add(spec.key)
                seconds = self.searches[capacity].seconds_per_epoch * spec.config["epochs"]
                heapq.heappush(self._measures, (-seconds, len(self._known), spec))

    def _note_risk(self, trial: TrialRecord, value: float | None) -> None:
        """What a race is decided by: the analysis reads the same number (ladder.final_metric)."""
        if trial.stage == MEASURE and trial.state in FINAL_STATES:
            self._ended[trial.key] = trial.metrics.get(self._study.objective, value) if trial.state == FINISHED else None

    def _ask(self) -> TrialSpec | None:
        """Capacities take turns, the costliest first, so that all searches end, and measuring starts, at about one time."""
        asking = [capacity for capacity in self._by_cost if not self.searches[capacity].spent]
        if not asking:
            return None
        capacity = min(asking, key=lambda one: self.searches[one].num_asked)
        return self._search_spec(capacity, self._sampler.ask(capacity))

    def _search_spec(self, capacity: str, ask: Ask) -> TrialSpec:
        """An arm asked for again is run as its next repeat: another trial, so N asks are N runs."""
        config = self._study.config(ask.setting, capacity, SEARCH_SPLIT)
        arm_key = config.arm_key()
        config = replace(config, repeat=self._num_of_arm[arm_key])
        spec = TrialSpec(key=config.trial_key(self._data_digest), stage=SEARCH, number=ask.number, capacity=capacity,
                         arm_key=arm_key, split=config.split, repeat=config.repeat, config=config.to_dict(),
                         setting=ask.setting, origin=ask.origin, brain=ask.memory)
        self._num_of_arm[arm_key] += 1
        self._known.add(spec.key)
        self.searches[capacity].num_asked += 1
        self.searches[capacity].unfinished.add(spec.key)
        return spec

    def _measure(self) -> TrialSpec | None:
        return heapq.heappop(self._measures)[2] if self._measures else None


def by_cost(study: Study) -> list[str]:
    """Capacity labels, the costliest first, by the multiply-adds of an example where they are known, else by the ladder."""
    steps = enumerate(plan(study).sizes.items())
    order = {label: (size.multiply_adds if size else 0, step) for step, (label, size) in steps}
    return sorted(order, key=lambda label: order[label], reverse=True)


def spec_of(trial: TrialRecord) -> TrialSpec:
    """What is to run, of a trial that the ledger already knows."""
    return TrialSpec(**{one.name: getattr(trial, one.name) for one in fields(TrialSpec)})
