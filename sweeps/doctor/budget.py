"""Whether a study has the trials it asks for: none missing where it counts as complete, none beyond.

Asks what a driver would do next, by the product's own planning; owns no count of its own. Writes nothing.
"""

from functools import partial
from typing import TYPE_CHECKING

from sweeps.dispatch import Dispatch
from sweeps.doctor.finding import BACKUP, GO_ON, LEDGER, Finding
from sweeps.doctor.recorded import Recorded
from sweeps.doctor.sampler import searched
from sweeps.ledger import ASKED
from sweeps.plan import measure_specs
from sweeps.records import FINAL_STATES, MEASURE

if TYPE_CHECKING:
    from sweeps.brain import Brain


def check_budget(recorded: Recorded, brain: "Brain") -> list[Finding]:
    """Trials missing from a study that counts as complete, and trials that it never asked for."""
    return [*_missing(recorded, brain), *_beyond(recorded, brain)]


def _missing(recorded: Recorded, brain: "Brain") -> list[Finding]:
    if not recorded.complete or recorded.driver is not None:
        return []
    found = [Finding(place=LEDGER, trial=trial.key, text=f"{trial.state} in a study that counts as complete", remedy=GO_ON)
             for trial in recorded.trials if trial.state not in FINAL_STATES]
    dispatch = Dispatch(recorded.study, brain, str(recorded.record.provenance.get("data_digest", "")))
    for trial in recorded.trials:
        dispatch.add_known(trial, recorded.curve(trial).get(trial.last_epoch))
        dispatch.note_epochs(trial, [row.seconds for row in recorded.rows.get(trial.id, ())])
    for capacity, search in dispatch.searches.items():
        if not search.spent:
            text = f"{capacity}: {search.num_asked} of {search.max_trials} search trials in a study that counts as complete"
            found.append(Finding(place=LEDGER, trial=None, text=text, remedy=GO_ON))
    if found or "data_digest" not in recorded.record.provenance:
        return found
    dispatch.plan_measures()
    lacking = [spec.key for spec in iter(partial(dispatch.next, idle=True), None)]
    return [Finding(place=LEDGER, trial=key, text="missing from a study that counts as complete", remedy=GO_ON)
            for key in lacking]


def _beyond(recorded: Recorded, brain: "Brain") -> list[Finding]:
    """Nothing where the study was ever asked for something else: more was right then."""
    if any(decision.kind == ASKED for decision in recorded.decisions):
        return []
    study, data_digest = recorded.study, recorded.record.provenance.get("data_digest")
    extra = {trial.key for trial in searched(recorded) if trial.number >= study.search.max_trials}
    measured = [trial for trial in recorded.trials if trial.stage == MEASURE]
    if data_digest:
        best = {capacity.label: brain.best(capacity.label) or {} for capacity in study.capacities}
        asked = {spec.key for spec in measure_specs(study, data_digest, best)}
        extra |= {trial.key for trial in measured if trial.key not in asked}
    return [Finding(place=LEDGER, trial=trial.key, text=f"a {trial.stage} trial that the study does not ask for", remedy=BACKUP)
            for trial in recorded.trials if trial.key in extra]
