"""What a study found, in words and in cells."""

import math
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps import tables
from sweeps.tables import Table

FAKE = runpy.run_path(str(Path(__file__).with_name("fake_results.py")))
FULL, POOR = FAKE["full"](), FAKE["poor"]()


def row(results=FULL, index: int = 0) -> dict[str, str]:
    table = tables.headline_table(results)
    return dict(zip(table.columns, table.rows[index], strict=True))


def test_the_headline_row_holds_the_risks_at_alpha_star_beside_those_of_plain_training() -> None:
    assert row() == {
        "capacity": "width=0.25", "parameters": "6.22 k", "alpha*": "1", "interval": "[0.18, 5.5]", "verdict": "bracketed",
        "val error %": "6.1 [5.3, 6.9]", "ERM val error %": "10.8 [9.8, 11.8]", "test error %": "5.7 [5.0, 6.4]",
        "ERM test error %": "10.4 [9.6, 11.2]", "bias2": "0.071 [0.067, 0.075]", "variance": "0.037 [0.032, 0.042]", "n": "4"}


def test_a_study_of_losses_is_read_in_nats_and_decomposed_by_divergence() -> None:
    found = row(POOR["loss"])
    assert found["val loss nats"] == "0.371 [0.341, 0.401]"
    assert found["bias"] == "0.282 [0.262, 0.302]", "the KL bias, not the squared one"


def test_every_number_of_the_curves_is_in_the_ladder_table() -> None:
    ladder = tables.ladder_table(FULL)
    assert len(ladder.rows) == 21
    assert len(ladder.columns) == len(set(ladder.columns)) == len(ladder.rows[0])
    assert ladder.numeric == set(ladder.columns[1:])


@pytest.mark.parametrize(("name", "said"), [
    ("one capacity", "alpha* = 1 [0.18, 5.5], bracketed. A sweet spot inside the ladder."),
    ("flat", "alpha* = 1 [0, 32], flat. Any alpha from 0 to 32 may be the best."),
    ("erm best", "alpha* = 0 [0, 0.17], edge. The range of the best alpha includes plain training (ERM)."),
    ("one trial", "alpha* = 1 [0.18, 5.5], bracketed. A sweet spot inside the ladder."),
    ("not measured", "Not enough data: 0 splits measured so far."),
    ("one alpha", "Not enough data: 4 splits measured so far."),
])
def test_each_verdict_has_its_sentence(name: str, said: str) -> None:
    found = POOR[name]
    assert tables.verdict_text(found.capacities[0], found.objective) == said


def test_an_upper_edge_is_told_from_a_lower_one() -> None:
    assert tables.meaning(FULL.capacities[2], "val/error") == "The range of the best alpha reaches the end of the ladder."


def test_no_gain_is_told_without_interval_probability_and_n() -> None:
    assert tables.risk_text(FULL.capacities[0], "val/error") == (
        "Validation error 6.1 [5.3, 6.9] %, 4.7 [3.6, 5.8] points below plain training, P(better) > 0.99; n = 4 splits.")


@pytest.mark.parametrize(("chance", "said"), [
    (0.987, "P(better) = 0.99"), (0.9999, "P(better) > 0.99"), (0.5, "P(better) = 0.50"), (0.001, "P(better) < 0.01")])
def test_a_probability_is_never_written_as_certainty(chance: float, said: str) -> None:
    spot = replace(FULL.capacities[0].sweet_error, p_beats_erm=chance)
    assert tables.gain_text(spot, "val/error").endswith(said)


def test_plain_training_has_no_gain_over_itself() -> None:
    assert tables.gain_text(POOR["erm best"].capacities[0].sweet_error, "val/error") == ""


def test_a_gain_below_zero_is_told_as_a_loss() -> None:
    spot = replace(FULL.capacities[0].sweet_error, gain_over_erm=FAKE["Estimate"](-0.02), p_beats_erm=None)
    assert tables.gain_text(spot, "val/error") == "2.0 points above plain training"


def test_the_headline_is_a_sentence_per_capacity_and_one_on_the_conjecture() -> None:
    sentences = tables.headline(FULL)
    assert len(sentences) == 4
    assert all("n = 4 splits" in sentence for sentence in sentences[:3])
    assert sentences[-1].startswith("Capacity: supported.")


