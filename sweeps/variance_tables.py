"""Where the variance of predictions comes from, as tables of text: components by capacity and alpha, and by true class.

Owns their columns and words. Refuses to know HTML and MLflow, and computes nothing.
"""

from collections.abc import Iterator
from typing import Any

from sweeps.analysis.results import AlphaPoint, CapacityResult, Decomposition, Estimate, StudyResults
from sweeps.quantities import BIAS2, KL_BIAS, KL_VARIANCE, VARIANCE
from sweeps.tables import Table, level_text
from sweeps.theme import alpha_text, estimate, plural

LOSSES = {"squared error": BIAS2.unit, "KL": KL_BIAS.unit}
"""The two decompositions of a point, in their order."""
PARTS = ("bias", "variance", "data", "init", "mixing")


def components_table(results: StudyResults) -> Table:
    """One row per capacity, loss and alpha: bias, variance, and what of it splits, seeds and redraws each explain."""
    rows = [(found.capacity, loss, alpha_text(point.alpha),
             *(estimate(getattr(parts, name), LOSSES[loss]) for name in PARTS), _models(parts))
            for found, point, loss, parts in _decomposed(results)]
    columns = ("capacity", "loss", "alpha", "bias", "variance", "V_data", "V_init", "V_mixing", "models")
    return Table(columns, tuple(rows), frozenset(columns[2:]))


def _decomposed(results: StudyResults) -> Iterator[tuple[CapacityResult, AlphaPoint, str, Decomposition]]:
    for found in results.capacities:
        for number, loss in enumerate(LOSSES):
            for point in found.points:
                if point.decompositions:
                    yield found, point, loss, point.decompositions[number]


def _models(parts: Decomposition) -> str:
    """`12 (4 splits, 8 seeds)`."""
    return f"{parts.num_models} ({plural(parts.num_splits, 'split')}, {plural(parts.num_seeds, 'seed')})"


def components_note(results: StudyResults) -> str:
    """What the columns mean, and what this study's design cannot tell apart."""
    kinds = {identified(parts) for _, _, _, parts in _decomposed(results)}
    return (f"On test predictions; the bias is squared for squared error and contains the noise of the labels. V_data: another "
            f"training split. V_init: another seed on the same split (weights, order, dropout, augmentation). V_mixing: "
            f"pairings, lambdas and boxes redrawn at equal weights and order, so it is 0 at alpha 0. Estimates are unclipped: "
            f"one below 0 is noise about a small part. Intervals ({level_text(results)}) leave each split out once. "
            f"Here: {'; '.join(sorted(kinds))}.")


def identified(parts: Decomposition) -> str:
    """Which components this design tells apart."""
    if parts.data is not None:
        return ("splits, seeds and redraws are told apart" if parts.mixing is not None
                else "V_init contains the noise of mixing (set measure.redraws)")
    if parts.variance is None:
        return "all models share one split, so there is no variance over splits"
    if parts.mixing is not None:
        return "variance less V_mixing is that over splits, initialisation not separated (set measure.seeds)"
    return "variance over splits, initialisation and mixing not separated (set measure.seeds and measure.redraws)"


def class_table(found: CapacityResult) -> Table:
    """One row per alpha and true class of one capacity: bias and variance of both losses."""
    rows = []
    for point in found.points:
        for squared, entropic in zip(*(parts.by_class for parts in point.decompositions), strict=True):
            rows.append((alpha_text(point.alpha), str(squared.label), str(squared.num_examples),
                         estimate(squared.bias, BIAS2.unit), estimate(squared.variance, VARIANCE.unit),
                         estimate(entropic.bias, KL_BIAS.unit), estimate(entropic.variance, KL_VARIANCE.unit)))
    columns = ("alpha", "true class", "test examples", "bias2", "variance", "KL bias", "KL variance")
    return Table(columns, tuple(rows), frozenset(columns))


def component_columns(results: StudyResults) -> dict[str, list[Any]]:
    """The same as numbers by column, for MLflow; nothing where no predictions were decomposed."""
    rows = [{"capacity": found.capacity, "alpha": point.alpha, "loss": loss, "num_splits": parts.num_splits,
             "num_seeds": parts.num_seeds, "num_models": parts.num_models, "identified": identified(parts),
             **{key: value for name in PARTS for key, value in _numbers(name, getattr(parts, name)).items()}}
            for found, point, loss, parts in _decomposed(results)]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def _numbers(name: str, found: Estimate | None) -> dict[str, float | None]:
    column = name if name in ("bias", "variance") else f"v_{name}"
    values = (found.value, found.low, found.high) if found else (None, None, None)
    return dict(zip((column, f"{column}_low", f"{column}_high"), values, strict=True))
