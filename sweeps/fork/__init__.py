"""Beginning a study as a fork of another in the same ledger: the finished trials that still apply are taken over, not run again.

Owns what is refused, and the words. Which trials apply is settled in sweeps.fork.applies, how they are copied in
sweeps.ledger.forked.
"""

from collections.abc import Mapping

from sweeps.answer import known_study
from sweeps.changes import changes
from sweeps.fork.applies import Fork, Remember, measure_donors, search_copies
from sweeps.ledger import Ledger
from sweeps.records import FINAL_STATES, FORKED_FROM, StudyRecord, TrialRecord
from sweeps.study import Study
from trainable.errors import StudyError


def begin_fork(ledger: Ledger, fork_of: str, study: Study, data_digest: str, remember: Remember, at: float) -> str | None:
    """Enter `study` in the ledger with what it takes over from the study `fork_of`; what that is, in words.

    None where it was forked from that study before, and just goes on. StudyError where there is no such study, where the new
    one has begun otherwise, and where nothing applies.
    """
    if fork_of == study.name:
        raise StudyError(f"--fork = {fork_of!r}: is the study itself; name the new one with --set name=NEW")
    known = ledger.study(study.name)
    if known and known.provenance.get(FORKED_FROM) == fork_of:
        return None
    if known:
        raise StudyError(f"--fork = {fork_of!r}: study {study.name!r} has begun already, and a fork begins one; leave --fork out "
                         "to go on with it, or choose another --set name=NEW")
    old = known_study(ledger, fork_of)
    recorded = old.provenance.get("data_digest")
    if recorded not in (None, data_digest):
        raise StudyError(f"--fork = {fork_of!r}: it was run on other data (digest {recorded}, now {data_digest}), so none of its "
                         "trials applies; leave --fork out to begin from nothing")
    fork, trials = Fork(old=Study.from_dict(old.spec), new=study, data_digest=data_digest), ledger.trials(old.id)
    copies, donors = search_copies(fork, trials, remember), measure_donors(fork, trials)
    num_ended = sum(trial.state in FINAL_STATES for trial in trials)
    if not copies and not donors:
        raise StudyError("\n".join([
            f"--fork = {fork_of!r}: none of its {num_ended} finished trials applies to {study.name!r}; leave --fork out to begin "
            "from nothing. What has changed:",
            *(f"  {change}" for change in changes(old.identity, study.identity()) if change.path != "name")]))
    ledger.fork_study(study.name, study.identity(), study.to_dict(), fork_of, copies, at)
    measured = f"; up to {len(donors)} measured ones follow where {study.name} asks for them" if donors else ""
    return f"took over {len(copies)} search trials of {fork_of}, of {num_ended} trials that have ended there{measured}"


def donors_of(ledger: Ledger, record: StudyRecord, study: Study, data_digest: str) -> Mapping[str, TrialRecord]:
    """The measured trials that a fork takes over in place of running them, by key; none for any other study."""
    origin = record.provenance.get(FORKED_FROM)
    old = ledger.study(origin) if origin else None
    if old is None or old.provenance.get("data_digest") not in (None, data_digest):
        return {}
    fork = Fork(old=Study.from_dict(old.spec), new=study, data_digest=data_digest)
    return measure_donors(fork, ledger.trials(old.id))
