"""The loop of a sweep as one object: which trial comes next, what a report changes, when it is over.

Whoever drives it (the executor, or a plain loop) asks for trials and hands back reports. Every change is in the ledger before
anything else hears of it. Knows no Ray, no Optuna and no torch: the sampler and the clock arrive as arguments.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeps.attempt import Attempt, Place, Runner
from sweeps.dispatch import Dispatch, Sampler
from sweeps.ledger import Ledger
from sweeps.losses import ALONE, GIVE_UP, class_recorded, consequence, worded
from sweeps.records import (
    CRASHED,
    FAILED,
    FINAL_STATES,
    FORKED_FROM,
    INTERRUPTED,
    LOST,
    NOTED,
    OOM,
    PRUNED,
    SEARCH,
    WOULD_PRUNE,
    Copy,
    End,
    Report,
    StudyRecord,
    TrialRecord,
    TrialSpec,
)
from sweeps.study import Study
from trainable.seeding import stream_seed

if TYPE_CHECKING:
    from trainable.data import Source

class Sweep:
    """One run of a study against its ledger, from wherever the ledger says it stands. One driver, one thread.

    `observers` are called with a TrialRecord after each commit; what they raise is kept in `observer_errors`, never passed
    on. `notes` says in words what could not be run; `voice` is told what a person should know at once. `donors`: measured
    trials of the study that this one is a fork of, by key; they are taken over where they would be run.
    """

    def __init__(self, study: Study, ledger: Ledger, record: StudyRecord, brain: Sampler, data_digest: str,
                 clock: Callable[[], float] = time.time) -> None:
        self.study, self.ledger, self.record_of_study, self.brain, self.clock = study, ledger, record, brain, clock
        self.observers: list[Callable[[TrialRecord], None]] = []
        self.observer_errors: list[str] = []
        self.voice: Callable[[str], None] = lambda _text: None
        self.donors: Mapping[str, TrialRecord] = {}
        self.stopping = False
        self.running: dict[str, TrialRecord] = {}
        self._dispatch = Dispatch(study, brain, data_digest)
        self._curves: dict[str, dict[int, float]] = {}
        self._audited: dict[str, int] = {}
        self._losses: dict[str, Counter[str]] = {}
        self._tokens: dict[str, str] = {}
        self._restore()

    @property
    def notes(self) -> list[str]:
        return self._dispatch.notes

    @property
    def num_measures(self) -> dict[str, tuple[int, int]]:
        """How many measure trials each race comes to, at least and at most, by capacity; empty without races."""
        return self._dispatch.num_measures

    @property
    def done(self) -> bool:
        """Nothing runs, and nothing will: the study is complete, or the sweep was told to stop."""
        return not self.running and (self.stopping or self._dispatch.exhausted)

    @property
    def complete(self) -> bool:
        """Every trial of the study has ended."""
        return not self.running and self._dispatch.exhausted

    @property
    def unfinished(self) -> set[str]:
        """The trials that have begun, or were about to, and have not ended."""
        return {*self.running, *self._dispatch.resumable}

    def next_trial(self) -> TrialSpec | None:
        """The next trial, entered in the ledger; None where nothing is ready now (see `done`)."""
        alone = any(self._consequence(key) == ALONE for key in self.running)
        while not self.stopping and not alone and (spec := self._dispatch.next(idle=not self.running)):
            if not self._adopted(spec):
                trial = self.ledger.add_trial(self.record_of_study.id, spec, self.clock(), spec.brain)
                self.running[spec.key] = trial
                self._changed(trial)
                return spec
        return None

    def rungs(self, spec: TrialSpec) -> tuple[int, ...]:
        """The epochs after which this trial must report at once, since it may be pruned there."""
        return self.brain.rungs(spec.config["epochs"]) if spec.stage == SEARCH else ()

    def record(self, report: Report) -> bool:
        """Commit a report; True where the trial must stop: it ended, was pruned, was superseded, or the sweep is stopping."""
        known = self.running.get(report.key)
        if known and report.end and report.end.failure_class == OOM and self._consequence(report.key, OOM) != GIVE_UP:
            self.record(replace(report, end=None))  # not its end yet
            self.lost(report.key, report.end.failure_text or "", OOM)
            return True
        trial = self.ledger.append(self.record_of_study.id, report, self.clock())
        if trial is None or known is None:
            if known and self._tokens.get(report.key, report.token) == report.token:
                self.lost(report.key, "the ledger refused its report")  # else it would count as running for ever
            return True
        self._tokens[report.key] = report.token
        for note in report.notes:
            self.ledger.decide(self.record_of_study.id, report.key, NOTED, self.clock(), {"text": note})
            self.notes.append(f"trial {report.key}: {note}")
        self._dispatch.note_epochs(trial, [row.seconds for row in report.rows if row.epoch > known.last_epoch])
        curve = {row.epoch: row.metrics.get(self.study.objective, math.nan) for row in report.rows}
        self._curves.setdefault(trial.key, {}).update(curve)
        if trial.stage == SEARCH:
            # an audited trial meets no further rung: others are judged as if it had been stopped
            judged = trial.key not in self._audited and self.brain.report(trial, curve)
            if judged and trial.state not in FINAL_STATES:
                trial = self._prune(trial)
        self.running[trial.key] = trial
        if trial.state in FINAL_STATES:
            self._ended(trial)
        elif self.stopping:
            trial = self._interrupt(trial, INTERRUPTED, "the sweep was stopped")
            self._dispatch.resume(trial)
        self._changed(trial)
        return trial.key not in self.running

    def lost(self, key: str, text: str, kind: str = CRASHED) -> None:
        """The worker of this trial is gone, by a class of sweeps.losses: try again, alone where memory was short, or give up."""
        trial = self.running.get(key)
        if trial is None:
            return
        self._losses.setdefault(key, Counter())[kind] += 1
        trial = self._interrupt(trial, LOST, worded(kind, text))
        decided = self._consequence(key)
        if decided == GIVE_UP:
            end = End(state=FAILED, failure_class=kind, failure_text=text)
            trial = self.ledger.end_trial(self.record_of_study.id, key, end, self.clock(), dict(self._losses[key]))
            self._ended(trial)
        else:
            self._dispatch.resume(trial, alone=decided == ALONE)
        self._changed(trial)

    def stop(self) -> None:
        """Dispatch nothing more; every running trial ends as interrupted with its next report, or with `close`."""
        self.stopping = True

    def close(self) -> None:
        """Whatever still counts as running is interrupted. To be called when no worker is left."""
        for running in list(self.running.values()):
            trial = self._interrupt(running, INTERRUPTED, "the sweep ended")
            self._dispatch.resume(trial)
            self._changed(trial)

    def _consequence(self, key: str, *more: str) -> str:
        """What follows from this trial's losses so far, and from `more` of these classes."""
        return consequence(self._losses.get(key, Counter()) + Counter(more), self.study.compute.retries)

    def _adopted(self, spec: TrialSpec) -> bool:
        """Take the trial over from the study this one was forked from, where it is there and has not begun here."""
        donor = self.donors.get(spec.key)
        if donor is None:
            return False
        copy = Copy(donor=donor.id, origin=self.record_of_study.provenance[FORKED_FROM], spec=spec)
        trial = self.ledger.adopt(self.record_of_study.id, copy, self.clock())
        if trial is None:
            return False
        last = self.ledger.rows_after({trial.id: trial.last_epoch - 1}).get(trial.id, [])
        self._dispatch.note_end(trial, last[-1].metrics.get(self.study.objective) if last else None)
        self._changed(trial)
        return True

    def _interrupt(self, trial: TrialRecord, state: str, text: str) -> TrialRecord:
        self.running.pop(trial.key, None)
        self._tokens.pop(trial.key, None)
        return self.ledger.close_attempt(self.record_of_study.id, trial.key, state, text, self.clock())

    def _restore(self) -> None:
        study_id = self.record_of_study.id
        self.ledger.interrupt_running(study_id, self.clock())
        trials, rows = self.ledger.trials(study_id), self.ledger.rows(study_id)
        key_of = {trial.id: trial.key for trial in trials}
        for attempt in self.ledger.attempts(study_id):
            if attempt.state == LOST:
                self._losses.setdefault(key_of[attempt.trial_id], Counter())[class_recorded(attempt.text)] += 1
        for trial in trials:
            curve = {row.epoch: row.metrics.get(self.study.objective, math.nan) for row in rows.get(trial.id, ())}
            self._curves[trial.key] = curve
            alone = self._consequence(trial.key) == ALONE
            self._dispatch.add_known(trial, curve.get(trial.last_epoch), alone=alone)
            self._dispatch.note_epochs(trial, [row.seconds for row in rows.get(trial.id, ())])
        searched = [trial for trial in trials if trial.stage == SEARCH]
        self._audited = {key_of[decision.trial_id]: int(decision.detail["epoch"])
                         for decision in self.ledger.decisions(study_id, WOULD_PRUNE) if decision.trial_id in key_of}
        self.brain.restore(searched, self._curves, self._audited)
        self._curves = {trial.key: self._curves[trial.key] for trial in trials if trial.state not in FINAL_STATES}
        self._dispatch.plan_measures()

    def _prune(self, trial: TrialRecord) -> TrialRecord:
        """End a trial at a rung; one that audits the rule runs on, to its end, and the ledger remembers why."""
        detail = {"epoch": trial.last_epoch, "value": self._curves[trial.key].get(trial.last_epoch)}
        if not is_audited(self.study, trial.key):
            return self.ledger.end_trial(self.record_of_study.id, trial.key, End(state=PRUNED), self.clock(), detail)
        self.ledger.decide(self.record_of_study.id, trial.key, WOULD_PRUNE, self.clock(), detail)
        self._audited[trial.key] = trial.last_epoch
        return trial

    def _ended(self, trial: TrialRecord) -> None:
        self.running.pop(trial.key, None)
        self._tokens.pop(trial.key, None)
        curve = self._curves.pop(trial.key, {})
        if trial.stage == SEARCH:
            self.brain.tell(trial, curve.get(trial.last_epoch))
        self._dispatch.note_end(trial, curve.get(trial.last_epoch))

    def _changed(self, trial: TrialRecord) -> None:
        for observer in self.observers:
            try:
                observer(trial)
            except Exception as error:  # an observer only looks on: its failure must not cost a trial
                self.observer_errors.append(f"{trial.key}: {type(error).__name__}: {error}")


def is_audited(study: Study, key: str) -> bool:
    """Whether the trial of this key runs on where the pruning rule would stop it: a draw by (study seed, key) alone.

    The same in every process and at every rung; a larger share audits the same trials and more.
    """
    return stream_seed(study.seed, "pruning audit", key) < study.search.prune.audit * 2**63


def run_locally(sweep: Sweep, source: "Source", place: Place, runner: Runner) -> None:
    """Run what is left of a sweep in this process, one trial after the other: the same rows as on a cluster."""
    while not sweep.done:
        spec = sweep.next_trial()
        if spec is None and sweep.done:  # what was left was taken over from another study
            break
        if spec is None:
            raise RuntimeError("nothing runs and nothing is ready, but the sweep is not done")
        attempt = Attempt(spec, source, place, sweep.rungs(spec), runner)
        while not sweep.record(attempt.report()):
            pass
        attempt.close(keep=sweep.stopping)
    sweep.close()
