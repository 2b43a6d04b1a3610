"""`make bench`: every benchmark, or those named, as a table; also written to `$SWEEP_HOME/bench.json`.

`python -m benchmarks coverage` prints the coverage of the confidence sets, `refined` that of the intervals between rungs,
`race_errors` what a race for the verdict gets wrong: tables of their own with no bar and no peer. They run only by name (one to
eight minutes) and are written to `$SWEEP_HOME/<name>.md`.
"""

import argparse
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from benchmarks.common_random_numbers import common_random_numbers
from benchmarks.coverage import coverage
from benchmarks.efficiency import study_efficiency
from benchmarks.growth import ledger_growth
from benchmarks.memory import memory
from benchmarks.outage import outage_pace
from benchmarks.overhead import flat_cost, trial_overhead
from benchmarks.race_errors import race_errors
from benchmarks.refined import refined
from benchmarks.result import table, versions, write
from benchmarks.resume import resume
from benchmarks.step import mixup_overhead, public_loop, step_overhead
from sweeps.home import Home
from sweeps.storage import write_whole

ALL = {one.__name__: one for one in (
    step_overhead, mixup_overhead, public_loop, trial_overhead, flat_cost, ledger_growth, memory, outage_pace, resume,
    study_efficiency, common_random_numbers)}
TABLES = {"coverage": coverage, "refined": refined, "race_errors": race_errors}
"""What is no bar: each gives its text."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, *TABLES, []], help="which; all bars if none is named")
    results = []
    for name in parser.parse_args().names or ALL:
        print(f"{name} ...", flush=True)
        if name in TABLES:
            text = TABLES[name]()
            write_whole(str(Home.resolve().root / f"{name}.md"), f"{text}\n".encode())
            print(text)
            continue
        results.append(ALL[name]())
        write(results, Home.resolve().root / "bench.json")
    if results:
        print(table(results))
    print("\n" + ", ".join(f"{name} {value}" for name, value in versions().items()))


if __name__ == "__main__":
    main()
