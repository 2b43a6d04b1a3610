"""`make bench`: every benchmark, or those named, as a table; also written to `$SWEEP_HOME/bench.json`."""

import argparse
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from benchmarks.efficiency import study_efficiency
from benchmarks.memory import memory
from benchmarks.overhead import flat_cost, trial_overhead
from benchmarks.result import table, versions, write
from benchmarks.step import mixup_overhead, public_loop, step_overhead
from sweeps.home import Home

ALL = {one.__name__: one for one in (
    step_overhead, mixup_overhead, public_loop, trial_overhead, flat_cost, memory, study_efficiency)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], help="which; all if none is named")
    results = []
    for name in parser.parse_args().names or ALL:
        print(f"{name} ...", flush=True)
        results.append(ALL[name]())
        write(results, Home.resolve().root / "bench.json")
    print(table(results))
    print("\n" + ", ".join(f"{name} {value}" for name, value in versions().items()))


if __name__ == "__main__":
    main()
