"""Plan: which trials a study has, and what they will cost.

Pure: from a Study to trial specifications, counts and estimates. Refuses to know what has run, and imports neither
torch nor ray, so that a plan is there at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces import Capacity
from sweeps.plan_cost import StagePlan, ladder_sizes, stage_plan
from sweeps.records import ARM, LADDER, MEASURE, SEARCH, Replicate, TrialSpec, rung_name
from sweeps.study import Study
from sweeps.study.schema import DIAGNOSTIC_HELP
from sweeps.tables import setting_text
from trainable.models.sizes import Size


def first_settings(study: Study, capacity: Capacity | str) -> list[dict[str, Any]]:  # noqa: ARG001 - equal at every step
    """The settings the search of a capacity starts with, no more than its budget."""
    return [dict(setting) for setting in study.search.first[:study.search.max_trials]]


def measure_specs(study: Study, data_digest: str, best: Mapping[str, Mapping[str, Any]]) -> list[TrialSpec]:
    """Every trial of the measure stage of the capacities in `best` (capacity label -> its best setting).

    On splits 1..S: the split that chose the setting (0) is never measured on. Where the study itself gives the other
    axes (`measure.at`), the settings in `best` are ignored. `number` is the position on the ladder of alphas; arms follow.
    An arm that cannot be at the setting that was found is left out: `impossible_arms` says which.
    """
    specs = []
    for label, setting in best.items():
        chosen = _chosen(study, setting)
        for number, alpha in enumerate(study.measure.alphas):
            rung = rung_setting(study, chosen, alpha)
            specs += [_measure_spec(study, data_digest, (label, number, LADDER), rung, one) for one in replicates(study)]
        for number, name in enumerate(study.measure.arms, start=len(study.measure.alphas)):
            if study.arm_config(label, chosen, name):
                arm = study.arm_setting(chosen, name)
                specs += [_measure_spec(study, data_digest, (label, number, ARM + name), arm, one) for one in replicates(study)]
    return specs


def impossible_arms(study: Study, label: str, setting: Mapping[str, Any]) -> list[str]:
    """The arms whose fields contradict the setting that the search of a capacity found."""
    return [name for name in study.measure.arms if study.arm_config(label, _chosen(study, setting), name) is None]


def _chosen(study: Study, setting: Mapping[str, Any]) -> Mapping[str, Any]:
    """The measured setting: the best one found, or what the study itself says."""
    return setting if isinstance(study.measure.at, str) else study.measure.at


def replicates(study: Study) -> list[Replicate]:
    """The replicates of the measure stage, the same for every arm: on each split every seed, then redraws of the first.

    Where nothing is drawn (alpha 0) the redraws of a seed are one and the same, bit for bit.
    """
    measure = study.measure
    on_split = [(repeat, 0) for repeat in range(measure.seeds)] + [(0, redraw) for redraw in range(1, measure.redraws)]
    return [Replicate(split, repeat, redraw) for split in range(1, measure.splits + 1) for repeat, redraw in on_split]


def rung_setting(study: Study, setting: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    """`setting` at this alpha, without the axes that do not exist there."""
    return {"alpha": alpha, **study.space.only_active({**setting, "alpha": alpha})}


def _measure_spec(study: Study, data_digest: str, place: tuple[str, int, str], setting: dict[str, Any],
                  replicate: Replicate) -> TrialSpec:
    capacity, number, origin = place
    config = study.config(setting, capacity, *replicate)
    return TrialSpec(key=config.trial_key(data_digest), stage=MEASURE, number=number, capacity=capacity,
                     arm_key=config.arm_key(), split=replicate.split, repeat=replicate.repeat, config=config.to_dict(),
                     setting=setting, origin=origin)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study will run: its stages at each capacity, the ladder with its sizes, space and arms as rows of a table.

    `measured`: seconds come from measured epochs, not from the nominal rate of plan_cost.
    """

    study: str
    stages: tuple[StagePlan, ...]
    sizes: dict[str, Size | None]
    space: tuple[dict[str, str], ...]
    measured: bool
    diagnostics: tuple[str, ...] = ()
    arms: tuple[dict[str, str], ...] = ()

    @property
    def num_search(self) -> int:
        return sum(part.num_trials for part in self.stages if part.stage == SEARCH)

    @property
    def num_measure(self) -> int:
        return sum(part.num_trials for part in self.stages if part.stage == MEASURE)

    @property
    def num_trials(self) -> int:
        return self.num_search + self.num_measure

    @property
    def trial_epochs(self) -> float:
        return sum(part.trial_epochs for part in self.stages)

    @property
    def example_passes(self) -> float | None:
        return _total([part.example_passes for part in self.stages])

    @property
    def multiply_adds(self) -> float | None:
        return _total([part.multiply_adds for part in self.stages])

    @property
    def seconds(self) -> float | None:
        """Seconds of one worker, all trials run to their end."""
        return _total([part.seconds for part in self.stages])

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Title -> rows, ready to print."""
        source = "as measured" if self.measured else "on a nominal core"
        total = StagePlan(stage="all", capacity="", num_trials=self.num_trials, trial_epochs=self.trial_epochs,
                          fewest=sum(part.fewest for part in self.stages),
                          max_epochs=0, example_passes=self.example_passes, multiply_adds=self.multiply_adds,
                          seconds=self.seconds)
        ladder = [{"capacity": label, "parameters": _count(found.parameters if found else None),
                   "multiply-adds an example": _count(found.multiply_adds if found else None)}
                  for label, found in self.sizes.items()]
        most = "" if total.fewest == total.num_trials else ", at most: a race may end sooner"
        title = f"trials (minutes of one worker {source}, nothing pruned{most})"
        arms = {"arms": list(self.arms)} if self.arms else {}
        asked = [{"diagnostic": name, "what it finds": DIAGNOSTIC_HELP[name]} for name in self.diagnostics]
        found = {"diagnostics of every trial of the measure stage": asked} if asked else {}
        return {"space": list(self.space), "capacities": ladder, **arms, **found,
                title: [_row(part) for part in (*self.stages, total)]}


def plan(study: Study, seconds_per_epoch: Mapping[str, float] | None = None) -> Plan:
    """What the study will run. `seconds_per_epoch`: measured, by capacity label, evaluation included."""
    sizes, measured = ladder_sizes(study), seconds_per_epoch or {}
    stages = [stage_plan(study, stage, capacity.label, sizes[capacity.label], measured)
              for stage in (SEARCH, MEASURE) for capacity in study.capacities]
    return Plan(study=study.name, stages=tuple(stages), sizes=sizes, space=tuple(study.space.describe()),
                measured=all(capacity.label in measured for capacity in study.capacities), arms=_arms(study),
                diagnostics=study.diagnostics)


def _arms(study: Study) -> tuple[dict[str, str], ...]:
    """The rungs of the ladder and the named arms as rows, where there are arms."""
    if not study.measure.arms:
        return ()
    rungs = [{"arm": rung_name(alpha), "sets": setting_text({"alpha": alpha})} for alpha in study.measure.alphas]
    named = [{"arm": name, "sets": setting_text({"alpha": 0.0, **arm})} for name, arm in study.measure.arms.items()]
    count = str(study.measure.num_replicates)
    return tuple({**row, "trials at each capacity": count} for row in rungs + named)


def _total(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _row(part: StagePlan) -> dict[str, str]:
    minutes = None if part.seconds is None else part.seconds / 60
    trials = str(part.num_trials) if part.fewest == part.num_trials else f"{part.fewest} to {part.num_trials}"
    return {"stage": part.stage, "capacity": part.capacity, "trials": trials,
            "epochs": _count(part.trial_epochs), "example passes": _count(part.example_passes),
            "multiply-adds": _count(part.multiply_adds), "minutes": _count(minutes)}


def _count(number: float | None) -> str:
    """12,345 or 1.23e+09; ? where unknown."""
    if number is None:
        return "?"
    if 0 < number < 10 and number % 1:
        return f"{number:.1f}"
    return f"{number:,.0f}" if number < 1e7 else f"{number:.3g}"
