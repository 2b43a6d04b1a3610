"""Whether pruning is to be trusted: what a rung says of the end, how often a stop was wrong, and what stopping saved.

Owns the audit: trials that the rule would have stopped and that ran on (sweeps.sweep.is_audited). Pure numbers from the curves
of search trials. Refuses to know how a rule decides.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from sweeps.analysis.intervals import LEVEL
from sweeps.analysis.results import Estimate
from sweeps.records import FAILED, FINISHED, PRUNED, SEARCH, WOULD_PRUNE, Decision, Row, TrialRecord
from trainable.moments import epsilon

ALL = "all"
MIN_TRIALS = 5
"""Below it nothing is computed: a rank correlation of four pairs has 24 values, a share of four says less."""
GRID = tuple(range(10, 100, 10))
"""Percent of a trial's own epochs at which the correlation with the end is looked at, beside the rungs of the rule."""
BEST_SHARE = 1 / 3
"""A stop is wrong where the trial would have ended among the best third of its capacity. Blind stopping is wrong so often."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A search trial as a pruning rule sees it: the objective by epoch, of `epochs` that it was to run.

    `end`: the objective at its own end; inf where it failed, None where it was stopped or still runs. `stop_epoch`: when the
    rule stopped it or, of an `audited` one, would have.
    """

    capacity: str
    alpha: float
    epochs: int
    values: Mapping[int, float]
    end: float | None
    stop_epoch: int | None = None
    audited: bool = False


@dataclass(frozen=True, kw_only=True)
class Counted:
    """An estimate from `n` trials; None where they are too few, or all alike."""

    estimate: Estimate | None
    n: int


@dataclass(frozen=True, kw_only=True)
class PruningGroup:
    """Pruning of one capacity, of all, or of a third of the trials by alpha. Epochs are sums over trials.

    `correlations`: percent of a trial's own epochs -> rank correlation of the objective there with that at the end.
    `wrong`: of the audited trials that have ended, the share that the rule should not have stopped.
    """

    name: str
    correlations: Mapping[int, Counted]
    wrong: Counted
    num_trials: int
    num_stopped: int
    epochs_planned: int
    epochs_saved: int
    epochs_audited: int


@dataclass(frozen=True, kw_only=True)
class PruningAudit:
    """The audit of a search: `groups` by capacity and over all, `terciles` by alpha; `rungs` in percent of own epochs."""

    rule: str
    audit: float
    rungs: tuple[int, ...]
    groups: tuple[PruningGroup, ...]
    terciles: tuple[PruningGroup, ...]


def audit_pruning(curves: Sequence[Curve], rule: str, audit: float, rungs: Sequence[int]) -> PruningAudit:
    """The audit so far. Curves of trials that have not ended say nothing yet and are counted nowhere."""
    ended = [curve for curve in curves if curve.end is not None or (curve.stop_epoch is not None and not curve.audited)]
    capacities = list(dict.fromkeys(curve.capacity for curve in ended))
    wrong = {id(curve): wrongly for capacity in capacities
             for curve, wrongly in judged([curve for curve in ended if curve.capacity == capacity])}
    percents = tuple(sorted({*GRID, *rungs}))
    groups = [group(name, [curve for curve in ended if curve.capacity == name], wrong, percents) for name in capacities]
    groups += [group(ALL, ended, wrong, percents)] if len(capacities) > 1 else []
    terciles = [group(name, some, wrong, percents) for name, some in by_tercile(ended)]
    return PruningAudit(rule=rule, audit=audit, rungs=tuple(rungs), groups=tuple(groups), terciles=tuple(terciles))


def curves_of(trials: Iterable[TrialRecord], rows: Mapping[int, Sequence[Row]], decisions: Iterable[Decision],
              objective: str) -> tuple[Curve, ...]:
    """The curves of a study's search trials, in the order of their asks. `decisions`: those of kind `would_prune`."""
    would = {decision.trial_id: int(decision.detail["epoch"]) for decision in decisions if decision.kind == WOULD_PRUNE}
    return tuple(_curve(trial, {row.epoch: row.metrics.get(objective, math.nan) for row in rows.get(trial.id, ())},
                        would.get(trial.id))
                 for trial in sorted(trials, key=lambda one: (one.capacity, one.number)) if trial.stage == SEARCH)


def _curve(trial: TrialRecord, values: dict[int, float], would_stop: int | None) -> Curve:
    last = values.get(trial.last_epoch, math.nan)
    failed = trial.state == FAILED or not math.isfinite(last)
    stopped = trial.last_epoch if trial.state == PRUNED else None
    return Curve(capacity=trial.capacity, alpha=trial.config["alpha"], epochs=trial.config["epochs"], values=values,
                 end=None if trial.state not in (FINISHED, FAILED) else math.inf if failed else last,
                 stop_epoch=stopped if would_stop is None else would_stop, audited=would_stop is not None)


def group(name: str, curves: Sequence[Curve], wrong: Mapping[int, bool], percents: Sequence[int]) -> PruningGroup:
    """One line of the audit; `wrong` says of each judged curve, by its id, whether stopping it was wrong."""
    verdicts = [wrong[id(curve)] for curve in curves if id(curve) in wrong]
    stopped = [(curve, curve.stop_epoch) for curve in curves if curve.stop_epoch is not None]
    left = {audited: sum(curve.epochs - epoch for curve, epoch in stopped if curve.audited == audited) for audited in (True, False)}
    return PruningGroup(
        name=name, correlations={percent: rank_correlation(pairs(curves, percent)) for percent in percents},
        wrong=share(sum(verdicts), len(verdicts)), num_trials=len(curves), num_stopped=len(stopped),
        epochs_planned=sum(curve.epochs for curve in curves), epochs_saved=left[False], epochs_audited=left[True])


