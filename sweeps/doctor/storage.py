"""Whether the storage holds what the ledger says: predictions of finished trials, checkpoints of unfinished ones, no others.

Owns what is read there, and removing what nobody will go on from. Torch is imported only where a checkpoint must be read.
"""

from dataclasses import dataclass, field
from typing import Any

import fsspec

from sweeps.doctor.finding import REMOVE, STORAGE, Finding
from sweeps.doctor.recorded import Recorded
from sweeps.records import FINAL_STATES, FINISHED, TrialRecord
from sweeps.redaction import redact
from sweeps.storage import checkpoint_path, read_array
from trainable.errors import CheckpointError

GENERATIONS = ("latest", "previous")
FROM_BACKUP = "put the file back from a backup of the storage; without it bias and variance leave this trial out, errors do not"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What was seen. `predictions`: why a finished trial's are not whole, by key; `checkpoints`: the keys that have any;
    `damaged`: why a checkpoint cannot be read, by (key, generation); `trouble`: why the storage could not be read at all."""

    predictions: dict[str, str] = field(default_factory=dict)
    checkpoints: frozenset[str] = frozenset()
    damaged: dict[tuple[str, str], str] = field(default_factory=dict)
    trouble: str | None = None


def look(storage: str, recorded: Recorded) -> Stored:
    """Read what a study keeps in the storage; every file of predictions is read."""
    try:
        keys = _folders(storage, recorded.record.name)
        predictions = {trial.key: why for trial in recorded.trials if trial.state == FINISHED
                       if (why := _why_not_whole(storage, trial))}
        going_on = [trial.key for trial in recorded.still if trial.state not in FINAL_STATES and trial.key in keys]
        return Stored(predictions=predictions, checkpoints=keys,
                      damaged=_damaged(storage, recorded.record.name, going_on) if going_on else {})
    except (OSError, ValueError, ImportError) as error:
        return Stored(trouble=redact(str(error)))


def check_storage(recorded: Recorded, stored: Stored) -> list[Finding]:
    """What is missing, damaged, or left over in the storage. Beside a driver, checkpoints are in motion and not judged."""
    if stored.trouble:
        return [Finding(place=STORAGE, trial=None, text=f"cannot be read: {stored.trouble}",
                        remedy="see that it is reachable, and that --storage or SWEEP_STORAGE names it")]
    found = [Finding(place=STORAGE, trial=key, text=f"predictions {why}", remedy=FROM_BACKUP)
             for key, why in stored.predictions.items()]
    found += [Finding(place=STORAGE, trial=key, text=f"a checkpoint is left, and {why}", remedy=REMOVE)
              for key, why in left_over(recorded, stored).items()]
    return found + [Finding(place=STORAGE, trial=key, text=f"checkpoint `{generation}` is {why}", remedy=REMOVE)
                    for (key, generation), why in stored.damaged.items()]


def left_over(recorded: Recorded, stored: Stored) -> dict[str, str]:
    """Keys with checkpoints that nobody will go on from, and why."""
    if recorded.driver is not None:
        return {}
    states = {trial.key: trial.state for trial in recorded.trials}
    whys = {key: f"the trial is {states[key]}" if key in states else "the ledger knows no such trial"
            for key in sorted(stored.checkpoints)}
    return {key: why for key, why in whys.items() if states.get(key) in (None, *FINAL_STATES)}


def clear(storage: str, recorded: Recorded, stored: Stored) -> list[str]:
    """Remove checkpoints that nobody will go on from, and damaged ones; what was done. Raises OSError."""
    done = []
    study = recorded.record.name
    for key in left_over(recorded, stored):
        _remove(storage, checkpoint_path(study, key))
        done.append(f"removed the checkpoint of trial {key}")
    for key, generation in stored.damaged:
        _remove(storage, f"{checkpoint_path(study, key)}/{generation}")
        done.append(f"removed checkpoint `{generation}` of trial {key}")
    return done


def _why_not_whole(storage: str, trial: TrialRecord) -> str | None:
    if not trial.predictions_path:
        return None
    if read_array(storage, trial.predictions_path, trial.predictions_digest) is not None:
        return None
    is_there = _files(storage)[0].exists(f"{_files(storage)[1]}/{trial.predictions_path}")
    return "are not those that the trial wrote" if is_there else "are missing"


def _folders(storage: str, study: str) -> frozenset[str]:
    filesystem, root = _files(storage)
    try:
        paths = filesystem.ls(f"{root}/{checkpoint_path(study, '').rstrip('/')}", detail=False)
    except FileNotFoundError:
        return frozenset()
    return frozenset(path.rstrip("/").rpartition("/")[2] for path in paths)


def _damaged(storage: str, study: str, keys: list[str]) -> dict[tuple[str, str], str]:
    from trainable.checkpoint import loads
    filesystem, root = _files(storage)
    found = {}
    for key in keys:
        for generation in GENERATIONS:
            try:
                loads(filesystem.cat_file(f"{root}/{checkpoint_path(study, key)}/{generation}"), key)
            except FileNotFoundError:
                continue
            except CheckpointError as error:
                found[key, generation] = str(error)
    return found


def _remove(storage: str, path: str) -> None:
    filesystem, root = _files(storage)
    filesystem.rm(f"{root}/{path}", recursive=True)


def _files(storage: str) -> tuple[Any, str]:
    filesystem, root = fsspec.url_to_fs(storage)
    return filesystem, root.rstrip("/")
