"""Whether the sampler's memory, rebuilt from the ledger as at every start, says of each trial what the ledger says.

Owns what each state means to the sampler. Optuna itself stays behind sweeps.brain.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sweeps.doctor.finding import BACKUP, SAMPLER, Finding
from sweeps.doctor.recorded import Recorded
from sweeps.records import FINAL_STATES, FINISHED, PRUNED, SEARCH, WOULD_PRUNE, TrialRecord
from trainable.errors import LedgerError

if TYPE_CHECKING:
    from sweeps.brain import Brain, Told

OUR_MISTAKE = "the sampler is rebuilt at every start: this is a mistake of the program, please report it"


def rebuilt(recorded: Recorded) -> "tuple[Brain | None, list[Finding]]":
    """The searches of the study as a driver would rebuild them now, or why that cannot be."""
    from sweeps.brain import Brain
    key_of = {trial.id: trial.key for trial in recorded.trials}
    audited = {key_of[decision.trial_id]: int(decision.detail["epoch"]) for decision in recorded.decisions
               if decision.kind == WOULD_PRUNE and decision.trial_id in key_of}
    brain = Brain(recorded.study)
    try:
        brain.restore(searched(recorded), {trial.key: recorded.curve(trial) for trial in recorded.trials}, audited)
    except (LedgerError, KeyError, TypeError, ValueError) as error:
        text = f"cannot be rebuilt: {error or type(error).__name__}"
        return None, [Finding(place=SAMPLER, trial=None, text=text, remedy=BACKUP)]
    return brain, []


def check_sampler(recorded: Recorded, brain: "Brain") -> list[Finding]:
    """Where the rebuilt sampler and the ledger differ: number of trials, states, values, values at rungs."""
    found = []
    for capacity in recorded.study.capacities:
        told = brain.told(capacity.label)
        mine = {trial.number: trial for trial in searched(recorded) if trial.capacity == capacity.label}
        if told.keys() != mine.keys():
            text = f"{capacity.label}: {len(told)} trials, the ledger has {len(mine)}"
            found.append(Finding(place=SAMPLER, trial=None, text=text, remedy=OUR_MISTAKE))
        for number in sorted(told.keys() & mine.keys()):
            trial = mine[number]
            if (differs := difference(trial, told[number], recorded.curve(trial))) is not None:
                found.append(Finding(place=SAMPLER, trial=trial.key, text=differs, remedy=OUR_MISTAKE))
    return found


def difference(trial: TrialRecord, told: "Told", curve: dict[int, float]) -> str | None:
    """How the sampler's word on a trial differs from the ledger's; None where it does not."""
    last = curve.get(trial.last_epoch, math.nan)
    state, value = expected(trial, last)
    if told.state != state:
        return f"{told.state}, where a trial {trial.state} must be {state}"
    if state == "COMPLETE" and told.value != value:
        return f"value {told.value}, where the ledger has {value}"
    wrong = [percent for percent, known in told.at_rungs.items() if not _is_among(known, curve.values())]
    if wrong:
        return f"a value at {wrong[0]} % of its epochs that the ledger has not"
    return "PRUNED without a value at any rung" if state == PRUNED and not told.at_rungs else None


def expected(trial: TrialRecord, last: float) -> tuple[str, float | None]:
    """Optuna's state for a trial with this objective at its last epoch, and its value if COMPLETE. What will run again is
    RUNNING there."""
    if trial.state not in FINAL_STATES:
        return "RUNNING", None
    if trial.state == PRUNED:
        return "PRUNED", None
    return ("COMPLETE", last) if trial.state == FINISHED and math.isfinite(last) else ("FAIL", None)


def searched(recorded: Recorded) -> list[TrialRecord]:
    """The trials that the sampler asked for."""
    return [trial for trial in recorded.trials if trial.stage == SEARCH]


def _is_among(value: float, values: Iterable[float]) -> bool:
    return any(value == one or (math.isnan(value) and math.isnan(one)) for one in values)