def judged(curves: Sequence[Curve]) -> Iterator[tuple[Curve, bool]]:
    """Each audited trial of one capacity, and whether the rule was wrong about it; none where fewer than 5 trials have ended.

    Its rank is that among all trials of the capacity had none been stopped: the audited ones, a random sample of those to be
    stopped, stand for all of them, each with the same weight.
    """
    audited = [curve for curve in curves if curve.audited]
    known = [(curve, curve.end) for curve in curves if curve.end is not None]
    if len(known) < MIN_TRIALS or not audited:
        return
    stands_for = sum(curve.stop_epoch is not None for curve in curves) / len(audited)
    weights, ends = np.array([stands_for if curve.audited else 1.0 for curve, _ in known]), np.array([end for _, end in known])
    for curve, end in known:
        if curve.audited:
            better, equal = weights[ends < end].sum(), weights[ends == end].sum()
            yield curve, bool(end != math.inf and better + equal / 2 < BEST_SHARE * weights.sum())


def epoch_at(percent: int, epochs: int) -> int | None:
    """The first epoch at which a trial of this length has had so many percent of it; None where that is its end."""
    reached = -(-percent * epochs // 100)
    return reached if 0 < reached < epochs else None


def pairs(curves: Iterable[Curve], percent: int) -> list[tuple[list[float], list[float]]]:
    """Of each capacity, the objective at a percentage of a trial's own epochs and at its end; trials that ran to their end."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for curve in curves:
        early = curve.values.get(epoch_at(percent, curve.epochs) or 0, math.nan)
        if curve.end is not None and math.isfinite(curve.end) and math.isfinite(early):
            befores, ends = found.setdefault(curve.capacity, ([], []))
            befores.append(early)
            ends.append(curve.end)
    return list(found.values())


def rank_correlation(groups: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Counted:
    """Spearman's correlation with an interval; of several groups ranks are taken within each, so their levels do not matter.

    Interval: Fisher's z with variance (1 + r^2 / 2) / (n - 3) (Bonett and Wright 2000, eq. 3), n less one for each further group;
    none where the ranks agree wholly.
    """
    kept = [(rankdata(first), rankdata(second)) for first, second in groups if len(first) > 1]
    n = sum(len(first) for first, _ in kept)
    free = n - max(0, len(kept) - 1)
    if free < MIN_TRIALS:
        return Counted(estimate=None, n=n)
    x, y = (np.concatenate([(pair[side] - pair[side].mean()) / len(pair[side]) for pair in kept]) for side in (0, 1))
    scale = math.sqrt(float((x @ x) * (y @ y)))
    if scale == 0:
        return Counted(estimate=None, n=n)
    value = float(np.clip((x @ y) / scale, -1, 1))
    if 1 - abs(value) < 1e-12:
        return Counted(estimate=Estimate(round(value)), n=n)
    half = float(ndtri((1 + LEVEL) / 2)) * math.sqrt((1 + value**2 / 2) / (free - 3))
    return Counted(estimate=Estimate(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)), n=n)


def share(count: int, n: int, level: float = LEVEL) -> Counted:
    """count / n with Wilson's (1927) interval; no estimate below 5. The interval is within [0, 1], also at 0 and n."""
    if n < MIN_TRIALS:
        return Counted(estimate=None, n=n)
    z2, observed = float(ndtri((1 + level) / 2)) ** 2, count / n
    middle = (observed + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (observed * (1 - observed) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return Counted(estimate=Estimate(observed, max(0.0, middle - half), min(1.0, middle + half)), n=n)


def by_tercile(curves: Sequence[Curve]) -> list[tuple[str, list[Curve]]]:
    """The trials in thirds by epsilon, each with the alphas it holds as a name; none where there are not three alphas."""
    if len({curve.alpha for curve in curves}) < 3:
        return []
    place = [epsilon(curve.alpha) for curve in curves]
    edges = np.quantile(place, [1 / 3, 2 / 3])
    thirds = [[curve for curve, where in zip(curves, np.searchsorted(edges, place), strict=True) if where == third]
              for third in range(3)]
    return [(f"alpha {min(alphas):.3g} to {max(alphas):.3g}", some) for some in thirds if (alphas := [one.alpha for one in some])]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a rule would have done to trials that all ran to their end. `regret`: the best end it kept minus the best of all."""

    num_stopped: int
    num_wrong: int
    saved_share: float
    regret: float


def assess(curves: Sequence[Curve], stop_epochs: Sequence[int | None]) -> Replayed:
    """Judge stops on curves of one capacity, all run to their end (or failed). Raises ValueError where one was not."""
    if any(curve.end is None for curve in curves):
        raise ValueError("a replay needs trials that ran to their end: search with `prune: none`")
    stopped = {place for place, epoch in enumerate(stop_epochs) if epoch is not None}
    ends = [math.inf if curve.end is None else curve.end for curve in curves]
    best, kept = min(ends), min((end for place, end in enumerate(ends) if place not in stopped), default=math.inf)
    audited = [replace(curve, stop_epoch=epoch, audited=epoch is not None)
               for curve, epoch in zip(curves, stop_epochs, strict=True)]
    saved = sum(curve.epochs - epoch for curve, epoch in zip(curves, stop_epochs, strict=True) if epoch is not None)
    return Replayed(num_stopped=len(stopped), num_wrong=sum(wrong for _, wrong in judged(audited)),
                    saved_share=saved / sum(curve.epochs for curve in curves), regret=kept - best if kept != best else 0.0)
