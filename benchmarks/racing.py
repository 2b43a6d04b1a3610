"""`python -m benchmarks.racing LEDGER [STUDY]`: what racing would have saved in a recorded full factorial, and what it finds.

A race meets the recorded splits in the recorded order and in shuffled ones. The orders are not independent, and a race that
took all splits repeats the record, so the agreement says how much the order matters and not how often the verdict is right.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sweeps.analysis.ladder import Ladder, Rows, build_ladder
from sweeps.analysis.race_answer import Raced, find_race, raced_spot
from sweeps.analysis.sweet_spot import sweet_spot
from sweeps.ledger import Ledger
from sweeps.records import MEASURE, TrialRecord, rung_name
from sweeps.study import Study
from sweeps.study.until import Until

RULES = {
    "verdict 0.9": Until(verdict=0.9), "verdict 0.8, first 2": Until(verdict=0.8, first=2),
    "verdict 0.9, first 2": Until(verdict=0.9, first=2), "verdict 0.95, first 2": Until(verdict=0.95, first=2),
    "width 0.45": Until(width=0.45), "width 0.1": Until(width=0.1), "difference 0.03": Until(difference=0.03)}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A race against the record: the share of its trial-epochs, and what agrees with it."""

    share: float
    splits: int
    verdict: bool
    alpha: bool
    covers: bool


def race_once(study: Study, capacity: str, trials: Sequence[TrialRecord], rows: Rows, order: np.ndarray) -> Found:
    """One race at a capacity, over the recorded splits in this order (place -> split)."""
    number_of = {int(split): place for place, split in enumerate(order, start=1)}
    whole = build_ladder(capacity, trials, study.measure)
    record = sweet_spot(whole.table(rows, study.objective), whole.alphas, overlap=whole.overlap)
    shuffled = [replace(trial, split=number_of[trial.split]) if trial.stage == MEASURE else trial for trial in trials]
    ladder = build_ladder(capacity, shuffled, study.measure)
    raced = find_race(ladder, (), shuffled, rows, study)
    assert raced is not None
    assert raced.race.over
    spot = raced_spot(raced.race, raced.results, raced.field)
    return Found(share=epochs(ladder, raced) / epochs(whole), splits=raced.race.num_splits, verdict=spot.verdict == record.verdict,
                 alpha=spot.alpha == record.alpha, covers=set(record.alphas_in_set) <= set(spot.alphas_in_set))


def epochs(ladder: Ladder, raced: Raced | None = None) -> int:
    """Trial-epochs of a ladder, or of what a race asked of it."""
    return sum(trial.last_epoch for (alpha, split), cell in ladder.cells.items() for trial in cell
               if raced is None or split <= raced.race.asked_A[raced.numbers[rung_name(alpha)]])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.racing", description=__doc__)
    parser.add_argument("ledger")
    parser.add_argument("study", nargs="?", default="digits")
    parser.add_argument("--orders", type=int, default=50, help="the recorded one and so many less one shuffled")
    given = parser.parse_args()
    with Ledger.open(given.ledger, read_only=True) as ledger:
        record = ledger.study(given.study)
        if record is None:
            parser.error(f"{given.ledger} has no study {given.study}")
        study, trials, rows = Study.from_dict(record.spec), ledger.trials(record.id), ledger.rows(record.id)
    shuffle, splits = np.random.default_rng(0), np.arange(1, study.measure.splits + 1)
    orders = [splits] + [shuffle.permutation(splits) for _ in range(given.orders - 1)]
    print(f"{study.name}: {len(orders)} orders of {len(splits)} splits; means over orders\n")
    print("| until | capacity | share of trial-epochs (10 to 90 %) | splits | same verdict | same alpha* | covers its set |")
    print("|---|---|---|---|---|---|---|")
    for name, until in RULES.items():
        raced = replace(study, measure=replace(study.measure, until=until))
        for capacity in study.capacities:
            found = [race_once(raced, capacity.label, trials, rows, order) for order in orders]
            share = [one.share for one in found]
            low, high = np.quantile(share, [0.1, 0.9])
            print(f"| {name} | {capacity.label} | {np.mean(share):.2f} ({low:.2f} to {high:.2f}) | "
                  f"{np.mean([one.splits for one in found]):.1f} | {np.mean([one.verdict for one in found]):.0%} | "
                  f"{np.mean([one.alpha for one in found]):.0%} | {np.mean([one.covers for one in found]):.0%} |", flush=True)


if __name__ == "__main__":
    main()
