"""All claims by id, the choice of some, and whether the studies as they stand can bear on them.

Owns the list and what is refused before anything runs. Refuses to know what a claim says, and to run anything.
"""

from collections.abc import Iterator, Mapping, Sequence

from sweeps.claims import behaviour, zhang
from sweeps.claims.claim import FIRST, Cell, Claim
from sweeps.records import TRANSFER, rung_name
from sweeps.study import Study
from trainable.config import nearest
from trainable.diagnostics import DIAGNOSTICS
from trainable.errors import StudyError

CLAIMS: dict[str, Claim] = {claim.id: claim for claim in sorted(
    (*zhang.CLAIMS, *behaviour.CLAIMS), key=lambda claim: (claim.id[0] != "Z", int(claim.id[1:])))}
"""Zhang et al.'s (Z), then Carratino et al.'s (C). Z11 needs speech and tabular data, C1 is an identity and a test."""


def select(ids: Sequence[str]) -> list[Claim]:
    """These claims in the order of the list; all for none. StudyError names each that there is not."""
    wanted = [each.upper() for each in ids]
    unknown = [f"{each}: is no claim{nearest(each, tuple(CLAIMS))}; they are {', '.join(CLAIMS)}"
               for each in wanted if each not in CLAIMS]
    if unknown:
        raise StudyError("\n".join(unknown))
    return [claim for claim in CLAIMS.values() if claim.id in wanted or not wanted]


def studies_of(claims: Sequence[Claim]) -> tuple[str, ...]:
    """The studies that these claims read, each once."""
    return tuple(dict.fromkeys(study for claim in claims for study in claim.studies))


def cells_of(claims: Sequence[Claim], study: str) -> tuple[Cell, ...]:
    """All that these claims read of one study, each once."""
    return tuple(dict.fromkeys(cell for claim in claims for cell in claim.cells if cell.study == study))


def refuse(claims: Sequence[Claim], studies: Mapping[str, Study]) -> None:
    """Raises StudyError with everything that a study lacks of what a claim reads, one a line."""
    told = [f"{claim.id}: {why}" for claim in claims for cell in claim.cells for why in lacks(cell, studies[cell.study])]
    if told:
        raise StudyError("\n".join(dict.fromkeys(told)))


def lacks(cell: Cell, study: Study) -> Iterator[str]:
    """Why the study can never have this cell."""
    arms = (*map(rung_name, study.measure.alphas), *study.measure.arms)
    diagnostic, _, rest = cell.metric.partition("/")
    needed = {cell.arm, rest.partition("/")[2]} if diagnostic == TRANSFER else {cell.arm}
    for arm in sorted(needed - set(arms)):
        key = "measure.alphas" if arm.startswith("alpha ") else "measure.arms"
        yield f"study {study.name} lacks the arm {arm} ({key}), which the claim compares"
    if diagnostic in (*DIAGNOSTICS, TRANSFER) and diagnostic not in study.diagnostics:
        yield f"study {study.name} lacks the diagnostic {diagnostic} (diagnostics), from which the claim is read"
    if cell.capacity == FIRST and len(study.capacities) < 2:
        yield f"study {study.name} has one capacity (model.capacity), and the claim compares the first with the last"
