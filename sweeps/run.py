"""One `run` of a study, from the file to the answer: ledger, data, sampler, executor, MLflow, report.

The composition of the rooms and nothing else. Torch and Ray are imported only when a run begins.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.answer import results_of, write_answer
from sweeps.backup import copying, restore
from sweeps.fork import begin_fork, donors_of
from sweeps.fork.applies import ways_out
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.pace import Pace, Workload
from sweeps.plan_cost import fewest_trials, num_trials
from sweeps.progress import Progress
from sweeps.records import FAILED, FINISHED, INTERRUPTED, MEASURE, SEARCH, TRANSFER, StudyRecord, last_line
from sweeps.storage import check_storage, labels_path, write_array
from sweeps.study import Study
from sweeps.study.methods import variants
from sweeps.transfer import find_transfer
from trainable.errors import LedgerError, MixupSweepError, StudyChanged

if TYPE_CHECKING:
    from sweeps.analysis.results import StudyResults
    from sweeps.sweep import Sweep
    from sweeps.tracking import Tracker
    from trainable.data import Source

HEARTBEAT_SECONDS = 5.0
Follow = Callable[..., Progress]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run: `address` of a Ray cluster (None: this machine), `defer_tracking` to begin while MLflow is down.

    `abandon` is called, with the reason, from another thread where the head of the cluster is gone and Ray blocks this one: it
    has to end the process.
    `fork_of`: the study whose finished trials a new one takes over. `command` is what a person gave, for commands to paste;
    `say` shows a line before there is a progress display.
    """

    address: str | None = None
    defer_tracking: bool = False
    abandon: Callable[[str], None] = lambda _why: None
    fork_of: str | None = None
    command: str | None = None
    say: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to: `num_new` trials ended in it, of `num_trials`. `untracked`: why MLflow lacks something;
    `trouble`: what else the answer lacks."""

    interrupted: bool
    num_new: int
    results: "StudyResults"
    report: Path
    untracked: str | None
    trouble: str | None
    num_failed: int
    num_trials: int

    @property
    def failed_share(self) -> float:
        return self.num_failed / self.num_trials if self.num_trials else 0.0


def run_study(study: Study, home: Home, options: RunOptions, follow: Follow) -> Outcome:
    """Run what is left of a study, and answer from all of it. Raises MixupSweepError before anything starts.

    `follow(pace, objective=.., lag=..)` makes the progress display.
    """
    from sweeps import tracking
    if named := options.address or os.environ.get("RAY_ADDRESS"):
        from sweeps.cluster import check_address
        check_address(named)
    check_storage(str(home.root))
    check_storage(home.storage)
    if not options.defer_tracking:
        tracking.check(home.tracking_uri)
    source = prepared(study)
    with joined(options.address, source), restored(home, study.name, options.say) as ledger:
        record = registered(study, ledger, source, options)
        with copying(home, study.name, options.say) as begin_copies, driving(ledger, record):
            begin_copies()
            sweep = begun(study, ledger, record, source, home)
            tracker = tracking.Tracker(home.ledger, home.tracking_uri, study.name, home.artifacts)
            try:
                interrupted, num_new = _run_trials(sweep, source, home, options, follow, tracker)
                trouble = _transfer(study, ledger, record, source, home) if sweep.complete else None
            except BaseException:
                tracker.finish(state=INTERRUPTED, timeout=10.0)
                raise
            ledger.set_study(record.id, complete=sweep.complete)
            results = results_of(ledger, record, home.storage)
        report = write_answer(results, home)
        tracked = tracker.finish(results, report, state=INTERRUPTED if interrupted else FINISHED)
        return Outcome(interrupted=interrupted, num_new=num_new, results=results, report=report, trouble=trouble,
                       untracked=None if tracked else "; ".join([*tracker.warnings, tracker.last_error or "not done in time"]),
                       num_failed=results.counts.get(FAILED, 0), num_trials=sum(results.counts.values()))


def _transfer(study: Study, ledger: Ledger, record: StudyRecord, source: "Source", home: Home) -> str | None:
    """Compute the matrix of attacks where the study asks for one; why there is none, in words. It never costs the answer."""
    if TRANSFER not in study.diagnostics:
        return None
    try:
        find_transfer(study, ledger, record.id, source, home.storage)
    except (MixupSweepError, RuntimeError, OSError) as error:  # RuntimeError: a GPU without room for all models at once
        return f"no matrix of transferred attacks: {last_line(str(error)) or type(error).__name__}"
    return None


def prepared(study: Study) -> "Source":
    """The study's data, after everything that a trial could trip over has been tried once: splits, models, their input.

    Raises DataError or ModelError.
    """
    from trainable.batches import check_fit
    from trainable.data import load
    from trainable.data.splits import make_split
    from trainable.methods import METHODS, latent_layers
    from trainable.models import build, latent_parts
    base, methods = study.base, [config for _, config in variants(study.base, study.space)]
    chosen = {} if isinstance(study.measure.at, str) else study.measure.at
    methods += [replace(base, **study.arm_setting(chosen, name)) for name in study.measure.arms]
    source = load(base.data, root=study.data_root, seed=study.seed, download=study.download)
    for split in range(study.measure.splits + 1):
        labels = make_split(source, replace(base, split=split)).train_labels
        for config in methods:
            check_fit(config, labels, source.shape)
    for capacity in study.capacities:
        num_latent = len(latent_parts(build(study.config({}, capacity), source.shape, source.num_classes)))
        for config in methods:
            if METHODS[config.method].hidden:
                latent_layers(config, num_latent)
    if {"robustness", TRANSFER} & set(study.diagnostics):
        from trainable.diagnostics.robustness import pixel_range
        pixel_range(source)
    return source


def registered(study: Study, ledger: Ledger, source: "Source", options: RunOptions) -> StudyRecord:
    """The study in the ledger, new, known, or forked from another. StudyChanged, with the ways out, where it is known otherwise."""
    if options.fork_of:
        from sweeps.optuna_study import memory_of
        told = begin_fork(ledger, options.fork_of, study, source.digest, partial(memory_of, study.space), time.time())
        if told:
            options.say(told)
    try:
        return ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
    except StudyChanged as error:
        known = [each.name for each in ledger.studies()]
        raise StudyChanged(f"{error}\n{ways_out(options.command, study.name, known)}" if options.command else error) from None


def begun(study: Study, ledger: Ledger, record: StudyRecord, source: "Source", home: Home) -> "Sweep":
    """The sweep as the ledger left it. StudyChanged when the data are not those of the trials recorded before."""
    from sweeps.brain import Brain
    from sweeps.sweep import Sweep
    known = record.provenance.get("data_digest")
    if known not in (None, source.digest):
        raise StudyChanged(f"the data of study {study.name!r} have changed: digest {source.digest}, recorded {known}; "
                           "give the study a new name, or restore the data")
    ledger.set_study(record.id, data_digest=source.digest, data=source.name, complete=False)
    write_array(home.storage, labels_path(study.name), source.test_labels)
    sweep = Sweep(study, ledger, record, Brain(study), source.digest)
    sweep.donors = donors_of(ledger, record, study, source.digest)
    return sweep


def _run_trials(sweep: "Sweep", source: "Source", home: Home, options: RunOptions, follow: Follow,
                tracker: "Tracker") -> tuple[bool, int]:
    """Run to the end or to an interruption: whether it was one, and how many trials ended meanwhile."""
    from sweeps.attempt import Place
    from sweeps.executor import STOPPED, execute
    study = sweep.study
    pace = Pace(workloads(study))
    for trial in sweep.ledger.trials(sweep.record_of_study.id):
        pace.see(trial)
    num_before = pace.num_ended(SEARCH) + pace.num_ended(MEASURE)
    with follow(pace, objective=study.objective, lag=tracker.lag) as progress:
        sweep.observers += [lambda _: pace.races.update(sweep.num_measures), progress.see]
        sweep.voice = progress.say
        tracker.start(progress.say)
        place = Place(storage=home.storage, study=study.name, diagnostics=study.diagnostics)
        state = execute(sweep, source, place, address=options.address, give_up=partial(_abandon, sweep, options))
        for text in [*sweep.notes, *sweep.observer_errors]:
            progress.say(text)
    return state == STOPPED, pace.num_ended(SEARCH) + pace.num_ended(MEASURE) - num_before


def _abandon(sweep: "Sweep", options: RunOptions, why: str) -> None:
    """Leave without Ray's consent: everything is committed, and the study is free for the next driver."""
    with suppress(MixupSweepError):
        sweep.ledger.release(sweep.record_of_study.id)
    options.abandon(why)


