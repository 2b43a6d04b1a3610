"""The sentences beside the numbers."""

import itertools
from types import SimpleNamespace

from sweeps.analysis import notes
from sweeps.analysis.ladder import build_ladder
from sweeps.records import Decision


def ladders(made: SimpleNamespace, trials: list, **measure: int) -> list:
    return [build_ladder(capacity, trials, made.Measure(**measure)) for capacity in made.SIZES]


def test_disjoint_splits_and_seeds_are_named(made: SimpleNamespace) -> None:
    told = " ".join(notes.on_randomness(ladders(made, made.whole_ladder()), made.Measure(seeds=2)))
    assert "mean of 2 seeds" in told
    assert "share no examples" in told
    assert "Test metrics chose nothing" in told
    assert notes.on_randomness(ladders(made, []), made.Measure()) == []


def test_overlapping_splits_name_their_correction_and_guessed_sizes(made: SimpleNamespace) -> None:
    config = {"alpha": 0.0, "split_kind": "holdout", "train_size": 100, "val_size": 30}
    told = " ".join(notes.on_randomness(ladders(made, [made.trial(1, config=config)]), made.Measure()))
    assert "1/S + 0.3 (Nadeau-Bengio)" in told
    unknown = made.trial(1, config={"alpha": 0.0, "split_kind": "holdout"})
    assert "default sizes" in " ".join(notes.on_randomness(ladders(made, [unknown]), made.Measure()))


def test_progress_and_failures_are_counted(made: SimpleNamespace) -> None:
    trials = made.whole_ladder()
    assert notes.on_progress(trials, ladders(made, trials)) == []
    trials[0] = made.rung(1, "width=0.25", 0.0, 1, state="FAILED", failure_class="OOM")
    trials.append(made.trial(99, stage="search", state="FAILED", failure_class="DIVERGED"))
    assert notes.on_progress(trials, ladders(made, trials)) == [
        "31 of 32 planned trials of the ladder have a result.", "1 trials of the measure stage failed: 1 OOM.",
        "1 trials of the search stage failed: 1 DIVERGED."]


def test_gaps_left_out_rungs_divergence_and_strays_are_told(made: SimpleNamespace) -> None:
    trials = [trial for trial in made.whole_ladder() if trial.capacity == "width=1"]
    trials = [trial for trial in trials if not (trial.setting["alpha"] == 10.0 and trial.split > 1)]
    trials.append(made.rung(98, "width=1", 10.0, 2, state="FAILED", failure_class="DIVERGED"))
    trials.append(made.rung(99, "width=1", 0.0, 1, setting={"alpha": 0.0, "dropout": 0.4}))
    ladder = build_ladder("width=1", trials, made.Measure())
    told = notes.on_gaps(ladder, {}, "val/error", trials)
    for words in ("missing (3 at alpha 10)", "alpha 10 left out of the sweet spot", "diverged at alpha 10",
                  "1 trials were measured at another setting"):
        assert any(words in note for note in told), words
    assert notes.on_gaps(build_ladder("none", [], made.Measure()), {}, "val/error", []) == []


def test_troubles_of_trials_are_told_and_those_beyond_ten_counted(made: SimpleNamespace) -> None:
    noted = [Decision(id=number, trial_id=1, kind="noted", at=0.0, detail={"text": f"note {number}"}) for number in range(12)]
    told = notes.on_trouble(noted, [made.trial(1)])
    assert told[0] == "trial key1: note 0"
    assert len(told) == 11
    assert told[-1] == "... and 2 more such notes."
    assert notes.on_trouble([], []) == []


def test_what_pairing_saves_is_the_ratio_of_the_variances_over_all_pairs(made: SimpleNamespace) -> None:
    trials = [trial for trial in made.whole_ladder() if trial.capacity == "width=1"]
    ladder = build_ladder("width=1", trials, made.Measure())
    table_SA = ladder.table({}, "val/error")
    pairs = list(itertools.combinations(table_SA.T, 2))
    ratio = sum(one.var() + two.var() for one, two in pairs) / sum((one - two).var() for one, two in pairs)
    [note] = notes.on_pairing(ladder, {}, "val/error")
    assert f"has 1/{ratio:.2g} of the variance" in note
    assert "n = 4 splits" in note
    fewer = build_ladder("width=1", [trial for trial in trials if trial.split <= 3], made.Measure())
    assert notes.on_pairing(fewer, {}, "val/error") == []
    assert notes.on_pairing(build_ladder("none", [], made.Measure()), {}, "val/error") == []