@pytest.mark.parametrize("name", sorted(POOR))
def test_a_poor_answer_has_words_and_cells_too(name: str) -> None:
    results = POOR[name]
    assert all(tables.headline(results))
    for table in (tables.headline_table(results), tables.ladder_table(results), tables.counts_table(results),
                  tables.provenance_table(results), tables.arms_table(results)):
        assert all(len(line) == len(table.columns) for line in table.rows)
        assert not any("nan" in cell.lower() or "None" in cell for line in table.rows for cell in line)
    assert tables.markdown_table(results).startswith("| capacity |")


@pytest.mark.parametrize("name", ["empty", "search only", "not measured", "all failed", "nan", "one alpha"])
def test_an_answer_without_data_says_so(name: str) -> None:
    assert "not enough data" in tables.headline(POOR[name])[0].lower()


def test_markdown_escapes_whatever_could_end_a_cell_or_start_markup() -> None:
    table = Table(("a|b", "c"), (("x|y\nz", "<b>`*_"),), frozenset({"c"}))
    assert table.markdown().splitlines() == [r"| a\|b | c |", "| --- | ---: |", r"| x\|y z | &lt;b&gt;\`\*\_ |"]
    assert "<script" not in tables.markdown_table(POOR["hostile"]) + tables.markdown_headline(POOR["hostile"])


def test_nested_provenance_gets_dotted_names_and_lists_their_values() -> None:
    found = replace(FULL, provenance={"versions": {"torch": "2.8"}, "device": ["cpu", "cuda"], "hours": 0.12345})
    assert tables.provenance_table(found).rows == (("versions.torch", "2.8"), ("device", "cpu, cuda"), ("hours", "0.123"))


def test_the_level_is_that_of_the_study() -> None:
    spot = replace(FULL.capacities[0].sweet_error, level=0.9)
    assert tables.level_text(replace(FULL, capacities=(replace(FULL.capacities[0], sweet_error=spot),))) == "90 %"
    assert tables.level_text(POOR["empty"]) == "95 %"
    assert not math.isnan(FULL.capacities[0].sweet_error.level)


def test_a_study_without_arms_has_no_table_of_them() -> None:
    assert tables.arms_table(FULL).rows == ()
    assert tables.markdown_table(FULL).count("| capacity |") == 1


def test_arms_stand_below_the_rungs_with_their_difference_from_plain_training() -> None:
    found = tables.arms_table(POOR["arms"])
    rows = [dict(zip(found.columns, line, strict=True)) for line in found.rows]
    assert len(rows) == 3 * (7 + 3)
    assert rows[0] | {"val error %": "", "test error %": ""} == {
        "capacity": "width=0.25", "arm": "alpha 0", "sets": "alpha 0", "val error %": "", "minus alpha 0, points": "-",
        "best set": "out", "test error %": "", "n": "4"}
    whole, lacking, twin = rows[7:10]
    assert (whole["arm"], whole["minus alpha 0, points"], whole["best set"]) == ("mixup + dropout 0.7", "-5.0 [-6.1, -3.9]", "in")
    assert (lacking["best set"], lacking["n"]) == ("-", "3, 1 missing")
    assert twin["sets"].endswith("(the trials of mixup + dropout 0.7)")
    assert "| mixup + dropout 0.7 |" in tables.markdown_table(POOR["arms"])
    assert "validation error from plain training" in tables.arms_note(POOR["arms"])


def test_the_difference_of_arms_is_read_in_the_unit_of_the_objective() -> None:
    found = tables.arms_table(replace(POOR["arms"], objective="val/loss"))
    assert found.columns[2:4] == ("val loss nats", "minus alpha 0, nats")
    assert found.rows[7][3] == "-0.050 [-0.061, -0.039]"


def test_without_a_ladder_the_sentences_say_that_there_is_none() -> None:
    sentences = tables.headline(POOR["no ladder"])
    assert sentences[0] == "width=0.25: There is no ladder of alphas: its arms are compared with plain training."
    assert sentences[-1] == "Capacity: undecided. There is no ladder of alphas to see it on."
    assert row(POOR["no ladder"])["alpha*"] == "-"
    assert row(POOR["no ladder"])["ERM val error %"] == row()["ERM val error %"]
