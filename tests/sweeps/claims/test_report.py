"""What is written: RESULTS.md and pictures from simulated verdicts, and the words for numbers."""

import json
import math
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from sweeps.claims.claim import NATS, POINTS, RATIO, SHARE, Cell
from sweeps.claims.picture import LONGEST, picture
from sweeps.claims.record import cell_entry, claim_entry, merged, study_entry
from sweeps.claims.registry import CLAIMS
from sweeps.claims.report import markdown
from sweeps.claims.text import claimed_text, effect_text, mean_text, metric_heading
from sweeps.claims.verdict import judge
from sweeps.records import FAILED, FINISHED
from sweeps.study import load_study
from tests.sweeps.claims.evidences import effect_of, evidence
from tests.sweeps.fake_trials import trial

STEPS = (-0.011, -0.01, -0.009, -0.01)


def entry(name: str, per_split=STEPS) -> dict:
    claim = CLAIMS[name]
    found = effect_of(claim, per_split)
    return claim_entry(judge(claim, found), found, f"mixup-sweep claims {name}")


def run(name: str) -> dict:
    trials = [trial(id=1, state=FINISHED, num_parameters=42_700, provenance={"torch": "2.5"}, capacity="width=1"),
              trial(id=2, state=FAILED)]
    attempts = [SimpleNamespace(started_at=0.0, ended_at=30.0), SimpleNamespace(started_at=100.0, ended_at=160.0),
                SimpleNamespace(started_at=200.0, ended_at=None)]
    return study_entry(load_study(name), "what it asks", trials, attempts, 2)  # type: ignore[arg-type]


def book(*names: str) -> dict:
    return merged({}, [entry(name) for name in names], [run(study) for name in names for study in CLAIMS[name].studies])


WHOLE = markdown(book(*CLAIMS))


def test_every_claim_says_what_was_asked_run_found_and_by_which_command() -> None:
    sections = WHOLE.split("\n## ")[1:]
    assert [each.partition(":")[0] for each in sections] == list(CLAIMS)
    for claim, text in zip(CLAIMS.values(), sections, strict=True):
        assert claim.says in text
        assert claim.supported_by in text
        assert f"({claim.id}.svg)" in text
        assert f"```bash\nmixup-sweep claims {claim.id}\n```" in text
        assert all(f"Study `{study}`: digits, 1000 training, 297 validation examples" in text for study in claim.studies)
        assert "torch 2.5" in text
        assert "1 trial, 1 failed, 1.5 minutes of trials" in text


def test_no_cell_of_a_table_is_empty_and_all_rows_are_as_wide_as_their_heading() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", WHOLE, re.MULTILINE)
    assert len(tables) > 2 * len(CLAIMS)
    for table in tables:
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
        assert len({len(row) for row in rows}) == 1
        assert all(all(row) for row in rows), table


def test_the_verdict_stands_with_its_effect_and_explanation() -> None:
    text = markdown(book("Z4"))
    assert "## Z4: supported" in text
    assert "-1.0 [-1.1, -0.9] points" in text.replace("-1.00 [-1.13, -0.87]", "-1.0 [-1.1, -0.9]")
    assert "Not tested: The other half" in text
    against = markdown(merged({}, [entry("Z4", (0.2, 0.21, 0.2, 0.21))], [run("claims-clean")]))
    assert "## Z4: contradicted" in against
    assert CLAIMS["Z4"].explains["contradicted"] in against
    assert "## Z4: undecided at this budget" in markdown(merged({}, [entry("Z4", (-0.3, 0.4, 0.1, 0.2))], [run("claims-clean")]))


def test_other_data_than_the_shipped_get_no_explanation_that_was_written_for_those() -> None:
    against = merged({}, [entry("Z4", (0.2, 0.21, 0.2, 0.21))], [{**run("claims-clean"), "data": "fashion_mnist"}])
    assert CLAIMS["Z4"].explains["contradicted"] not in markdown(against)


def test_disjoint_splits_are_told() -> None:
    disjoint = merged({}, [entry("Z4")], [{**run("claims-clean"), "split_kind": "disjoint"}])
    assert "validation examples a split (splits disjoint)" in markdown(disjoint)
    assert "(splits disjoint)" not in WHOLE


def test_a_part_that_could_not_be_judged_says_why() -> None:
    claim = CLAIMS["Z4"]
    found = {"claims-clean": evidence("claims-clean", {("alpha 0", "train_clean/error"): [0.1, 0.2]})}
    text = markdown(merged({}, [claim_entry(judge(claim, found), found, "c")], [run("claims-clean")]))
    assert "Nothing was measured of train_clean/error of alpha 1e+06 in claims-clean." in text
    assert "| - |" in text


def test_the_summary_counts_what_the_further_parts_say() -> None:
    row = next(line for line in WHOLE.splitlines() if line.startswith("| Z4 |"))
    assert "supported" in row
    assert "1 undecided" in row, "in the simulation all further parts are exactly 0"


