"""How far a sweep is and how long it still takes, from the trials seen so far. Pure; asks no clock."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sweeps.records import FAILED, FINAL_STATES, MEASURE, RUNNING, SEARCH, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a study asks for at one capacity: trials per stage, and the epochs a search trial may take at most.

    `fewest_measure`: where a race may end after so many trials of the measure stage; None: there is no race.
    """

    capacity: str
    num_search: int
    num_measure: int
    max_epochs: int
    fewest_measure: int | None = None


@dataclass
class Pace:
    """Counts trials as they change, and extrapolates. `see` is O(1); everything is in seconds of one worker unless said."""

    workloads: tuple[Workload, ...]
    states: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    seconds_per_epoch: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    epochs_per_trial: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    num_failed: int = 0
    num_running: int = 0
    num_workers: int = 1
    races: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Trials that the race of a capacity comes to, at least and at most, as far as it has begun."""

    def see(self, trial: TrialRecord) -> None:
        """Take note of a trial's newest state. Seeing the same state twice changes nothing."""
        before = self.states.get(trial.key, ("", "", ""))[2]
        self.states[trial.key] = (trial.stage, trial.capacity, trial.state)
        self.num_running += (trial.state == RUNNING) - (before == RUNNING)
        self.num_workers = max(self.num_workers, self.num_running)
        if trial.state not in FINAL_STATES or before in FINAL_STATES:
            return
        self.ended[trial.stage, trial.capacity] += 1
        self.num_failed += trial.state == FAILED
        seconds = trial.metrics.get("cost/seconds", 0.0)  # a pruned trial has none, and its dates may span a night's interruption
        if trial.last_epoch and seconds > 0:
            _add(self.seconds_per_epoch[trial.capacity], seconds, trial.last_epoch)
            _add(self.epochs_per_trial[trial.stage, trial.capacity], trial.last_epoch, 1)

    def num_ended(self, stage: str) -> int:
        return sum(count for (of, _), count in self.ended.items() if of == stage)

    def num_planned(self, stage: str) -> int:
        """As planned, at most where there are races, or as begun where more was begun than this plan asks for."""
        planned = sum(self._bounds(load, stage)[1] for load in self.workloads)
        return max(planned, self.num_ended(stage))

    def seconds_left(self) -> float | None:
        """Wall time left, on as many workers as were seen busy at one time; None before the first trial has ended."""
        known = [total / count for total, count in self.seconds_per_epoch.values() if count]
        if not known:
            return None
        work = sum(self._left(load, stage, sum(known) / len(known)) for load in self.workloads for stage in (SEARCH, MEASURE))
        return work / self.num_workers

    def _left(self, load: Workload, stage: str, fallback: float) -> float:
        planned = sum(self._bounds(load, stage)) / 2  # a race may end anywhere between
        total, count = self.seconds_per_epoch.get(load.capacity, (0.0, 0.0))
        per_epoch = total / count if count else fallback
        total, count = self.epochs_per_trial.get((stage, load.capacity), (0.0, 0.0))
        epochs = total / count if count else 0.75 * load.max_epochs
        return max(planned - self.ended[stage, load.capacity], 0) * per_epoch * epochs


    def _bounds(self, load: Workload, stage: str) -> tuple[int, int]:
        """Trials of a stage, at least and at most."""
        if stage == SEARCH:
            return load.num_search, load.num_search
        fewest = load.num_measure if load.fewest_measure is None else load.fewest_measure
        return self.races.get(load.capacity, (fewest, load.num_measure))


def _add(sums: list[float], total: float, count: float) -> None:
    sums[0] += total
    sums[1] += count
