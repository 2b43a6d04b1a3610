"""What a study found, as sentences and as tables of text: the same words for the page, the terminal and MLflow.

Owns the choice of columns and of words. Refuses to know about HTML, terminals, plots and MLflow; text is returned as it
is, so each reader escapes it in its own way (`Table.markdown` escapes for Markdown).
"""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.analysis.results import NO_LADDER, CapacityResult, StudyResults, SweetSpot
from sweeps.quantities import (
    BIAS2,
    GAP,
    KL_BIAS,
    KL_VARIANCE,
    TEST_ERROR,
    TRAIN_ERROR,
    VAL_ERROR,
    VAL_LOSS,
    VARIANCE,
    Quantity,
    decomposition,
    risk,
)
from sweeps.theme import (
    NOTHING,
    alpha_interval,
    alpha_text,
    count_text,
    estimate,
    has_interval,
    known,
    number,
    plural,
    value_text,
)

NOT_ENOUGH = "not enough data"
IN_SET = {True: "in", False: "out", None: NOTHING}


@dataclass(frozen=True)
class Table:
    """Text in rows under headings. `numeric` headings are set right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()

    def markdown(self) -> str:
        """A GitHub table; whatever could end a cell or start markup is escaped."""
        lines = [self.columns, ["---:" if name in self.numeric else "---" for name in self.columns], *self.rows]
        cells = [[cell if index == 1 else _markdown(cell) for cell in line] for index, line in enumerate(lines)]
        return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _markdown(cell: str) -> str:
    flat = " ".join(html.escape(cell, quote=False).split())
    return "".join(f"\\{char}" if char in "|`*_\\" else char for char in flat)


def headline_table(results: StudyResults) -> Table:
    """One row per capacity: alpha*, its interval and verdict, and the risks there beside those of plain training."""
    shown = [VAL_ERROR, TEST_ERROR] if results.objective != "val/loss" else [VAL_LOSS, VAL_ERROR, TEST_ERROR]
    parts = decomposition(results.objective)
    beside = [name for each in shown for name in (_short(each), f"ERM {_short(each)}")]
    numeric = ["parameters", "alpha*", "interval", *beside, *(each.name for each in parts), "n"]
    columns = ("capacity", "parameters", "alpha*", "interval", "verdict", *numeric[3:])
    rows = []
    for found in results.capacities:
        spot = found.sweet(results.objective)
        best, erm = found.point(spot.alpha), found.point(0.0)
        risks = [estimate(each.of(point), each.unit) for each in shown for point in (best, erm)]
        rows.append((found.capacity, count_text(found.num_parameters), alpha_text(spot.alpha),
                     alpha_interval(spot.low, spot.high), spot.verdict, *risks,
                     *(estimate(each.of(best), each.unit) for each in parts), str(spot.num_splits)))
    return Table(columns, tuple(rows), frozenset(numeric))


def _short(quantity: Quantity) -> str:
    return quantity.heading.replace("validation", "val").replace("(", "").replace(")", "")


def markdown_table(results: StudyResults) -> str:
    """The headline table in Markdown, with what n counts under it; then that of the arms, where there are any."""
    arms = arms_table(results)
    more = f"\n\n{arms.markdown()}\n\n{_markdown(arms_note(results))}" if arms.rows else ""
    return f"{headline_table(results).markdown()}\n\n{_markdown(table_note(results))}{more}"


def markdown_headline(results: StudyResults) -> str:
    """The answer in sentences as a Markdown list."""
    return "\n".join(f"- {_markdown(sentence)}" for sentence in headline(results))


def table_note(results: StudyResults) -> str:
    """What the headline table's brackets and n mean."""
    return (f"{level_text(results)} intervals in brackets; alpha* and verdict from {risk(results.objective).name}; "
            "n counts training splits; ERM is plain training (alpha = 0); test data chose nothing.")


def level_text(results: StudyResults) -> str:
    """`95 %`: the level of the study's intervals."""
    levels = [found.sweet(results.objective).level for found in results.capacities]
    return f"{100 * levels[0]:g} %" if levels and known(levels[0]) else "95 %"


def ladder_table(results: StudyResults) -> Table:
    """One row per capacity and alpha: every number behind the curves."""
    shown = (VAL_ERROR, TEST_ERROR, VAL_LOSS, TRAIN_ERROR, GAP, BIAS2, VARIANCE, KL_BIAS, KL_VARIANCE)
    names = [("KL " if each.field.startswith("kl") else "") + _short(each).replace("squared error", "").strip()
             for each in shown]
    rows = [(found.capacity, alpha_text(point.alpha), f"{point.epsilon:.3f}",
             *(estimate(each.of(point), each.unit) for each in shown),
             str(point.num_splits), str(point.num_trials), str(point.missing))
            for found in results.capacities for point in found.points]
    columns = ("capacity", "alpha", "epsilon", *names, "splits", "trials", "missing")
    return Table(columns, tuple(rows), frozenset(columns[1:]))


