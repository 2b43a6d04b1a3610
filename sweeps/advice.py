"""What to do about trials that failed: one sentence for each class of failure, with the settings that bear on it.

Pure text from the counts of a study's failures. Refuses to know trials and where they ran.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.records import CRASHED, DISK, DIVERGED, LOST, OOM, TIMEOUT
from sweeps.study import Study


def advice(failures: Sequence[Mapping[str, Any]], study: Study) -> list[str]:
    """The most frequent class first. `failures`: `class`, `text` and `count` of each kind, as the status lists them."""
    counts: Counter[str] = Counter()
    for kind in failures:
        counts[kind["class"]] += kind["count"]
    firsts = {kind["class"]: str(kind["text"]) for kind in reversed(failures)}
    return [f"{count} x {name}: {_way_out(name, firsts[name], study)}" for name, count in counts.most_common()]


def _way_out(name: str, first: str, study: Study) -> str:
    compute = study.compute
    if name == DIVERGED:
        return (f"training lost its loss ({first}). {_calmer(study)} Such a change makes another study: give it another name, "
                "--set name=..")
    if name == OOM:
        return ("memory ran out. Fewer trials at a time (compute.max_concurrent) or more of the machine for each (compute.cpus "
                f"{compute.cpus:g}, compute.gpus {compute.gpus}) need no new study; a smaller train.batch_size or model does.")
    if name == DISK:
        return f"the storage has no room ({first}). Make room; --storage names another place."
    if name == LOST:
        return f"one machine after the other died under it ({first}): look for what it does to them, memory first."
    if name == TIMEOUT:
        limit = "never" if compute.no_progress_seconds is None else f"{compute.no_progress_seconds:g} s"
        return f"no report came in time ({first}). Where an epoch takes longer, raise compute.no_progress_seconds, {limit}."
    if name == CRASHED and "died" in first:
        return (f"its worker died {compute.retries + 1} times ({first}): often for want of memory. compute.max_concurrent and "
                "compute.retries may be changed.")
    return f"the code raised an error ({first}). `mixup-sweep trial --study ..` runs one trial here, with its traceback."


def _calmer(study: Study) -> str:
    """What makes steps smaller, by what the study says of them."""
    base, space = study.base, study.space
    lr = f"narrow space.lr, {space['lr'].describe()}," if "lr" in space.names else f"lower train.lr, {base.lr:g},"
    ways = [f"{lr} first (ten times lower is a test)"]
    if base.warmup_fraction == 0 and "warmup_fraction" not in space.names:
        ways.append("warm up (train.warmup_fraction=0.1)")
    if base.schedule == "constant" and "schedule" not in space.names:
        ways.append("let the rate fall (train.schedule=cosine)")
    decay = space["weight_decay"] if "weight_decay" in space.names else None
    if float(getattr(decay, "high", base.weight_decay)) > 0.1:
        ways.append("allow less space.weight_decay" if decay else f"lower train.weight_decay, {base.weight_decay:g}")
    return f"To calm it: {'; '.join(ways)}."
