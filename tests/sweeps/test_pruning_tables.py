"""The audit of pruning in words and in cells."""

from dataclasses import replace

import pytest

from sweeps.pruning_tables import WRONG, pruning_note, pruning_table
from sweeps.tables import NOT_ENOUGH
from tests.sweeps.fake_pruning import audit


def test_a_row_a_capacity_one_over_all_and_one_a_third_of_alpha() -> None:
    found = pruning_table(audit())
    names = [row[0] for row in found.rows]
    assert names[:3] == ["width=0.25", "width=1", "all"]
    assert [name.partition(" ")[0] for name in names[3:]] == ["alpha"] * 3
    first = dict(zip(found.columns, found.rows[0], strict=True))
    assert {name: first[name] for name in ("trials", "stopped", "epochs saved", "audited", "epochs audited")} == {
        "trials": "30", "stopped": "10", "epochs saved": "60 (10%)", "audited": "5", "epochs audited": "60 (10%)"}
    assert "rank correlation at 40 %" in first
    assert first["rank correlation at 80 %"].endswith(", n = 25")
    assert found.numeric == set(found.columns[1:])


def test_too_few_are_said_and_not_computed() -> None:
    found = pruning_table(audit(4, ("w",)))
    first = dict(zip(found.columns, found.rows[0], strict=True))
    assert first[WRONG] == f"{NOT_ENOUGH} (n = 0)"
    assert first["rank correlation at 40 %"] == f"{NOT_ENOUGH} (n = 3)"


@pytest.mark.parametrize("text", ["50%", "asha", "validation error", "best third", "Fewer than 5", "33%"])
def test_the_note_says_what_the_columns_mean(text: str) -> None:
    assert text in pruning_note(audit(), "val/error")


def test_an_empty_audit_is_an_empty_table() -> None:
    assert pruning_table(replace(audit(), groups=(), terciles=())).rows == ()