def workloads(study: Study) -> tuple[Workload, ...]:
    """What the study asks for at each capacity."""
    axis = study.space["epochs"] if "epochs" in study.space.names else None
    most = int(getattr(axis, "high", study.base.epochs))
    num_search, num_measure = num_trials(study, SEARCH), num_trials(study, MEASURE)
    fewest = fewest_trials(study, MEASURE) if study.measure.until else None
    return tuple(Workload(capacity=capacity.label, num_search=num_search, num_measure=num_measure, max_epochs=most,
                          fewest_measure=fewest) for capacity in study.capacities)


@contextmanager
def joined(address: str | None, source: "Source") -> Iterator[None]:
    """A cluster that was named is joined before anything is written; a local Ray starts only when there is a trial to run."""
    named = address or os.environ.get("RAY_ADDRESS")
    if not named:
        yield
        return
    from sweeps.cluster import connected
    from sweeps.executor import data_bytes
    with connected(named, data_bytes(source)):
        yield


@contextmanager
def opened(home: Home) -> Iterator[Ledger]:
    """The ledger, open for writing."""
    ledger = Ledger.open(home.ledger)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def restored(home: Home, study: str, say: Callable[[str], None]) -> Iterator[Ledger]:
    """The ledger, open for writing, from its copy in the storage where it is not here."""
    if told := restore(home, study, time.time()):
        say(told)
    with opened(home) as ledger:
        yield ledger


@contextmanager
def driving(ledger: Ledger, record: StudyRecord) -> Iterator[None]:
    """Be the study's only driver, and say so every few seconds. StudyLocked when another is."""
    ledger.acquire(record.id, socket.gethostname(), os.getpid(), time.time())
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            # a lost study shows at the next commit, where it can be told; nothing else may end the beat, or the lease runs out
            with suppress(Exception):
                ledger.heartbeat(record.id, time.time())

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(LedgerError):  # it would hide why the run ended; a lease that is not given up runs out
            ledger.release(record.id)
