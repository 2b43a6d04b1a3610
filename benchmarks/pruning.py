"""`python -m benchmarks.pruning STUDY ...`: how much grace pruning needs, from searches in `$SWEEP_HOME` that ran unpruned.

Every search (a study at one capacity) is replayed under each rule and grace, with its trials in the order they ran and in others,
since what a rule stops depends on what came before. Record searches with `mixup-sweep run digits --set name=digits-unpruned --set
search.prune=none`; the stages after the search are not needed. Writes nothing.
"""

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from benchmarks.result import versions
from sweeps.analysis.intervals import mean_estimate
from sweeps.analysis.pruning import GRID, Curve, Replayed, assess, by_tercile, curves_of, pairs, rank_correlation
from sweeps.answer import known_study, open_existing
from sweeps.home import Home
from sweeps.optuna_study import stop_epochs
from sweeps.study import Prune, Study
from sweeps.study.schema import BY_PATH
from sweeps.tables import Table
from sweeps.theme import PERCENT, POINTS, Unit, estimate

GRACES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
DEFAULT = BY_PATH["search.prune.grace"].default
RULES = ("asha", "median")
NUM_ORDERS = 25
FEWEST = 8
"""Trials of a search below which it is left out: a rule that compares with five others has hardly begun."""
SPAN = Unit("", 1.0, 2, 2)


def searches(home: Home, names: Sequence[str]) -> dict[str, list[Curve]]:
    """`study, capacity` -> its search trials that ran to their end. Raises StudyError for a study the ledger has not."""
    ledger, found = open_existing(home), {}
    try:
        for name in names:
            record = known_study(ledger, name)
            objective = Study.from_dict(record.spec).objective
            curves = [one for one in curves_of(ledger.trials(record.id), ledger.rows(record.id), (), objective)
                      if one.end is not None or one.stop_epoch is not None]
            for capacity, some in itertools.groupby(curves, key=lambda one: one.capacity):
                found[f"{name}, {capacity}"] = list(some)
    finally:
        ledger.close()
    return {name: curves for name, curves in found.items() if len(curves) >= FEWEST}


def replay(curves: Sequence[Curve], prune: Prune, num_orders: int) -> list[Replayed]:
    """What the rule would have done to one search: first in the order its trials ran, then in random ones."""
    stream, found = np.random.default_rng([0, len(curves)]), []
    for index in range(num_orders):
        order = list(range(len(curves))) if index == 0 else stream.permutation(len(curves)).tolist()
        some = [curves[place] for place in order]
        found.append(assess(some, stop_epochs(prune, [one.epochs for one in some], [one.values for one in some])))
    return found


@dataclass(frozen=True)
class Cost:
    """What a rule would have done, averaged over orders: one number a search. Shares are of stops, of epochs, of orders."""

    stopped: list[float]
    wrong_share: list[float]
    wrong: list[float]
    saved_share: list[float]
    best_lost_share: list[float]
    regret: list[float]


COLUMNS = {"wrong_share": ("wrongly stopped (%)", PERCENT), "wrong": ("wrong ones a search", SPAN),
           "saved_share": ("epochs saved (%)", PERCENT), "best_lost_share": ("best one lost (%)", PERCENT),
           "regret": ("best kept minus best (points)", POINTS)}


def cost(found: dict[str, list[Curve]], prune: Prune) -> Cost:
    """Of all searches. The wrong share of a search is over all its orders together, and NaN where nothing was stopped."""
    each = [replay(curves, prune, NUM_ORDERS) for curves in found.values()]
    stops = [sum(one.num_stopped for one in some) for some in each]
    return Cost(
        stopped=[fmean(one.num_stopped for one in some) for some in each],
        wrong_share=[sum(one.num_wrong for one in some) / count if count else math.nan
                     for some, count in zip(each, stops, strict=True)],
        wrong=[fmean(one.num_wrong for one in some) for some in each],
        saved_share=[fmean(one.saved_share for one in some) for some in each],
        best_lost_share=[fmean(one.regret > 0 for one in some) for some in each],
        regret=[fmean(one.regret for one in some) for some in each])


def costs_of(found: dict[str, list[Curve]]) -> dict[tuple[str, float], Cost]:
    """Rule and grace -> what it would have cost."""
    return {(rule, grace): cost(found, Prune(rule=rule, grace=grace, reduction=2)) for rule in RULES for grace in GRACES}


def grace_table(costs: dict[tuple[str, float], Cost]) -> Table:
    """One row a rule and grace: means over searches with t intervals."""
    rows = [(rule, f"{grace:g}", f"{fmean(of.stopped):.1f}", *(
        estimate(mean_estimate(getattr(of, name), within=(0.0, 1.0 if unit == PERCENT else math.inf)), unit)
        for name, (_, unit) in COLUMNS.items())) for (rule, grace), of in costs.items()]
    columns = ("rule", "grace", "stopped a search", *(heading for heading, _ in COLUMNS.values()))
    return Table(columns, tuple(rows), frozenset(columns[1:]))


def paired_table(costs: dict[tuple[str, float], Cost]) -> Table:
    """One row a rule and grace: its numbers minus those at the default grace, paired by search."""
    rows = [(rule, f"{grace:g}", *(
        estimate(mean_estimate(np.subtract(getattr(of, name), getattr(costs[rule, DEFAULT], name))), unit)
        for name, (_, unit) in COLUMNS.items())) for (rule, grace), of in costs.items() if grace != DEFAULT]
    columns = ("rule", "grace", *(heading for heading, _ in COLUMNS.values()))
    return Table(columns, tuple(rows), frozenset(columns[1:]))


def correlation_table(found: dict[str, list[Curve]]) -> Table:
    """Rank correlation with the end by the percentage of a trial's own epochs, over all searches and by third of alpha."""
    curves = [Curve(**{**vars(one), "capacity": name}) for name, some in found.items() for one in some]
    groups = [("all", curves), *by_tercile(curves)]
    rows = []
    for percent in GRID:
        cells = [rank_correlation(pairs(some, percent)) for _, some in groups]
        rows.append((f"{percent}", *(f"{estimate(one.estimate, SPAN)}, n = {one.n}" for one in cells)))
    columns = ("percent of own epochs", *(name for name, _ in groups))
    return Table(columns, tuple(rows), frozenset(columns))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning", description=__doc__)
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="a study whose search ran with prune: none")
    found = searches(Home.resolve(), parser.parse_args().studies)
    print("; ".join(f"{name}: {len(curves)} trials" for name, curves in found.items()))
    costs = costs_of(found)
    print(f"\n{correlation_table(found).markdown()}\n\n{grace_table(costs).markdown()}\n\nMinus grace {DEFAULT:g}, by search:\n\n"
          f"{paired_table(costs).markdown()}\n")
    print(f"n = {len(found)} searches, {NUM_ORDERS} orders each; intervals: t over searches, 95 %. "
          + ", ".join(f"{name} {value}" for name, value in versions().items()))


if __name__ == "__main__":
    main()
