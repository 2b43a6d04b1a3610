"""How busy the workers are with training in the default study, and stock Ray Tune on the same trial beside it."""

from benchmarks.overhead import peer
from benchmarks.result import Result
from benchmarks.sweeping import scratch, sweep
from sweeps.study import load_study

NUM_WORKERS = 2


def study_efficiency(name: str = "digits") -> Result:
    """Seconds inside run_trial over workers x the wall time from first dispatch to last result, of a whole fresh run."""
    study = load_study(name, overrides=[f"compute.max_concurrent={NUM_WORKERS}"])
    with scratch() as home:
        ran = sweep(study, home)
    trained = sum(row_seconds for row_seconds, _ in ran.seconds.values())
    evaluated = sum(eval_seconds for _, eval_seconds in ran.seconds.values())
    wall = ran.last_result - ran.first_dispatch
    efficiency = trained / (NUM_WORKERS * wall)
    stock = peer("digits", 8)
    return Result(name="study_efficiency", ours=efficiency, unit="of workers' time", bar=">= 0.85", met=efficiency >= 0.85,
                  n=len(ran.trials), peers={} if stock is None else {"stock Ray Tune": stock},
                  detail={"evaluation's share": evaluated / trained, "wall s": wall})
