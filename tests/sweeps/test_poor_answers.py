"""Replicates that failed, and results that are none, one, tied or constant: from the records of a ledger to page and pictures."""

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.analysis.assemble import analyse
from sweeps.analysis.results import StudyResults
from sweeps.charts.picture import picture
from sweeps.figures import figures
from sweeps.records import FAILED, TrialRecord
from sweeps.report import page
from sweeps.tables import headline, ladder_table, markdown_table

MADE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "analysis" / "trial_records.py")))
SPLITS = 5
Trials = list[TrialRecord]


def answer(trials: Trials) -> StudyResults:
    return analyse(MADE.Study(measure=MADE.Measure(splits=SPLITS)), trials, {}, [], MADE.predictions, MADE.LABELS_N)


def whole() -> Trials:
    """Every rung on five splits, at both capacities."""
    cells = [(capacity, alpha, split) for capacity in MADE.SIZES for alpha in MADE.ALPHAS for split in range(1, SPLITS + 1)]
    return [MADE.rung(number, *cell) for number, cell in enumerate(cells, start=1)]


def failed(trial: TrialRecord) -> TrialRecord:
    return replace(trial, state=FAILED, failure_class="CRASHED", failure_text="Boom", metrics={}, predictions_path=None)


def without(alpha: float, *splits: int) -> Trials:
    """The whole study, but at this alpha of the large capacity the trials of these splits failed."""
    return [failed(trial) if (trial.capacity, trial.setting["alpha"]) == ("width=1", alpha) and trial.split in splits else trial
            for trial in whole()]


def test_a_rung_of_which_three_of_five_failed_is_flagged_left_out_and_never_averaged_in_silence() -> None:
    found = answer(without(1.0, 1, 2, 3))
    result = found.capacities[1]
    point = result.point(1.0)
    assert (point.num_trials, point.num_splits, point.missing) == (2, 2, 3)
    assert 1.0 not in result.sweet_error.alphas_in_set
    assert result.sweet_error.alpha != 1.0, "though it would be the best, as the next test shows"
    assert any("width=1: results are missing (3 at alpha 1)" in note for note in found.notes)
    assert any("width=1: alpha 1 left out of the sweet spot" in note for note in found.notes)
    assert "3 trials of the measure stage failed: 3 CRASHED." in found.notes
    whole_point = answer(whole()).capacities[1].point(1.0)
    assert point.val_error.high - point.val_error.low > 2 * (whole_point.val_error.high - whole_point.val_error.low)
    said = page(found)
    assert "left out of the sweet spot" in said
    rows = [row for row in ladder_table(found).rows if row[0] == "width=1"]
    assert any("2" in row for row in rows), "n stands beside each number"


def test_a_rung_that_lacks_two_of_five_is_compared_on_what_it_has_and_flagged() -> None:
    whole_spot, spot = answer(whole()).capacities[1].sweet_error, answer(without(1.0, 1, 2)).capacities[1].sweet_error
    assert whole_spot.alpha == spot.alpha == 1.0
    assert spot.gain_over_erm.high - spot.gain_over_erm.low > whole_spot.gain_over_erm.high - whole_spot.gain_over_erm.low
    assert any("results are missing (2 at alpha 1)" in note for note in answer(without(1.0, 1, 2)).notes)


def constant(trials: Trials) -> Trials:
    return [replace(trial, metrics=dict.fromkeys(trial.metrics, 0.1)) for trial in trials]


def tied(trials: Trials) -> Trials:
    """Every rung of a split has the same errors."""
    return [replace(trial, metrics=dict.fromkeys(trial.metrics, 0.01 * trial.split)) for trial in trials]


POOR: dict[str, Callable[[], Trials]] = {
    "no trial": list, "all failed": lambda: [failed(trial) for trial in whole()], "one trial": lambda: whole()[:1],
    "one split": lambda: [trial for trial in whole() if trial.split == 1],
    "one alpha": lambda: [trial for trial in whole() if trial.setting["alpha"] == 1.0],
    "one of five of each": lambda: [trial if trial.split == 1 else failed(trial) for trial in whole()],
    "constant": lambda: constant(whole()), "tied": lambda: tied(whole()),
    "not numbers": lambda: [replace(trial, metrics=dict.fromkeys(trial.metrics, float("nan"))) for trial in whole()]}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", POOR.values(), ids=POOR)
def test_too_little_to_judge_is_not_enough_data_everywhere(make: Callable[[], Trials]) -> None:
    found = answer(make())
    assert {result.sweet_error.verdict for result in found.capacities} == {"not enough data"}
    assert found.conjecture.verdict == "undecided"
    for result in found.capacities:
        assert result.sweet_error.gain_over_erm is None
    assert markdown_table(found).count("not enough data") == len(found.capacities)
    assert sum("Not enough data" in sentence for sentence in headline(found)) == len(found.capacities)
    said = page(found)
    assert "Not enough data" in said
    for drawn in figures(found).values():
        assert "NaN" not in drawn.to_json()
    assert picture(found).startswith("<svg")
