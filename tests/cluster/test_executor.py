"""The sweep on a real Ray of two nodes: the same rows as a for-loop, warm workers, one copy of the data, nothing lost."""

import os
import runpy
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.attempt import Place
from sweeps.brain import Brain
from sweeps.executor import COMPLETE, STOPPED, execute
from sweeps.ledger import Ledger
from sweeps.records import FAILED, FINISHED, INTERRUPTED, LOST, RUNNING, Report
from sweeps.sweep import Sweep, run_locally
from trainable.data import load
from trainable.errors import InfrastructureError, LedgerError

pytestmark = pytest.mark.cluster
HERE = Path(__file__).parent
SMALL = runpy.run_path(str(HERE.parent / "sweeps" / "small_study.py"))
DRIVE = runpy.run_path(str(HERE / "drive.py"))
make_study, make_data, runner, make_slow = SMALL["make_study"], SMALL["make_data"], SMALL["runner"], DRIVE["make_slow"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two nodes of one processor each, on this machine."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()
    del os.environ["RAY_AUTH_MODE"]


def make_sweep(folder: Path, study: Any, digest: str = "0" * 16) -> Sweep:
    folder.mkdir(exist_ok=True)
    ledger = Ledger.open(folder / "ledger.db")
    record = ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
    return Sweep(study, ledger, record, Brain(study), digest)


def place(folder: Path, **changes: Any) -> Place:
    return replace(Place(storage=str(folder), study="small"), **changes)


def states(sweep: Sweep) -> Counter[str]:
    return Counter(trial.state for trial in sweep.ledger.trials(sweep.record_of_study.id))


def test_rows_are_bit_equal_to_a_for_loop_on_two_warm_nodes(tmp_path: Path, address: str) -> None:
    from trainable.device import limit_threads
    from trainable.trial import run_trial
    source = load("digits")
    base = replace(make_study().base, train_size=60, val_size=30, batch_size=20, label_noise=0.2)
    study = make_study(max_trials=5, base=base, rule="none")
    limit_threads(1)
    results = []
    for name in ("loop", "ray"):
        sweep = make_sweep(tmp_path / name, study, source.digest)
        if name == "loop":
            run_locally(sweep, source, place(tmp_path / name), run_trial)
        else:
            assert execute(sweep, source, place(tmp_path / name), address=address) == COMPLETE
        trials = {trial.id: trial for trial in sweep.ledger.trials(sweep.record_of_study.id)}
        rows = sweep.ledger.rows(sweep.record_of_study.id)
        measured = {trials[number].key: [row.metrics for row in found] for number, found in rows.items()}
        digests = {trial.key: (trial.state, trial.predictions_digest) for trial in trials.values()}
        results.append((measured, digests, sweep))
    assert results[0][:2] == results[1][:2]
    assert {state for state, _ in results[1][1].values()} == {FINISHED}
    attempts = results[1][2].ledger.attempts(results[1][2].record_of_study.id)
    assert len(attempts) == 18
    assert len({attempt.worker for attempt in attempts}) == 2
    assert len({attempt.node for attempt in attempts}) == 2


def test_workers_share_the_data_without_a_copy_and_a_short_trial_is_one_result(tmp_path: Path, address: str) -> None:
    inner = runner

    def looking(config: Any, source: Any, device: str, *, slot: Any) -> Any:
        writeable = float(source.images.flags.writeable or source.images.flags.owndata)
        rows = inner(config, source, device, slot=slot)
        while True:
            try:
                row = next(rows)
            except StopIteration as stop:
                return stop.value
            row.metrics["writeable"] = writeable
            yield row

    sweep = make_sweep(tmp_path, make_study(max_trials=3))
    num_reports = Counter[str]()
    record = sweep.record

    def counting(report: Report) -> bool:
        num_reports[report.key] += 1
        return record(report)

    sweep.record = counting  # type: ignore[method-assign]
    assert execute(sweep, make_data(), place(tmp_path, slice_seconds=60), address=address, runner=looking) == COMPLETE
    assert set(num_reports.values()) == {1}
    assert len(num_reports) == 14
    rows = sweep.ledger.rows(sweep.record_of_study.id)
    assert {row.metrics["writeable"] for found in rows.values() for row in found} == {0.0}


def test_a_killed_worker_costs_an_attempt_and_no_epoch_twice(tmp_path: Path, address: str) -> None:
    sweep = make_sweep(tmp_path, make_study(max_trials=2, max_concurrent=1, retries=2, capacities=(0.5,)))
    victims: list[str] = []

    def kill(trial: Any) -> None:
        if trial.state == RUNNING and trial.last_epoch >= 2 and not victims:
            worker = next(a.worker for a in sweep.ledger.attempts(trial.study_id) if a.trial_id == trial.id and a.state == RUNNING)
            victims.append(trial.key)
            os.kill(int(worker.split(":")[1]), signal.SIGKILL)

    sweep.observers.append(kill)
    slow = make_slow(SMALL["value_of"], 0.2)
    where = place(tmp_path, slice_seconds=0.1, checkpoint_seconds=0.0)
    assert execute(sweep, make_data(), where, address=address, runner=slow) == COMPLETE
    assert states(sweep) == {FINISHED: 6}
    trial = sweep.ledger.trial(sweep.record_of_study.id, victims[0])
    attempts = [a for a in sweep.ledger.attempts(sweep.record_of_study.id) if a.trial_id == trial.id]
    assert [attempt.state for attempt in attempts] == [LOST, "ENDED"]
    rows = sweep.ledger.rows(sweep.record_of_study.id)[trial.id]
    assert [row.epoch for row in rows] == list(range(1, trial.config["epochs"] + 1))
    assert trial.metrics["resumed"] >= 1


def test_a_trial_whose_workers_always_die_is_given_up_and_the_sweep_goes_on(tmp_path: Path, address: str) -> None:
    def deadly(config: Any, source: Any, device: str, *, slot: Any) -> Any:
        if config.alpha == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return (yield from runner(config, source, device, slot=slot))

    sweep = make_sweep(tmp_path, make_study(max_trials=2, retries=1, capacities=(0.5,)))
    assert execute(sweep, make_data(), place(tmp_path), address=address, runner=deadly) == COMPLETE
    assert states(sweep) == {FAILED: 3, FINISHED: 3}
    lost = [trial for trial in sweep.ledger.trials(sweep.record_of_study.id) if trial.state == FAILED]
    assert {(trial.failure_class, trial.setting["alpha"]) for trial in lost} == {("CRASHED", 0.0)}
    assert all("died" in (trial.failure_text or "") or "worker" in (trial.failure_text or "") for trial in lost)


def test_a_trial_out_of_memory_is_run_once_more_while_no_other_runs(tmp_path: Path, address: str) -> None:
    tried = tmp_path / "tried"

    def greedy(config: Any, source: Any, device: str, *, slot: Any) -> Any:
        from torch import OutOfMemoryError
        again = tried.exists()
        rows = runner(config, source, device, slot=slot)
        if config.alpha == 0 and config.split == 1:
            tried.touch()
            yield next(rows)
            if not again:
                raise OutOfMemoryError("CUDA out of memory")
            time.sleep(1.0)
        return (yield from rows)

    sweep = make_sweep(tmp_path, make_study(max_trials=2, retries=1, capacities=(0.5,)))
    assert execute(sweep, make_data(), place(tmp_path), address=address, runner=greedy) == COMPLETE
    assert states(sweep) == {FINISHED: 6}
    attempts = sweep.ledger.attempts(sweep.record_of_study.id)
    lost = next(attempt for attempt in attempts if attempt.state == LOST)
    assert (lost.text or "").startswith("OOM: ")
    alone = next(attempt for attempt in attempts if attempt.trial_id == lost.trial_id and attempt.state == "ENDED")
    others = [attempt for attempt in attempts if attempt.trial_id != lost.trial_id]
    assert all(other.ended_at < alone.started_at or other.started_at > alone.ended_at for other in others)


def test_a_stop_leaves_checkpoints_and_the_rest_goes_on_from_them(tmp_path: Path, address: str) -> None:
    study = make_study(max_trials=2, capacities=(0.5,))
    sweep = make_sweep(tmp_path, study)
    sweep.observers.append(lambda trial: sweep.stop() if trial.last_epoch >= 2 else None)
    slow, where = make_slow(SMALL["value_of"], 0.1), place(tmp_path, slice_seconds=0.05, checkpoint_seconds=1000.0)
    assert execute(sweep, make_data(), where, address=address, runner=slow) == STOPPED
    assert set(states(sweep)) == {INTERRUPTED}
    assert list(tmp_path.glob("checkpoints/small/*/latest"))
    sweep.ledger.close()
    sweep = make_sweep(tmp_path, study)
    assert execute(sweep, make_data(), where, address=address, runner=slow) == COMPLETE
    assert states(sweep) == {FINISHED: 6}
    assert max(trial.metrics["resumed"] for trial in sweep.ledger.trials(sweep.record_of_study.id)) >= 2
    assert not list(tmp_path.glob("checkpoints/small/*"))


def test_a_ledger_that_fails_ends_the_run_with_its_error(tmp_path: Path, address: str) -> None:
    sweep = make_sweep(tmp_path, make_study(max_trials=3))

    def broken(report: Report) -> bool:
        raise LedgerError("ledger x.db: the disk is full")

    sweep.record = broken  # type: ignore[method-assign]
    with pytest.raises(LedgerError, match="the disk is full"):
        execute(sweep, make_data(), place(tmp_path), address=address, runner=runner)


def test_where_no_worker_can_begin_it_says_why(tmp_path: Path, address: str) -> None:
    sweep = make_sweep(tmp_path, make_study(max_trials=50, retries=5))
    with pytest.raises(InfrastructureError, match=r"no worker could begin a trial: ModuleNotFoundError: No module named 'nowhere'"):
        execute(sweep, make_data(), place(tmp_path), address=address, runner="nowhere:run")


@pytest.mark.parametrize(("cpus", "gpus", "message"), [
    (64, 0, r"a trial needs 64 CPUs on one machine .* there is 2 machines with 1 CPUs and 0 GPUs"),
    (1, 1, r"a trial needs 1 CPUs and 1 GPUs on one machine .* there is 2 machines with 1 CPUs and 0 GPUs")])
def test_more_than_there_is_is_said_at_once(tmp_path: Path, address: str, cpus: float, gpus: float, message: str) -> None:
    study = make_study(max_trials=2)
    sweep = make_sweep(tmp_path, replace(study, compute=replace(study.compute, cpus=cpus, gpus=gpus)))
    with pytest.raises(InfrastructureError, match=message):
        execute(sweep, make_data(), place(tmp_path), address=address, runner=runner)
    assert not sweep.ledger.trials(sweep.record_of_study.id)
