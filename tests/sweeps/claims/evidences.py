"""Evidence for tests, made from numbers: what each arm measured on each split."""

import math
from collections.abc import Mapping, Sequence

from sweeps.claims.claim import Cell, Claim
from sweeps.claims.evidence import Evidence


def evidence(study: str, table: Mapping[tuple[str, str], Sequence[float]], *, planned: int | None = None,
             capacities: Sequence[str] = ("width=1",), overlap: float = 0.0) -> Evidence:
    """`table`: (arm, metric) -> a value a split from split 1 on, at every capacity; a NaN is a split without a result."""
    cells = {(capacity, arm, metric): {split: value for split, value in enumerate(values, start=1) if not math.isnan(value)}
             for capacity in capacities for (arm, metric), values in table.items()}
    return Evidence(study=study, capacities=tuple(capacities), cells=cells, overlap=overlap,
                    planned=planned if planned is not None else max(map(len, table.values())))


def effect_of(claim: Claim, per_split: Sequence[float], base: float = 1.0) -> dict[str, Evidence]:
    """Evidence in which the claim's primary contrast is `per_split`, exactly: its first cell carries it, all others are `base`."""
    weight, first = claim.parts[0].terms[0]
    others = sum(other for other, _ in claim.parts[0].terms) * base
    found: dict[str, dict[tuple[str, str, str], dict[int, float]]] = {study: {} for study in claim.studies}
    for cell in claim.cells:
        found[cell.study][key(cell)] = dict.fromkeys(range(1, len(per_split) + 1), base)
    found[first.study][key(first)] = {split: base + (value - others) / weight for split, value in enumerate(per_split, start=1)}
    return {study: Evidence(study=study, capacities=("first", "last"), cells=cells, planned=len(per_split), overlap=0.0)
            for study, cells in found.items()}


def key(cell: Cell) -> tuple[str, str, str]:
    return cell.capacity, cell.arm, cell.metric