def arms_table(results: StudyResults) -> Table:
    """One row per capacity and arm, rungs of the ladder before named arms; no rows where the study names no arms."""
    quantity = risk(results.objective)
    difference = f"minus alpha 0, {quantity.change.label}"
    rows = [(found.capacity, arm.name, estimate(quantity.of(arm), quantity.unit), estimate(arm.difference, quantity.change),
             IN_SET[arm.in_set], estimate(TEST_ERROR.of(arm), TEST_ERROR.unit),
             str(arm.num_splits) + (f", {arm.missing} missing" if arm.missing else ""),
             setting_text(arm.sets) + (f" (the trials of {arm.same_as})" if arm.same_as else ""))
            for found in results.capacities for arm in found.arms]
    columns = ("capacity", "arm", _short(quantity), difference, "best set", _short(TEST_ERROR), "n", "sets")
    return Table(columns, tuple(rows), frozenset({_short(quantity), difference, _short(TEST_ERROR), "n"}))


def arms_note(results: StudyResults) -> str:
    """What the columns of the arms mean."""
    return (f"An arm sets what it says, from alpha 0 and the setting its capacity is measured at. Minus alpha 0: the difference "
            f"in {risk(results.objective).name} from plain training, paired by split, negative is better; each interval "
            f"({level_text(results)}) is for that arm alone, however many there are. Best set: the arms that cannot be told from "
            f"the best, all compared at once at that level; {NOTHING} where replicates are missing or too few. "
            "n counts training splits. Test data chose nothing.")


def counts_table(results: StudyResults) -> Table:
    """How many trials ended how."""
    rows = tuple((name, str(count)) for name, count in results.counts.items())
    return Table(("state", "count"), rows, frozenset({"count"}))


def provenance_table(results: StudyResults) -> Table:
    """What the numbers depend on: versions, device, data; nested values get dotted names."""
    return Table(("what", "value"), tuple(_flat(results.provenance)))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            listed = isinstance(value, list | tuple)
            yield f"{prefix}{name}", ", ".join(map(value_text, value)) if listed else value_text(value)


def setting_text(setting: Mapping[str, Any]) -> str:
    """`weight_decay 0.00013, epochs 30`: the knobs a ladder was measured at."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in setting.items())


def gain_text(spot: SweetSpot, objective: str) -> str:
    """How far alpha* lies below plain training, with its interval; empty where that is not known."""
    gain, unit = spot.gain_over_erm, risk(objective).change
    if spot.alpha == 0 or gain is None or not known(gain.value):
        return ""
    side = "below" if gain.value >= 0 else "above"
    text = f"{number(abs(gain.value), unit)} {unit.label} {side} plain training"
    if has_interval(gain):
        text = f"{estimate(gain, unit)} {unit.label} below plain training"
    chance = spot.p_beats_erm
    return f"{text}, {_probability(chance)}" if chance is not None and known(chance) else text


def _probability(value: float) -> str:
    if 0.01 <= value <= 0.99:
        return f"P(better) = {value:.2f}"
    return "P(better) > 0.99" if value > 0.5 else "P(better) < 0.01"


def meaning(found: CapacityResult, objective: str) -> str:
    """What this capacity's verdict means, in one sentence."""
    spot = found.sweet(objective)
    if spot.verdict == NO_LADDER:
        return "There is no ladder of alphas: its arms are compared with plain training."
    if not is_decided(found, objective):
        return f"Not enough data: {plural(spot.num_splits, 'split')} measured so far."
    if spot.verdict == "flat":
        ends = [alpha_text(pick(point.alpha for point in found.points)) for pick in (min, max)]
        return f"Any alpha from {ends[0]} to {ends[1]} may be the best."
    if spot.verdict == "edge":
        end = "includes plain training (ERM)" if 0.0 in spot.alphas_in_set else "reaches the end of the ladder"
        return f"The range of the best alpha {end}."
    return "A sweet spot inside the ladder."


def is_decided(found: CapacityResult, objective: str) -> bool:
    """True when the data gave a verdict, be it flat."""
    spot = found.sweet(objective)
    return spot.verdict not in (NOT_ENOUGH, NO_LADDER) and known(spot.alpha) and bool(found.points)


def verdict_text(found: CapacityResult, objective: str) -> str:
    """`alpha* = 1 [0.18, 5.5], bracketed. A sweet spot inside the ladder.`"""
    spot = found.sweet(objective)
    if not is_decided(found, objective):
        return meaning(found, objective)
    interval = alpha_interval(spot.low, spot.high)
    return f"alpha* = {alpha_text(spot.alpha)} {interval}, {spot.verdict}. {meaning(found, objective)}"


def risk_text(found: CapacityResult, objective: str) -> str:
    """The risk at alpha*, and the gain over plain training, with n."""
    spot, quantity = found.sweet(objective), risk(objective)
    best = quantity.of(found.point(spot.alpha)) if known(spot.alpha) else None
    if best is None:
        return ""
    gain = gain_text(spot, objective)
    return (f"{quantity.name.capitalize()} {estimate(best, quantity.unit)} {quantity.unit.label}"
            + (f", {gain}" if gain else "") + f"; n = {plural(spot.num_splits, 'split')}.")


def headline(results: StudyResults) -> tuple[str, ...]:
    """The answer in sentences: one per capacity, then the conjecture about capacity, and about epochs where they are a ladder."""
    lines = [" ".join(filter(None, (f"{found.capacity}: {verdict_text(found, results.objective)}",
                                    risk_text(found, results.objective), found.sweet(results.objective).advice)))
             for found in results.capacities]
    if not lines:
        lines = [f"Not enough data: no capacity of {results.study} has been measured yet."]
    longer = [f"Epochs: {results.training.verdict}. {results.training.text}"] if results.training else []
    return (*lines, f"Capacity: {results.conjecture.verdict}. {results.conjecture.text}".strip(), *longer)

