"""What diagnostics found as tables of text."""

import pytest

from sweeps.analysis.findings import Spread
from sweeps.findings_tables import (
    findings_notes,
    findings_table,
    heading,
    scale_of,
    spread_text,
    transfer_note,
    transfer_tables,
)
from tests.sweeps.fake_findings import findings, matrix


def test_a_table_has_a_row_an_arm_and_a_column_a_value_with_n() -> None:
    table = findings_table(findings().capacities[0], "robustness")
    assert table.columns == ("arm", "n", "pgd error 16 (%)")
    assert [row[0] for row in table.rows] == [f"alpha {alpha}" for alpha in ("0", "0.1", "0.3", "1", "3", "10", "32")]
    assert table.rows[0] == ("alpha 0", "2", "55.0 ± 5.0")


def test_a_warning_that_never_came_has_no_column() -> None:
    assert findings_table(findings().capacities[0], "calibration").columns == ("arm", "n", "nll")


def test_a_diagnostic_that_found_nothing_has_no_rows() -> None:
    assert findings_table(findings().capacities[0], "jacobian").rows == ()


@pytest.mark.parametrize(("mean", "error", "scale", "text"), [
    (0.123456, 0.0023, 100.0, "12.35 ± 0.23"), (0.5, 0.1, 1.0, "0.50 ± 0.10"), (1234.0, 56.0, 1.0, "1234 ± 56"),
    (2.0, 0.0, 1.0, "2 ± 0"), (0.25, None, 100.0, "25"), (0.41823, None, 1.0, "0.418"), (0.1, 1e-12, 1.0, "0.100000 ± 0.000000"),
    (0.0999, 0.0996, 1.0, "0.100 ± 0.100")])
def test_the_standard_error_says_how_many_digits_count(mean: float, error: float | None, scale: float, text: str) -> None:
    assert spread_text(Spread(mean=mean, error=error, n=2), scale) == text


def test_what_is_not_known_is_a_dash() -> None:
    assert spread_text(None, 1.0) == "-"


@pytest.mark.parametrize(("name", "scale", "said"), [
    ("robustness/fgsm_error_4", 100.0, "fgsm error 4 (%)"), ("between_samples/miss_same_half", 100.0, "miss same half (%)"),
    ("memorisation/best_oracle", 100.0, "best oracle (%)"), ("calibration/ece_width", 1.0, "ece width"),
    ("jacobian/test_norm", 1.0, "test norm")])
def test_shares_are_read_in_percent(name: str, scale: float, said: str) -> None:
    assert (scale_of(name), heading(name)) == (scale, said)


def test_the_notes_say_what_n_is_and_who_lacks_what() -> None:
    first, second = findings_notes(findings())
    assert "n counts splits" in first
    assert "0.25" in first
    assert second == "robustness: 3 trials of 84 ended without it, before the study asked for it."


def test_the_matrix_is_read_in_percent_by_source_and_target() -> None:
    tables = transfer_tables(findings())
    assert list(tables) == ["no attack", "fgsm 16", "pgd 16"]
    table, shares = tables["pgd 16"]
    assert table.columns == ("made on", "width=1, alpha 0", "width=1, alpha 1")
    assert table.rows == (("width=1, alpha 0", "90.0", "40.0"), ("width=1, alpha 1", "40.0", "90.0"))
    assert shares == [[0.9, 0.4], [0.4, 0.9]]
    assert tables["no attack"][0].rows == (("-", "10.0", "10.0"),)


def test_a_pair_that_was_not_tried_is_a_dash() -> None:
    known = matrix()
    known["attacks"]["pgd 16"] = [[0.9, None], [None, 0.9]]
    found = findings(transfer=known)
    assert transfer_tables(found)["pgd 16"][0].rows[0] == ("width=1, alpha 0", "90.0", "-")
    assert "a pair that was not tried" in transfer_note(found)
    assert "not tried" not in transfer_note(findings())


def test_the_matrix_says_its_epsilon_its_n_and_who_is_left_out() -> None:
    said = transfer_note(findings(transfer={**matrix(), "left_out": ["width=1, alpha 8"]}))
    for part in ("ε in 1/255", "n = 1 replicate", "400 test images", "at most 2.5 points", "1 model left out"):
        assert part in said
    assert transfer_note(findings(transfer=None)) == ""
    assert transfer_tables(findings(transfer=None)) == {}
