"""The search of a record, told again: the same asks in the same order, stopped where they were stopped.

For replays that change nothing of the search: virtual workers end trials at other moments than real ones did, and a sampler
that hears of them in another order would ask for settings that were never tried. Asks beyond the record are the sampler's own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sweeps.brain import Brain
from sweeps.dispatch import Ask
from sweeps.records import PRUNED, RUNNING, SEARCH, TrialRecord
from sweeps.study import Study


class RetoldSearch(Brain):
    """A Brain whose asks and prunings are the recorded ones; what is best it finds itself."""

    def __init__(self, study: Study, trials: Sequence[TrialRecord]) -> None:
        super().__init__(study)
        self._recorded = {(trial.capacity, trial.number): trial for trial in trials if trial.stage == SEARCH}
        self._num_told: Counter[str] = Counter()

    def ask(self, capacity: str) -> Ask:
        trial = self._recorded.get((capacity, self._num_told[capacity]))
        if trial is None:
            return super().ask(capacity)
        self._num_told[capacity] += 1
        self.restore([replace(trial, state=RUNNING)], {})
        return Ask(number=trial.number, setting=trial.setting, origin=trial.origin, memory=trial.brain)

    def report(self, trial: TrialRecord, curve: Mapping[int, float]) -> bool:
        asked = super().report(trial, curve)
        known = self._recorded.get((trial.capacity, trial.number))
        return asked if known is None else known.state == PRUNED and trial.last_epoch >= known.last_epoch
