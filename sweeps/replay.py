"""A recorded study run again from its ledger, under a virtual clock: another sampler, pruning rule or race on the same curves.

Real Sweep, Dispatch and Brain on a ledger of their own that is thrown away; only the trials are not trained. A trial that was
recorded reports its own rows. Any other setting reports the rows of the nearest recorded one (see Recording.nearest): a
surrogate, counted and told with its distance. Owns the virtual workers and the table; refuses to know samplers, rules and races.
"""

import heapq
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sweeps.analysis.assemble import analyse
from sweeps.analysis.results import StudyResults
from sweeps.answer import known_study, open_existing
from sweeps.changes import changes
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import MEASURE, SEARCH, End, Report, TrialRecord, TrialSpec
from sweeps.replay_curves import Curve, Recording
from sweeps.study import Study
from sweeps.sweep import Sweep
from trainable.errors import StudyError

NUM_WORKERS = 2
MAY_DIFFER = ("search.", "objective", "measure.at")
"""What a replayed study may change beside its budgets: anything that decides, nothing that a trial is made of."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay came to. `seconds` are virtual, of all workers together; `distances` of each surrogate, in unit coordinates."""

    results: StudyResults
    num_trials: dict[str, int]
    trial_epochs: dict[str, int]
    seconds: float
    distances: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A trial on a virtual worker: the curve it follows and how many of its epochs were reported."""

    spec: TrialSpec
    curve: Curve
    reported: int
    rungs: tuple[int, ...]
    started_at: float

    @property
    def next_epoch(self) -> int:
        """The epoch after which it reports next: its next rung, or its last one."""
        last = self.curve.last_epoch
        return next((epoch for epoch in self.rungs if self.reported < epoch < last), last)

    @property
    def seconds(self) -> float:
        """How long that takes."""
        return sum(row.seconds for row in self.curve.rows if self.reported < row.epoch <= self.next_epoch)


class Clock:
    """Virtual seconds since the start."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def compare(home: Home, name: str, sets: Sequence[str], num_workers: int = NUM_WORKERS) -> list[dict[str, str]]:
    """Rows of a table: the record of a study beside its replay with these changes."""
    ledger = open_existing(home)
    try:
        record = known_study(ledger, name)
        study, trials, rows = Study.from_dict(record.spec), ledger.trials(record.id), ledger.rows(record.id)
    finally:
        ledger.close()
    recording = Recording(space=study.space, trials=trials, rows=rows, data_digest=record.provenance.get("data_digest", ""))
    changed = variant(study, record.spec, sets)
    same_search = (changed.search, changed.objective) == (study.search, study.objective)
    after = replay(changed, recording, num_workers, same_search=same_search)
    return [*comparison(recorded(study, recording, num_workers), after, num_workers), *surrogates(after)]


def variant(recorded: Study, spec: Mapping[str, object], sets: Sequence[str]) -> Study:
    """The recorded study with `KEY=VALUE` changes. StudyError where they change what a trial is."""
    changed = Study.from_dict(spec, sets)
    wrong = [line for line in changes(recorded.identity(), changed.identity()) if not line.path.startswith(MAY_DIFFER)]
    if wrong:
        raise StudyError("a replay has the recorded trials alone, so it cannot change what a trial is:\n"
                         + "\n".join(f"  {line}" for line in wrong))
    return changed


def replay(study: Study, recording: Recording, num_workers: int = NUM_WORKERS, *, same_search: bool = False) -> Replayed:
    """Run the study on the recorded curves with so many virtual workers. StudyError where a curve it needs was not recorded.

    `same_search`: the search is told again as it was, else it is asked anew.
    """
    from sweeps.brain import Brain
    from sweeps.replay_search import RetoldSearch
    if same_search:  # an audit would let another one run on than the recorded
        study = replace(study, search=replace(study.search, prune=replace(study.search.prune, audit=0.0)))
    with scratch_ledger() as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), 0.0)
        clock = Clock()
        brain = RetoldSearch(study, recording.trials) if same_search else Brain(study)
        sweep = Sweep(study, ledger, record, brain, recording.data_digest, clock)
        distances = drive(sweep, recording, clock, num_workers)
        trials, rows, attempts = ledger.trials(record.id), ledger.rows(record.id), ledger.attempts(record.id)
        results = analyse(study, trials, rows, attempts, lambda _: None, None)
    return summary(results, trials, clock.now, distances)


