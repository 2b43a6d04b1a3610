"""The words beside a sweet spot."""

import runpy
from dataclasses import replace
from pathlib import Path

from sweeps.analysis.results import Conjecture, Curve, Estimate, Refined, Slopes
from sweeps.inference_tables import interactions_note, interactions_table, refined_text, slopes_text
from sweeps.report import page
from sweeps.tables import headline

FAKE = runpy.run_path(str(Path(__file__).with_name("fake_results.py")))
RICH = FAKE["full"]()
CURVE = Refined(alpha=1.7, low=1.1, high=2.6, method="Gaussian process",
                curve=Curve(epsilons=(0.0, 0.45), values=(0.1, 0.05), lows=(0.08, 0.04), highs=(0.12, 0.06)))
TRAINING = Conjecture(interaction=Estimate(0.02, 0.01, 0.03), verdict="supported", text="Longer helps <mixup> more.")


def test_alpha_between_the_rungs_is_told_with_its_curve_or_the_reason_why_there_is_none() -> None:
    found = RICH.capacities[0]
    assert refined_text(found, "val/error") == ""
    refined = replace(found, sweet_error=replace(found.sweet_error, refined=CURVE))
    assert refined_text(refined, "val/error") == "Between the rungs: alpha* = 1.7 [1.1, 2.6] (Gaussian process)."
    bare = replace(found, sweet_error=replace(found.sweet_error, why_not_refined="no curve fits"))
    assert refined_text(bare, "val/error") == "Not refined between the rungs: no curve fits."


def test_interactions_are_a_table_with_the_number_of_trials_behind_them() -> None:
    found = replace(RICH, interactions={"width=1": {"dropout": Estimate(0.02, -0.01, 0.05)}})
    table = interactions_table(found)
    count = sum(trial.capacity == "width=1" and trial.value is not None for trial in RICH.search)
    assert table.rows == (("width=1", "dropout", "2.0 [-1.0, 5.0]", str(count)),)
    assert "holds 0 shows nothing" in interactions_note(found)
    assert interactions_table(RICH).rows == ()


def test_the_page_shows_all_of_it_escaped_and_nothing_where_there_is_nothing() -> None:
    slopes = Slopes(bias=Estimate(0.1), variance=Estimate(-0.1), cancel=None, text="They cancel.")
    first = replace(RICH.capacities[0], slopes=slopes,
                    sweet_error=replace(RICH.capacities[0].sweet_error, refined=CURVE))
    full = page(replace(RICH, capacities=(first, *RICH.capacities[1:]), training=TRAINING,
                        interactions={"width=1": {"dropout": Estimate(0.02, -0.01, 0.05)}}))
    for words in ("Between the rungs", "And longer training?", "Longer helps &lt;mixup&gt; more.", "Interactions with alpha"):
        assert words in full
        assert words not in page(RICH)
    assert slopes_text(first) == "On test predictions: they cancel."
    assert headline(replace(RICH, training=TRAINING))[-1].startswith("Epochs: supported. ")
