"""Which finished trials of one study another may take over, and how a person is told to begin such a fork. Pure.

A trial applies when its configuration, made again from the new study, has the same key: then it would give the same numbers.
Owns that rule. Refuses to know the ledger, the sampler and files.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.plan import replicates
from sweeps.records import (
    FINISHED,
    MEASURE,
    PRUNED,
    SEARCH,
    TRANSFER,
    TRANSFER_REPLICATE,
    Copy,
    TrialRecord,
    TrialSpec,
    arm_name,
)
from sweeps.study import Study
from trainable.config import TrialConfig
from trainable.errors import ConfigError

Remember = Callable[[Mapping[str, Any]], dict[str, Any]]
"""What the sampler must remember of a setting that it did not choose."""


@dataclass(frozen=True, kw_only=True)
class Fork:
    """The study `old`, as it is recorded, and the study `new` that is to take over what applies; both on the same data."""

    old: Study
    new: Study
    data_digest: str

    @property
    def prunes_alike(self) -> bool:
        """Whether both stop trials by one rule; how many of these run on for an audit does not matter."""
        old, new = self.old.search.prune, self.new.search.prune
        same_rule = (old.rule, old.grace, old.reduction) == (new.rule, new.grace, new.reduction)
        return same_rule and self.old.objective == self.new.objective

    @property
    def searches_alike(self) -> bool:
        """Whether the sampler may remember of each trial what it remembered of it before."""
        return self.old.space == self.new.space and self.old.search.sampler == self.new.search.sampler


def search_copies(fork: Fork, trials: Sequence[TrialRecord], remember: Remember) -> list[Copy]:
    """The search trials that the new study begins with: inside its space, at its capacities, numbered anew, no more than it asks.

    A repeat of an arm goes along only behind the ones before it, since the next ask of that arm becomes the next repeat. Of a
    grid whose space has changed there is none: its points are those of its own space.
    """
    if fork.new.search.sampler == "grid" and not fork.searches_alike:
        return []
    states = {FINISHED, PRUNED} if fork.prunes_alike else {FINISHED}
    searched = [trial for trial in trials if trial.stage == SEARCH and trial.state in states]
    copies: list[Copy] = []
    num_asked: Counter[str] = Counter()
    num_repeats: Counter[str] = Counter()
    for trial in sorted(searched, key=lambda one: (one.number, one.id)):
        capacity, setting, config = placed(fork, trial) or (None, {}, None)
        if capacity is None or config is None or not fork.new.space.contains(setting):
            continue
        arm_key = config.arm_key()
        if num_asked[capacity] >= fork.new.search.max_trials or config.repeat != num_repeats[arm_key]:
            continue
        spec = TrialSpec(key=trial.key, stage=SEARCH, number=num_asked[capacity], capacity=capacity, arm_key=arm_key,
                         split=config.split, repeat=config.repeat, config=config.to_dict(), setting=setting, origin=trial.origin,
                         brain=trial.brain if fork.searches_alike else remember(setting))
        copies.append(Copy(donor=trial.id, origin=fork.old.name, spec=spec, with_decisions=fork.prunes_alike))
        num_asked[capacity] += 1
        num_repeats[arm_key] += 1
    return copies


def measure_donors(fork: Fork, trials: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
    """The measured trials, by key, that the new study may ask for. Which of them it does depends on the best setting it finds.

    Without one that lacks a diagnostic asked for now, or whose weights would be needed again for attacks between arms.
    """
    wanted = set(fork.new.diagnostics)
    if not wanted - {TRANSFER} <= set(fork.old.diagnostics):
        return {}
    asked = set(replicates(fork.new))
    return {trial.key: trial for trial in trials
            if trial.stage == MEASURE and trial.state == FINISHED and trial.replicate in asked
            and not (TRANSFER in wanted and trial.replicate == TRANSFER_REPLICATE)
            and _is_asked(fork.new, trial) and placed(fork, trial, trial.setting)}


def placed(fork: Fork, trial: TrialRecord, names: Collection[str] = ()) -> tuple[str, dict[str, Any], TrialConfig] | None:
    """Where a trial stands in the new study: capacity, setting (axes that vary there, and `names`), configuration; or nowhere."""
    for capacity in fork.new.capacities:
        setting = fork.new.space.only_active(trial.config)
        setting |= {name: trial.config[name] for name in names if name not in setting}
        try:
            config = fork.new.config(setting, capacity, *trial.replicate)
        except (ConfigError, TypeError):  # TypeError: a field of another release
            continue
        if config.trial_key(fork.data_digest) == trial.key:
            return capacity.label, setting, config
    return None


def _is_asked(study: Study, trial: TrialRecord) -> bool:
    """Whether the measure stage has this arm, or a rung at this alpha."""
    name = arm_name(trial.origin)
    return name in study.measure.arms if name is not None else trial.config.get("alpha") in study.measure.alphas


def ways_out(command: str, name: str, known: Collection[str]) -> str:
    """How to go on with a study whose settings have changed, as commands to paste."""
    number = next(number for number in range(2, len(known) + 3) if f"{name}-{number}" not in known)
    under = f"{command} --set name={name}-{number}"
    return (f"To go on with the study, take the changes back. To try them, give the changed study a name of its own:\n  {under}\n"
            f"or let it also take over the finished trials that still apply:\n  {under} --fork {name}")