def recorded(study: Study, recording: Recording, num_workers: int = NUM_WORKERS) -> Replayed:
    """What the record says itself; its seconds are of its trials in their order on so many workers, always busy."""
    free = [0.0] * num_workers
    for trial in recording.trials:
        started = heapq.heappop(free)
        heapq.heappush(free, started + sum(row.seconds for row in recording.rows.get(trial.id, ())))
    results = analyse(study, recording.trials, recording.rows, (), lambda _: None, None)
    return summary(results, recording.trials, max(free), {})


def summary(results: StudyResults, trials: Sequence[TrialRecord], seconds: float, distances: dict[str, list[float]]) -> Replayed:
    by_stage = {stage: [trial for trial in trials if trial.stage == stage] for stage in (SEARCH, MEASURE)}
    return Replayed(results=results, seconds=seconds, distances=distances,
                    num_trials={stage: len(found) for stage, found in by_stage.items()},
                    trial_epochs={stage: sum(trial.last_epoch for trial in found) for stage, found in by_stage.items()})


def drive(sweep: Sweep, recording: Recording, clock: Clock, num_workers: int) -> dict[str, list[float]]:
    """Hand out trials and bring back their reports in the order of virtual time; the distances of the surrogates, by stage."""
    busy: list[tuple[float, int, Job]] = []
    distances: dict[str, list[float]] = {SEARCH: [], MEASURE: []}
    number = 0
    while not sweep.done:
        while len(busy) < num_workers and (spec := sweep.next_trial()):
            curve = recording.curve(spec)
            job = Job(spec=spec, curve=curve, reported=0, rungs=sweep.rungs(spec), started_at=clock.now)
            number += 1
            heapq.heappush(busy, (clock.now + job.seconds, number, job))
        if not busy:
            raise RuntimeError("nothing runs and nothing is ready, but the sweep is not done")
        clock.now, _, job = heapq.heappop(busy)
        if not sweep.record(report_of(job, clock.now)):
            job = replace(job, reported=job.next_epoch)
            number += 1
            heapq.heappush(busy, (clock.now + job.seconds, number, job))
        elif job.next_epoch > job.curve.num_own:
            distances[job.spec.stage].append(job.curve.distance)
    return distances


def report_of(job: Job, now: float) -> Report:
    """The rows up to the next rung; with the end of the trial after its last."""
    rows, at = [], now - job.seconds
    for row in job.curve.rows:
        if job.reported < row.epoch <= job.next_epoch:
            at += row.seconds
            rows.append(replace(row, at=at))
    end: End | None = job.curve.end if job.next_epoch == job.curve.last_epoch else None
    return Report(key=job.spec.key, token=job.spec.key, worker="virtual", node="virtual", device="virtual",
                  started_at=job.started_at, rows=tuple(rows), end=end)


@contextmanager
def scratch_ledger() -> Iterator[Ledger]:
    """A ledger of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mixup-replay-", ignore_cleanup_errors=True) as folder, \
            Ledger.open(Path(folder) / "ledger.db") as ledger:
        yield ledger


def comparison(before: Replayed, after: Replayed, num_workers: int) -> list[dict[str, str]]:
    """Rows of a table: the record beside the replay."""
    def row(what: str, first: object, second: object) -> dict[str, str]:
        return {"": what, "recorded": str(first), "replayed": str(second)}

    found = [row(f"{name} of the {stage} stage", of(before)[stage], of(after)[stage])
             for stage in (SEARCH, MEASURE)
             for name, of in (("trials", lambda each: each.num_trials), ("trial-epochs", lambda each: each.trial_epochs))]
    found.append(row(f"virtual seconds, {num_workers} workers", f"{before.seconds:.0f}", f"{after.seconds:.0f}"))
    spots = {result.capacity: result.sweet(after.results.objective) for result in after.results.capacities}
    for result in before.results.capacities:
        old, new = result.sweet(before.results.objective), spots.get(result.capacity)
        found += [row(f"verdict at {result.capacity}", old.verdict, new.verdict if new else ""),
                  row(f"alpha* at {result.capacity}", f"{old.alpha:g}", f"{new.alpha:g}" if new else ""),
                  row(f"best set at {result.capacity}", _set(old.alphas_in_set), _set(new.alphas_in_set) if new else "")]
    return found


def _set(alphas: Sequence[float]) -> str:
    return " ".join(f"{alpha:g}" for alpha in alphas)


def surrogates(found: Replayed) -> list[dict[str, str]]:
    """Rows that say how many trials followed another setting's curve, and from how far."""
    return [{"": f"trials of the {stage} stage that follow the nearest recorded curve (mean distance in unit coordinates): a guess",
             "recorded": "0", "replayed": f"{len(far)} ({sum(far) / len(far):.2f})"}
            for stage, far in found.distances.items() if far]
