"""How long a study with many finished trials takes until it dispatches again."""

import time
from collections.abc import Callable

from benchmarks.noop import run_noop
from benchmarks.result import Result
from benchmarks.sweeping import scratch, written
from sweeps.attempt import Place
from sweeps.cluster import connected
from sweeps.executor import data_bytes, execute
from sweeps.home import Home
from sweeps.pace import Pace
from sweeps.records import FINISHED, TrialRecord
from sweeps.run import begun, driving, opened, prepared, workloads
from sweeps.study import Study, load_study
from sweeps.sweep import Sweep, run_locally

NUM_TRIALS, REPEATS, BAR_SECONDS = 1_000, 3, 5.0
NOOP = "benchmarks.noop:run_noop"
STUDY = """
name: resume
data: {{name: digits, train_size: 200, val_size: 100}}
model: {{name: mlp, capacity: [{{width: 0.25}}]}}
space: {{epochs: 20, alpha: {{low: 0, high: 8}}}}
search: {{sampler: tpe, max_trials: {max_trials}, prune: none}}
measure: {{alphas: [0, 8], splits: 2}}
compute: {{max_concurrent: 2}}
tolerance: 1.0
"""


def resume() -> Result:
    """Seconds from Ray being up to the first trial dispatched, with 1,000 trials of 20 epochs finished before; TPE."""
    with scratch() as home:
        home.root.mkdir(exist_ok=True)
        _fill(home)
        study = load_study(written(home.root, STUDY.format(max_trials=2 * NUM_TRIALS)))
        source, found = prepared(study), []
        with connected(None, data_bytes(source)):
            for _ in range(REPEATS):
                began, at = time.monotonic(), {}

                def note(what: str, at: dict[str, float] = at, began: float = began) -> None:
                    at.setdefault(what, time.monotonic() - began)

                _dispatch_one(study, home, source, note)
                found.append(at)
    found.sort(key=lambda one: one["dispatched"])
    median = found[len(found) // 2]
    return Result(name="resume", ours=median["dispatched"], unit="s", bar=f"<= {BAR_SECONDS:g}", n=REPEATS,
                  met=median["dispatched"] <= BAR_SECONDS, detail={"of it restoring": median["restored"]})


def _fill(home: Home) -> None:
    """A ledger of NUM_TRIALS finished trials, as a run leaves it that was stopped."""
    study = load_study(written(home.root, STUDY.format(max_trials=NUM_TRIALS)))
    source = prepared(study)

    def stop_in_time(sweep: Sweep) -> Callable[[TrialRecord], None]:
        ended: set[str] = set()

        def see(trial: TrialRecord) -> None:
            ended.update([trial.key] if trial.state == FINISHED else [])
            if len(ended) >= NUM_TRIALS:
                sweep.stop()
        return see

    with opened(home) as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
        with driving(ledger, record):
            sweep = begun(study, ledger, record, source, home)
            sweep.observers.append(stop_in_time(sweep))
            run_locally(sweep, source, Place(storage=home.storage, study=study.name), run_noop)


def _dispatch_one(study: Study, home: Home, source: object, note: Callable[[str], None]) -> None:
    """What `run` does from there on, until one trial is in the ledger; then stop."""
    with opened(home) as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
        with driving(ledger, record):
            sweep = begun(study, ledger, record, source, home)  # type: ignore[arg-type]
            pace = Pace(workloads(study))
            for trial in ledger.trials(record.id):
                pace.see(trial)
            note("restored")
            sweep.observers += [pace.see, lambda _: note("dispatched"), lambda _: sweep.stop()]
            execute(sweep, source, Place(storage=home.storage, study=study.name), runner=NOOP)  # type: ignore[arg-type]
