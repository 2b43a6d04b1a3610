"""The audit of pruning as a table of text, and the sentences beside it.

Owns the choice of columns and of words. Refuses to know about HTML and how anything was computed.
"""

from sweeps.analysis.pruning import BEST_SHARE, MIN_TRIALS, Counted, PruningAudit, PruningGroup
from sweeps.quantities import risk
from sweeps.tables import NOT_ENOUGH, Table
from sweeps.theme import PERCENT, Unit, estimate

CORRELATION = Unit("", 1.0, 2, 2)
WRONG = "wrongly stopped (%)"


def pruning_table(audit: PruningAudit) -> Table:
    """One row a capacity, one over all, then one a third of the trials by alpha."""
    rungs = {percent: f"rank correlation at {percent} %" for percent in audit.rungs}
    columns = ("trials of", "trials", "stopped", "epochs saved", "audited", "epochs audited", WRONG, *rungs.values())
    rows = tuple(
        (each.name, str(each.num_trials), str(each.num_stopped), _of(each.epochs_saved, each), str(each.wrong.n),
         _of(each.epochs_audited, each), _text(each.wrong, PERCENT),
         *(_text(each.correlations[percent], CORRELATION, shows_n=True) for percent in rungs))
        for each in (*audit.groups, *audit.terciles))
    return Table(columns, rows, frozenset(columns[1:]))


def _of(epochs: int, group: PruningGroup) -> str:
    return f"{epochs} ({epochs / group.epochs_planned:.0%})" if epochs else "0"


def _text(found: Counted, unit: Unit, *, shows_n: bool = False) -> str:
    if found.estimate is None:
        return f"{NOT_ENOUGH} (n = {found.n})"
    return estimate(found.estimate, unit) + (f", n = {found.n}" if shows_n else "")


def pruning_note(audit: PruningAudit, objective: str) -> str:
    """What the columns mean, and what they cannot say."""
    return (f"Rule: {audit.rule}. Rungs are shares of a trial's own epochs. Rank correlation (Spearman, within a capacity): of the "
            f"{risk(objective).name} at a rung with that at the end, over trials that ran to their end; those that pruning kept "
            f"are alike, so it reads lower than over all. Audited: trials to be stopped that ran on, drawn by chance "
            f"({audit.audit:.0%} of them); they count as any other that ended. Wrongly stopped: the share of them that ended in "
            f"the best third of their capacity, had none been stopped; stopping blindly gives {BEST_SHARE:.0%}. Shares of epochs "
            f"are of what the search planned. 95 % intervals: Wilson's, and Fisher's z. Fewer than {MIN_TRIALS} trials are not "
            "judged.")