def test_what_comes_from_a_study_cannot_break_a_table_or_the_fence() -> None:
    spoiled = entry("Z4")
    spoiled["measured"][0]["arm"] = "a|b <script> `c`"
    text = markdown(merged({}, [spoiled], [run("claims-clean")]))
    assert "a\\|b &lt;script&gt; \\`c\\`" in text


def test_claims_of_an_earlier_run_stay_and_orphaned_studies_go() -> None:
    known = book("Z3", "Z4")
    again = merged(known, [entry("Z4", (0.2, 0.21, 0.2, 0.21))], [run("claims-clean")])
    assert [each["verdict"] for each in again["claims"].values()] == ["supported", "contradicted"]
    renamed = {**entry("Z4"), "studies": ["claims-clean-toy"]}
    assert set(merged(known, [renamed], [{**run("claims-clean"), "study": "claims-clean-toy"}])["studies"]) == {
        "claims-epochs", "claims-clean-toy"}


def test_the_book_is_plain_json_and_gives_the_same_text() -> None:
    made = book(*CLAIMS)
    assert markdown(json.loads(json.dumps(made, allow_nan=False))) == WHOLE


@pytest.mark.parametrize(("metric", "values", "shown"), [
    ("val/error", [0.0, 0.02], (0.01, 0.0, 0.137)), ("gap/error", [0.0, 0.02], (0.01, -0.117, 0.137)),
    ("val/error", [0.9, 1.0], (0.95, 0.315, 1.0)), ("test/entropy", [0.9, 1.1], (1.0, 0.0, 2.271))])
def test_the_interval_of_a_mean_ends_where_the_metric_does(metric: str, values: list[float], shown) -> None:
    cell = Cell(study="s", arm="alpha 0", metric=metric)
    assert cell_entry(cell, evidence("s", {("alpha 0", metric): values}))["mean"] == pytest.approx(list(shown), abs=1e-3)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_picture_is_sound_and_has_every_part(name: str) -> None:
    made = entry(name)
    made["parts"][0]["says"] = "<a & b>"
    drawn = ElementTree.fromstring(picture(made))
    texts = ["".join(each.itertext()) for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) == 2 + 2 * len(made["parts"])
    assert "<a & b>" in texts


def test_a_picture_shows_where_the_claim_lies_and_where_the_interval_does() -> None:
    bar = re.search(r'<rect x="([\d.]+)"[^>]* width="([\d.]+)".*?<path d="M([\d.]+) [\d.]+H([\d.]+)"', picture(entry("Z3")))
    assert bar is not None
    left, width, low, high = map(float, bar.groups())
    assert (left, left + width) == (620.0, 760.0), "below 0 is the left half"
    assert left <= low < high <= left + width, "a supported claim lies in it"


@pytest.mark.parametrize(("effect", "unit", "text"), [
    ((-0.032, -0.045, -0.019), POINTS, "-3.2 [-4.5, -1.9] points"), ((0.5, 0.4, 0.6), NATS, "0.500 [0.400, 0.600] nats"),
    ((math.log(0.5), math.log(0.25), math.log(1.0)), RATIO, "0.50 [0.25, 1.00] times"),
    ((0.1, -0.1, 0.3), SHARE, "10 [-10, 30] % of the epochs"), ((0.2, None, None), POINTS, "20.0 points"),
    ((None, None, None), POINTS, "-")])
def test_effects_are_read_in_their_unit(effect, unit: str, text: str) -> None:
    assert effect_text(effect, unit) == text


@pytest.mark.parametrize(("claimed", "unit", "text"), [
    ((None, 0.0), POINTS, "below 0"), ((0.0, None), NATS, "above 0"), ((None, 0.01), POINTS, "below 1 points"),
    ((-0.02, 0.02), POINTS, "-2 to 2 points"), ((None, math.log(1.05)), RATIO, "below 1.05 times"),
    ((None, 0.0), RATIO, "below 1 times"), ((-0.2, 0.2), SHARE, "-20 to 20 % of the epochs")])
def test_where_a_claim_lies_is_read_in_its_unit(claimed, unit: str, text: str) -> None:
    assert claimed_text(claimed, unit) == text


@pytest.mark.parametrize(("metric", "text", "heading"), [
    ("val/error", "12.0 [10.0, 14.0]", "val/error %"), ("memorisation/last", "12.0 [10.0, 14.0]", "memorisation/last %"),
    ("settled/share", "12.0 [10.0, 14.0]", "settled/share %"), ("test/entropy", "0.120 [0.100, 0.140]", "test/entropy"),
    ("transfer/fgsm 16/attacker", "12.0 [10.0, 14.0]", "transfer/fgsm 16/attacker %"),
    ("cost/seconds", "0.120 [0.100, 0.140]", "cost/seconds")])
def test_means_are_read_in_percent_where_they_are_shares(metric: str, text: str, heading: str) -> None:
    assert mean_text((0.12, 0.1, 0.14), metric) == text
    assert metric_heading(metric) == heading


def test_every_part_fits_beside_its_row() -> None:
    assert max(len(part.says) for claim in CLAIMS.values() for part in claim.parts) <= LONGEST
