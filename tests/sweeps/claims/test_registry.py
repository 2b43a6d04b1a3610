"""The registry is complete, its studies hold what its claims read, and what they lack is refused before anything runs."""

from dataclasses import replace

import pytest

from sweeps.claims.claim import FIRST
from sweeps.claims.registry import CLAIMS, cells_of, lacks, refuse, select, studies_of
from sweeps.study import load_study, studies_shipped
from trainable.errors import StudyError

STUDIES = {name: load_study(name) for name in studies_of(select([]))}


def test_every_claim_of_the_list_is_there() -> None:
    assert list(CLAIMS) == [*(f"Z{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)), "C2", "C3", "C4", "C5"]


def test_every_study_of_claims_that_ships_is_read_by_one_and_is_small() -> None:
    assert set(STUDIES) == {name for name in studies_shipped() if name.startswith("claims-")}
    assert sum(study.measure.num_trials * len(study.capacities) for study in STUDIES.values()) <= 500
    assert all(study.search.max_trials == 0 for study in STUDIES.values())


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_its_studies_hold_what_a_claim_reads(claim) -> None:
    assert not [why for cell in claim.cells for why in lacks(cell, STUDIES[cell.study])]
    assert all(text.endswith(".") for text in (claim.says, claim.supported_by, *claim.explains.values()))
    assert set(claim.explains) <= {"supported", "contradicted", "undecided"}
    assert {"contradicted", "undecided"} <= set(claim.explains), "a claim that fails is told what may be behind it"


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_contrasts_are_of_differences(claim) -> None:
    assert all(sum(weight for weight, _ in part.terms) == pytest.approx(0.0, abs=1e-9) for part in claim.parts)


def test_every_arm_of_the_studies_is_read_by_a_claim() -> None:
    for name, study in STUDIES.items():
        read = {cell.arm for cell in cells_of(select([]), name)} | {"attacker"}
        assert set(study.measure.arms) <= read, name


def test_some_are_chosen_in_the_order_of_the_list() -> None:
    assert [claim.id for claim in select(["c3", "Z1"])] == ["Z1", "C3"]
    assert select([]) == list(CLAIMS.values())


@pytest.mark.parametrize(("wanted", "part"), [("Z11", "Z11: is no claim"), ("C9", "they are Z1, Z2")])
def test_an_unknown_claim_is_refused(wanted: str, part: str) -> None:
    with pytest.raises(StudyError, match=part):
        select([wanted])


@pytest.mark.parametrize(("claim", "study", "change", "part"), [
    ("Z9", "claims-arms", "measure.arms=null", "lacks the arm inputs only (measure.arms)"),
    ("Z4", "claims-clean", "measure.alphas=[0, 1]", "lacks the arm alpha 1e+06 (measure.alphas)"),
    ("Z6", "claims-clean", "diagnostics=[jacobian]", "lacks the diagnostic robustness"),
    ("Z6", "claims-clean", "diagnostics=[robustness]", "lacks the diagnostic transfer"),
    ("Z2", "claims-ladder", "model.capacity=null", "has one capacity (model.capacity)"),
])
def test_a_study_that_lacks_what_a_claim_reads_is_refused(claim: str, study: str, change: str, part: str) -> None:
    changed = load_study(study, [change if "null" not in change or "arms" not in change else "measure.arms={}"])
    with pytest.raises(StudyError) as error:
        refuse(select([claim]), {**STUDIES, study: changed})
    assert f"{claim}: study {study} {part}" in str(error.value)


def test_the_attacker_of_a_transfer_must_be_an_arm() -> None:
    cell = next(cell for cell in CLAIMS["Z6"].cells if cell.metric == "transfer/fgsm 16/attacker")
    assert list(lacks(replace(cell, metric="transfer/fgsm 16/nobody"), STUDIES["claims-clean"])) == [
        "study claims-clean lacks the arm nobody (measure.arms), which the claim compares"]


def test_a_ladder_of_one_step_has_no_first_and_last() -> None:
    cell = replace(CLAIMS["Z3"].cells[0], capacity=FIRST)
    assert "one capacity" in next(lacks(cell, STUDIES["claims-epochs"]))
