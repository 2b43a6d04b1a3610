"""Racing: which arms still need splits, when a measured ladder is known well enough, and its answer then.

The rounds. Every arm is run on splits 1..first; after that a look is taken at 3, 5, 8, 12 .. splits (each half as many again).
At a look an arm is *decided* when another one beats it in the confidence set of the best (sweet_spot): it gets no more
splits and stays out. The others are tied and go on; plain training (alpha = 0) goes on in any case, as the baseline. Rungs are
judged against rungs; a named arm against everything. All of it is a function of recorded results alone, so that a sweep decides
the same after a restart, and the analysis the same as the sweep.

What holds. There are at most R looks, fixed by the study before the first trial, and each may err with (1 - level)/R, shared
among the A - 1 rivals that began, so by Bonferroni the truly best rung is never decided against, at any look, with probability
`level` or more: peeking, and the choice of when to end, are paid for. It rests on the additive model, as the set of the
full ladder does. Only arms that have all splits so far are judged against each other; the splits that others lack bear on that
only through the noise, which is partly pooled over all arms (two_way). Nothing is promised the other way round: a race may
end with a wider set than all splits would give.

A race for the verdict alone is another one. The verdict hangs on the two ends of the ladder, and whether an end stays in the
set is tested once, on all splits, or foreseen (foresight). So a look is taken after every split, and nobody is decided for
good; what goes on is plain training, the upper end until it is foreseen, and the two best rungs so far, which are what may
exclude an end. The rungs that pause are not judged and stay in the set.

Refuses to know trials, the ledger and plans. Axes: S splits, A arms (the rungs of the ladder, ascending from alpha 0, then named
arms).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sweeps.analysis.arms import PairedArms, compare
from sweeps.analysis.foresight import Foreseen, foresee, is_out
from sweeps.analysis.intervals import LEVEL, t_quantile
from sweeps.analysis.sweet_spot import hull
from trainable.moments import epsilon

Result = tuple[int, int, int, float | None]
"""(number of the arm, split, seed on it, risk) of a trial that has ended; None where it failed."""
RIVALS = 2
"""The best rungs that go on in a race for the verdict: those that may exclude an end."""
MET, BUDGET, SPLITS = "its stop rule was met", "its budget of trials was used up", "all splits were run"


class Rule(Protocol):
    """What is asked of a study's `until`: see sweeps.study.until."""

    @property
    def first(self) -> int: ...
    @property
    def width(self) -> float | None: ...
    @property
    def difference(self) -> float | None: ...
    @property
    def verdict(self) -> float | None: ...
    @property
    def max_trials(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class Field:
    """Who races: the rungs (numbers 0..), the numbers of the named arms; splits at most, trials on each, overlap of splits."""

    alphas: tuple[float, ...]
    arms: tuple[int, ...]
    splits: int
    per_split: int
    overlap: float
    level: float = LEVEL

    @property
    def size(self) -> int:
        """Columns of a table: one for every number up to the largest."""
        return max([len(self.alphas), *(number + 1 for number in self.arms)])

    @property
    def num_members(self) -> int:
        return len(self.alphas) + len(self.arms)


@dataclass(frozen=True, kw_only=True)
class Race:
    """Where a race stands: the splits asked of each arm so far, the last look, and who was tied then.

    `ladder_A`: rungs that may be the best rung; `goes_A`: rungs that go on; `best_A`: arms that may be the best of all.
    `num_splits`: of that look, 0 before the first. `error`: what each look may err with. `reason`: why the race is over.
    `ends`: what all splits would say of the first and of the last rung, as far as it is foreseen.
    """

    asked_A: tuple[int, ...]
    ladder_A: np.ndarray
    goes_A: np.ndarray
    best_A: np.ndarray
    num_splits: int
    error: float
    over: bool = False
    reason: str = ""
    ends: tuple[Foreseen | None, Foreseen | None] = (None, None)


def looks(first: int, splits: int) -> tuple[int, ...]:
    """The numbers of splits at which a race is looked at: the first, then half as many again each time, at last all."""
    found = [min(first, splits)]
    while found[-1] < splits:
        found.append(min(math.ceil(1.5 * found[-1]), splits))
    return tuple(found)


def for_verdict(rule: Rule) -> bool:
    """Whether the verdict is all that is asked for."""
    return rule.verdict is not None and rule.width is None and rule.difference is None


def run_race(results: Iterable[Result], field: Field, rule: Rule) -> Race:
    """The race as far as `results` carry it: to its end, or to the first look that lacks a trial.

    Results that the race would not have asked for (of a decided arm, or past its end) change nothing.
    """
    risk_SA, ended_SA = tables(results, field)
    plan = looks(rule.first, field.splits)
    if for_verdict(rule):
        plan = tuple(range(plan[0], field.splits + 1))
    race = start(field, len(plan))
    for planned in plan:
        goes_A = going_on(race, field)
        num_splits = min(planned, race.num_splits + room(race, field, rule, int(goes_A.sum())))
        if num_splits == race.num_splits:
            return replace(race, over=True, reason=BUDGET)
        race = replace(race, asked_A=tuple(np.where(goes_A, num_splits, race.asked_A).tolist()))
        if not ended_SA[:num_splits, goes_A].all():
            return race
        race, is_met = look(race, seen(risk_SA, race, num_splits), field, rule)
        if is_met:
            return replace(race, over=True, reason=MET)
    return replace(race, over=True, reason=SPLITS if race.num_splits == field.splits else BUDGET)


def start(field: Field, num_looks: int) -> Race:
    """The race before the first split."""
    all_A, num_rungs = members(field), len(field.alphas)
    return Race(asked_A=(0,) * field.size, ladder_A=all_A[:num_rungs], goes_A=all_A[:num_rungs], best_A=all_A,
                num_splits=0, error=(1 - field.level) / num_looks)


def tables(results: Iterable[Result], field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Risk averaged over redraws and then over seeds, NaN where there is none, and whether all trials have ended: (S, A) each."""
    ended_SA = np.zeros((field.splits, field.size))
    found: dict[tuple[int, int], dict[int, list[float]]] = {}
    for arm, split, seed, risk in results:
        if 1 <= split <= field.splits and arm < field.size:
            ended_SA[split - 1, arm] += 1
            if risk is not None and math.isfinite(risk):
                found.setdefault((split - 1, arm), {}).setdefault(seed, []).append(risk)
    risk_SA = np.full(ended_SA.shape, math.nan)
    for place, seeds in found.items():
        risk_SA[place] = float(np.mean([np.mean(sorted(risks)) for _, risks in sorted(seeds.items())]))
    return risk_SA, ended_SA >= field.per_split


def members(field: Field) -> np.ndarray:
    """Which numbers race: (A,)."""
    numbers = np.arange(field.size)
    found_A: np.ndarray = (numbers < len(field.alphas)) | np.isin(numbers, field.arms)
    return found_A


def going_on(race: Race, field: Field) -> np.ndarray:
    """Who gets more splits: the rungs that go on, tied named arms, and plain training."""
    goes_A = race.best_A & (np.arange(field.size) >= len(field.alphas))
    goes_A[:len(field.alphas)] = race.goes_A
    goes_A[0] = True
    return goes_A


def room(race: Race, field: Field, rule: Rule, num_arms: int) -> int:
    """How many more splits the budget of trials has room for, with so many arms on each."""
    if rule.max_trials is None:
        return field.splits
    return max(rule.max_trials - field.per_split * sum(race.asked_A), 0) // (field.per_split * num_arms)


def seen(risk_SA: np.ndarray, race: Race, num_splits: int) -> np.ndarray:
    """What the race has asked for, up to this split; NaN elsewhere."""
    asked_SA = np.arange(1, num_splits + 1)[:, None] <= np.asarray(race.asked_A)
    return np.where(asked_SA, risk_SA[:num_splits], math.nan)


def look(race: Race, risk_SA: np.ndarray, field: Field, rule: Rule) -> tuple[Race, bool]:
    """The race after one look, at which whoever is beaten is decided for good, and whether the rule is met now."""
    num_rungs, goes_A = len(field.alphas), going_on(race, field)
    best_A = race.best_A & ~beaten(risk_SA, goes_A, race.error / max(field.num_members - 1, 1), field)
    race = replace(race, best_A=best_A, num_splits=len(risk_SA))
    if for_verdict(rule):
        return look_at_ends(race, risk_SA[:, :num_rungs], field, rule)
    ladder_A = race.ladder_A & ~beaten(risk_SA[:, :num_rungs], goes_A[:num_rungs], race.error / max(num_rungs - 1, 1), field)
    race = replace(race, ladder_A=ladder_A, goes_A=ladder_A)
    alone = int(ladder_A.sum()) == 1
    arms = compare(risk_SA[:, :num_rungs], field.overlap)
    if all(one is None for one in (rule.width, rule.verdict, rule.difference)):
        return race, alone and not best_A[num_rungs:].any()
    if arms is None or arms.mean_square == 0.0:
        return race, False
    race = replace(race, ends=foreseen_ends(race, arms, field, rule))
    return race, ((rule.width is None or alone or width(race, field) <= rule.width)
                  and (rule.difference is None or half_width(race, arms, field) <= rule.difference)
                  and (rule.verdict is None or alone or None not in race.ends))


def look_at_ends(race: Race, risk_SA: np.ndarray, field: Field, rule: Rule) -> tuple[Race, bool]:
    """A look of a race for the verdict: what is foreseen of the ends, and which rungs go on to foresee the rest."""
    going = np.flatnonzero(going_on(race, field)[:len(field.alphas)])
    arms = compare(risk_SA[:, going], field.overlap)
    if arms is None or arms.mean_square == 0.0:
        return race, False
    arms = replace(arms, kept_A=going[arms.kept_A])
    ends, last = foreseen_ends(race, arms, field, rule), len(field.alphas) - 1
    ladder_A = np.ones(last + 1, dtype=bool)
    error = error_of_pair(race, field, rule)
    ladder_A[arms.kept_A] = [not is_out(arms, place, error) for place in range(len(arms.kept_A))]
    for rung, end in ((0, ends[0]), (last, ends[1])):
        ladder_A[rung] = ladder_A[rung] if end is None else end.holds
    ranked = [rung for rung in arms.kept_A[arms.effect_A.argsort(kind="stable")].tolist() if rung > 0]
    goes_A = np.zeros_like(ladder_A)
    goes_A[[0, *[rung for rung in ranked if rung < last][:RIVALS]]] = True
    goes_A[last] = ends[1] is None or last in ranked[:RIVALS]
    return replace(race, ladder_A=ladder_A, goes_A=goes_A, ends=ends), None not in ends


def error_of_pair(race: Race, field: Field, rule: Rule) -> float:
    """What each of an end's comparisons may err with: as on all splits in a race for the verdict, else as at a look."""
    return ((1 - field.level) if for_verdict(rule) else race.error) / max(len(field.alphas) - 1, 1)


def foreseen_ends(race: Race, arms: PairedArms, field: Field, rule: Rule) -> tuple[Foreseen | None, Foreseen | None]:
    """What is foreseen of both ends; what was foreseen before stays."""
    first, last = (known or foreseen_end(race, arms, rung, field, rule) for known, rung in
                   zip(race.ends, (0, len(field.alphas) - 1), strict=True))
    return first, last


def foreseen_end(race: Race, arms: PairedArms, rung: int, field: Field, rule: Rule) -> Foreseen | None:
    """The same of one end. An end that was decided against is out; one that cannot be compared is not excluded."""
    if rule.verdict is None:
        return None
    if not race.ladder_A[rung] and not for_verdict(rule):
        return Foreseen(holds=False, chance=1.0)
    kept = arms.kept_A.tolist()
    if rung not in kept:
        return Foreseen(holds=True, chance=1.0) if race.num_splits == field.splits else None
    return foresee(arms, kept.index(rung), field.splits, error_of_pair(race, field, rule), rule.verdict)


def beaten(risk_SA: np.ndarray, goes_A: np.ndarray, error: float, field: Field) -> np.ndarray:
    """Which of the arms that have all splits another of them beats, each pair with this error.

    Arms of the very same risks (a method at its null setting is plain training, bit for bit) share one fate: two of them would
    pass for an arm without noise. An arm that lacks results is beaten by nobody.
    """
    columns = [np.ascontiguousarray(column_S).tobytes() for column_S in risk_SA.T]
    first_A = [columns.index(column) for column in columns]
    distinct = sorted(set(first_A))
    arms = compare(risk_SA[:, distinct], field.overlap)
    out_A = np.zeros(len(columns), dtype=bool)
    if arms is None or arms.mean_square == 0.0:
        return out_A
    numbers = [distinct[place] for place in arms.kept_A]
    judged = goes_A[numbers] & np.isfinite(risk_SA[:, numbers]).all(axis=0)
    for rival in np.flatnonzero(judged):
        lead = arms.effect_A - arms.effect_A[rival] > t_quantile(1 - error, arms.df) * arms.standard_errors(int(rival))
        out_A[np.asarray(numbers)[lead & judged]] = True
    return out_A[first_A]


def width(race: Race, field: Field) -> float:
    """Width of the hull of the set, in epsilon."""
    low, high = hull(field.alphas, race.ladder_A)
    return float(epsilon(high)) - float(epsilon(low))


def places(race: Race, arms: PairedArms, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Effects of all rungs, infinite where not compared, and the same of those alone that are tied and did not pause."""
    effect_A = np.full(len(field.alphas), math.inf)
    effect_A[arms.kept_A] = arms.effect_A
    whole_A = np.asarray(race.asked_A[:len(field.alphas)]) >= race.num_splits
    return effect_A, np.where(race.ladder_A & whole_A, effect_A, math.inf)


def half_width(race: Race, arms: PairedArms, field: Field) -> float:
    """Half the interval of risk(ERM) - risk(alpha*), at this look's level and for all rungs at once.

    Where plain training is the best itself, of its difference from the best other rung.
    """
    effect_A, tied_A = places(race, arms, field)
    best = int(tied_A.argmin()) or 1 + int(effect_A[1:].argmin())
    kept = arms.kept_A.tolist()
    if 0 not in kept or best not in kept:
        return math.inf
    _, se = arms.difference(kept.index(0), kept.index(best))
    return t_quantile(1 - race.error / (2 * (len(field.alphas) - 1)), arms.df) * se
