"""The race of one capacity's measure stage as trials: which are to be run now, given those that have ended.

Owns the way from a plan's trials to the numbers of sweeps.analysis.races and back; decides nothing itself. Knows no ledger: a
restarted sweep hands over the same ended trials and is told the same.
"""

from collections.abc import Mapping, Sequence

from sweeps.analysis.ladder import overlap_of
from sweeps.analysis.races import Field, Race, Result, going_on, run_race
from sweeps.records import TrialSpec
from sweeps.study import Study
from sweeps.study.until import Until

Ended = Mapping[str, float | None]
"""Trial key -> the objective at its end, None where it failed."""


class Racer:
    """One capacity's race. `specs` are all the trials that its measure stage may come to."""

    def __init__(self, study: Study, rule: Until, specs: Sequence[TrialSpec]) -> None:
        self._rule = rule
        self._specs = distinct(specs)
        self.field = field_of(study, self._specs)
        self._asked: list[TrialSpec] = []
        self.race: Race | None = None

    @property
    def over(self) -> bool:
        return self.race is not None and self.race.over

    @property
    def num_trials(self) -> tuple[int, int]:
        """How many trials it comes to: at least, and at most."""
        if self.race is None or self.race.over:
            return len(self._asked), len(self._asked)
        goes_A = going_on(self.race, self.field)
        asked = [max(self.race.asked_A)] * int(goes_A.sum())
        most = len(self._asked) + self.field.per_split * sum(self.field.splits - splits for splits in asked)
        return len(self._asked), min(most, self._rule.max_trials or most)

    def wanted(self, ended: Ended) -> list[TrialSpec]:
        """Every trial that the race has asked for so far; it goes on where all of these have ended."""
        if self.race is None or not any(spec.key not in ended for spec in self._asked):
            results: list[Result] = [(spec.number, spec.split, spec.repeat, ended[spec.key])
                                     for spec in self._specs if spec.key in ended]
            self.race = run_race(results, self.field, self._rule)
            self._asked = [spec for spec in self._specs if spec.split <= self.race.asked_A[spec.number]]
        return self._asked


def distinct(specs: Sequence[TrialSpec]) -> list[TrialSpec]:
    """The trials without those arms that come to the very trials of an earlier one: they share its fate."""
    first: dict[str, int] = {}
    for spec in specs:
        first.setdefault(spec.key, spec.number)
    return [spec for spec in specs if first[spec.key] == spec.number]


def field_of(study: Study, specs: Sequence[TrialSpec]) -> Field:
    """Who races at a capacity, of the trials that its plan holds."""
    measure = study.measure
    arms = sorted({spec.number for spec in specs if spec.number >= len(measure.alphas)})
    return Field(alphas=measure.alphas, arms=tuple(arms), splits=measure.splits,
                 per_split=measure.num_replicates // measure.splits, overlap=overlap_of(specs[0].config))
