"""Arms beside each other: closed forms, simulated truths, and what becomes of missing replicates.

Axes: S splits, A arms.
"""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sweeps.analysis.assemble import analyse
from sweeps.analysis.comparison import best_set, compare_arms, contenders, differences
from sweeps.analysis.ladder import build_ladder
from sweeps.analysis.sweet_spot import sweet_spot
from sweeps.records import FAILED

nan = math.nan
SETS = {"dropout": {"dropout": 0.7}, "both": {"alpha": 8.0, "dropout": 0.7}}


def test_the_difference_is_the_mean_of_the_splits_with_student_s_t_of_one_fewer_degrees() -> None:
    found = differences(np.array([[0.10, 0.08], [0.20, 0.17], [0.30, 0.26]]))
    assert found[0] is None
    assert found[1].value == pytest.approx(-0.03)
    half = 4.302652729911275 * 0.01 / math.sqrt(3)  # t(0.975, 2) x sd of -.02 -.03 -.04 / sqrt 3
    assert (found[1].low, found[1].high) == pytest.approx((-0.03 - half, -0.03 + half), rel=1e-12)


def test_overlapping_splits_widen_the_interval_by_nadeau_and_bengio_s_factor() -> None:
    table = np.random.default_rng(0).normal(size=(5, 2))
    plain, wide = differences(table)[1], differences(table, overlap=0.25)[1]
    assert (wide.high - wide.low) / (plain.high - plain.low) == pytest.approx(math.sqrt((1 / 5 + 0.25) / (1 / 5)))


def test_the_difficulty_of_a_split_cancels() -> None:
    table = np.random.default_rng(1).normal(size=(6, 3))
    moved = differences(table + 100 * np.arange(6)[:, None])
    assert [each.value for each in moved[1:]] == pytest.approx([each.value for each in differences(table)[1:]])


def test_only_splits_with_both_results_are_compared() -> None:
    found = differences(np.array([[0.1, 0.2, nan], [0.1, nan, nan], [nan, 0.9, 0.5], [0.3, 0.5, nan]]))
    assert found[1].value == pytest.approx(0.15)
    assert found[2] is None, "no split has both"


def test_equal_arms_differ_by_nothing_and_have_no_interval() -> None:
    found = differences(np.array([[0.1, 0.1], [0.2, 0.2]]))[1]
    assert (found.value, found.low, found.high) == (0.0, None, None)


def test_the_set_is_that_of_the_sweet_spot_where_all_arms_are_rungs() -> None:
    alphas = (0.0, 0.1, 1.0, 8.0)
    table = 0.02 * np.random.default_rng(2).standard_normal((5, 4)) + np.array([0.2, 0.1, 0.11, 0.2])
    expected = sweet_spot(table, alphas).alphas_in_set
    assert tuple(alpha for alpha, inside in zip(alphas, best_set(table, [True] * 4), strict=True) if inside) == expected


def test_an_arm_that_is_not_judged_neither_gets_a_verdict_nor_changes_the_others() -> None:
    table = 0.01 * np.random.default_rng(3).standard_normal((4, 4)) + np.array([0.2, 0.1, 0.11, 0.0])
    found = best_set(table, [True, True, True, False])
    assert found == [*best_set(table[:, :3], [True] * 3), None]
    assert found[:2] == [False, True], "the best by far takes no part"


@pytest.mark.parametrize("table", [
    np.zeros((0, 2)), np.array([[0.1, 0.2]]), np.array([[0.1, 0.2], [0.1, 0.2]]), np.full((3, 2), nan), np.ones((3, 1))])
def test_too_little_to_judge_gives_no_verdict(table: np.ndarray) -> None:
    assert best_set(table, [True] * table.shape[1]) == [None] * table.shape[1]


def simulated(stream: np.random.Generator, true_A: np.ndarray, num_splits: int = 6) -> np.ndarray:
    """Risks with a split effect common to all arms, and noise of its own in each cell."""
    return true_A + 0.03 * stream.standard_normal((num_splits, 1)) + 0.01 * stream.standard_normal((num_splits, len(true_A)))


def test_a_true_difference_is_recovered_and_covered_as_often_as_said() -> None:
    stream, true_A = np.random.default_rng(4), np.array([0.10, 0.08, 0.085, 0.12])
    draws = [differences(simulated(stream, true_A)) for _ in range(800)]
    for arm in (1, 2, 3):
        truth = true_A[arm] - true_A[0]
        assert np.mean([draw[arm].value for draw in draws]) == pytest.approx(truth, abs=0.001)
        covered = np.mean([draw[arm].low <= truth <= draw[arm].high for draw in draws])
        assert 0.93 <= covered <= 0.97, "800 draws: standard error 0.008"


def test_the_set_holds_the_truly_best_arm_at_least_as_often_as_said() -> None:
    stream, true_A = np.random.default_rng(5), np.array([0.10, 0.08, 0.081, 0.12])
    draws = [best_set(simulated(stream, true_A), [True] * 4) for _ in range(500)]
    assert np.mean([draw[1] for draw in draws]) >= 0.95
    assert np.mean([draw[0] for draw in draws]) < 0.5, "a set that keeps everything would cover too"


def with_arms(made: SimpleNamespace, trials: list) -> SimpleNamespace:
    """A study of the ladder in trial_records with two arms; an arm's configuration is found by its fields."""
    keys = {"dropout": "d", "both": "b"}
    study = made.Study(measure=made.Measure(arms=SETS))
    study.arm_config = lambda capacity, chosen, name: SimpleNamespace(arm_key=lambda: capacity + keys[name])
    return SimpleNamespace(study=study, trials=trials)


def rungs(made: SimpleNamespace) -> list:
    """The whole ladder, each rung with an arm key of its own."""
    return [replace(trial, arm_key=f"{trial.capacity}{trial.config['alpha']}") for trial in made.whole_ladder()]


def arm_trials(made: SimpleNamespace, name: str, key: str, lead: float, capacity: str = "width=1", first: int = 500) -> list:
    """Four trials of an arm, `lead` below alpha 0 of the same split."""
    base = {trial.split: trial for trial in made.whole_ladder() if (trial.capacity, trial.config["alpha"]) == (capacity, 0.0)}
    alpha = SETS[name].get("alpha", 0.0)
    return [made.rung(first + split, capacity, 0.0, split, origin=f"arm: {name}", arm_key=capacity + key,
                      setting={"alpha": alpha, "dropout": 0.7}, config={"alpha": alpha, "dropout": 0.7, "split_kind": "disjoint"},
                      metrics={**base[split].metrics, "val/error": base[split].metrics["val/error"] - lead - 0.001 * split})
            for split in range(1, 5)]


@pytest.fixture
def compared(made: SimpleNamespace) -> SimpleNamespace:
    trials = [*rungs(made), *arm_trials(made, "dropout", "d", 0.05), *arm_trials(made, "both", "b", 0.12, first=600)]
    return with_arms(made, trials)


def results(made: SimpleNamespace, there: SimpleNamespace) -> dict:
    found = analyse(there.study, there.trials, {}, [], made.predictions, made.LABELS_N)
    return {"all": found, **{arm.name: arm for arm in found.capacities[1].arms}}


def test_rungs_and_arms_stand_side_by_side(made: SimpleNamespace, compared: SimpleNamespace) -> None:
    found = results(made, compared)
    assert [arm.name for arm in found["all"].capacities[1].arms] == [
        "alpha 0", "alpha 0.1", "alpha 1", "alpha 10", "dropout", "both"]
    assert [arm.is_rung for arm in found["all"].capacities[1].arms] == [True] * 4 + [False] * 2
    assert found["dropout"].difference.value == pytest.approx(-0.0525)
    assert found["alpha 0"].difference is None
    assert (found["both"].in_set, found["dropout"].in_set, found["alpha 0"].in_set) == (True, False, False)
    assert found["both"].test_error.value == pytest.approx(found["alpha 0"].test_error.value)
    assert {(arm.num_splits, arm.missing) for arm in found["all"].capacities[1].arms} == {(4, 0)}


def test_arms_change_nothing_in_the_answer_of_the_ladder(made: SimpleNamespace, compared: SimpleNamespace) -> None:
    plain = analyse(made.Study(), rungs(made), {}, [], made.predictions, made.LABELS_N)
    found = results(made, compared)["all"]
    assert [replace(each, arms=()) for each in found.capacities] == list(plain.capacities)
    assert found.conjecture == plain.conjecture
    assert all(each.arms == () for each in plain.capacities)


def test_an_arm_that_lacks_replicates_is_flagged_and_not_judged(made: SimpleNamespace, compared: SimpleNamespace) -> None:
    lost = next(trial for trial in compared.trials if trial.origin == "arm: both")
    compared.trials[compared.trials.index(lost)] = replace(lost, state=FAILED, failure_class="DIVERGED")
    found = results(made, compared)
    assert (found["both"].missing, found["both"].num_splits, found["both"].in_set) == (1, 3, None)
    assert found["both"].difference.value == pytest.approx(-0.123), "of the splits that it has"
    assert found["dropout"].in_set is not None
    told = " ".join(found["all"].notes)
    assert "width=1: results of arms are missing (1 of both); such an arm is not judged." in told
    assert "width=1: training diverged in both; what is left of such an arm is a favourable selection." in told
    assert "training diverged at alpha" not in told, "that is said of rungs"


def test_an_arm_that_turns_out_to_be_another_shows_its_trials_and_counts_once(made: SimpleNamespace,
                                                                             compared: SimpleNamespace) -> None:
    before = results(made, compared)
    compared.study.measure.arms = {**SETS, "again": {"dropout": 0.71}}
    known = compared.study.arm_config
    compared.study.arm_config = lambda capacity, chosen, name: known(capacity, chosen, "both" if name == "again" else name)
    found = results(made, compared)
    assert found["again"] == replace(found["both"], name="again", sets={"dropout": 0.71}, same_as="both")
    assert found["both"] == before["both"]
    assert "width=1: arm again comes to the same trials as both; they are run once." in found["all"].notes


def test_an_arm_is_known_by_its_configuration_and_not_by_its_name(made: SimpleNamespace, compared: SimpleNamespace) -> None:
    before = results(made, compared)
    compared.study.measure.arms = {"renamed": SETS["both"]}
    compared.study.arm_config = lambda capacity, chosen, name: SimpleNamespace(arm_key=lambda: capacity + "b")
    found = results(made, compared)
    assert found["renamed"] == replace(before["both"], name="renamed")
    assert ("width=1: 4 trials of arms were run at another setting, or set what no arm sets now, and are left out."
            in found["all"].notes)


def test_an_arm_that_was_made_a_rung_later_is_one(made: SimpleNamespace) -> None:
    """A resumed study adds alpha 5 to its ladder, whose trials had been run as an arm: they are not run again."""
    config = {"alpha": 5.0, "split_kind": "disjoint"}
    trials = [*rungs(made), *(replace(trial, config=config, setting={"alpha": 5.0, "dropout": 0.1}, arm_key="5")
                              for trial in arm_trials(made, "dropout", "d", 0.05))]
    assert 5.0 not in build_ladder("width=1", trials, made.Measure()).alphas
    ladder = build_ladder("width=1", trials, made.Measure(alphas=(*made.ALPHAS, 5.0)))
    assert (ladder.missing(5.0), ladder.strays) == (0, 0)


def test_an_axis_that_alpha_0_lacks_is_found_in_the_arms(made: SimpleNamespace) -> None:
    """With the baseline alone as the ladder, only the arms know the value of an axis that exists above alpha 0."""
    base = [trial for trial in rungs(made) if trial.config["alpha"] == 0.0]
    arms = [replace(trial, setting={**trial.setting, "lam_per": "sample"}) for trial in arm_trials(made, "both", "b", 0.1)]
    asked = []
    there = with_arms(made, [*base, *arms])
    there.study.measure.alphas = (0.0,)
    there.study.arm_config = lambda capacity, chosen, name: asked.append((capacity, chosen))
    results(made, there)
    assert ("width=1", {"dropout": 0.1, "lam_per": "sample"}) in asked


def test_without_a_ladder_the_answer_says_so_and_the_arms_are_compared(made: SimpleNamespace, compared: SimpleNamespace) -> None:
    compared.trials = [trial for trial in compared.trials if trial.origin != "ladder" or trial.config["alpha"] == 0.0]
    compared.study.measure.alphas = (0.0,)
    found = results(made, compared)
    assert {each.sweet_error.verdict for each in found["all"].capacities} == {"no ladder"}
    assert found["all"].conjecture.verdict == "undecided"
    assert found["all"].conjecture.text == "There is no ladder of alphas to see it on."
    assert found["both"].difference.value == pytest.approx(-0.1225)
    assert found["both"].in_set


def test_before_any_result_every_arm_is_there_with_nothing_in_it(made: SimpleNamespace) -> None:
    there = with_arms(made, [])
    found = results(made, there)
    assert math.isnan(found["both"].val_error.value)
    assert (found["both"].missing, found["both"].in_set, found["both"].difference, found["both"].same_as) == (4, None, None, "")


def test_seeds_of_a_split_are_averaged_before_splits_are_compared(made: SimpleNamespace) -> None:
    trials = [replace(trial, repeat=repeat, id=1000 * repeat + trial.id, metrics={**trial.metrics, "val/error": value + repeat})
              for trial in rungs(made) for repeat, value in ((0, trial.metrics["val/error"]), (1, trial.metrics["val/error"]))]
    study = with_arms(made, trials).study
    study.measure.seeds = 2
    ladder = build_ladder("width=1", trials, study.measure)
    twice = compare_arms(contenders(ladder, trials, study)[:4], {}, "val/error", planned=8)
    once = compare_arms(contenders(build_ladder("width=1", rungs(made), made.Measure()), rungs(made), study)[:4], {}, "val/error",
                        planned=4)
    assert [arm.difference for arm in twice[1:]] == [
        replace(arm.difference, value=pytest.approx(arm.difference.value), low=pytest.approx(arm.difference.low),
                high=pytest.approx(arm.difference.high)) for arm in once[1:]]
    assert {arm.missing for arm in twice} == {0}



def test_an_arm_with_the_very_same_results_shares_a_verdict_and_does_not_pass_for_one_without_noise() -> None:
    table = 0.01 * np.random.default_rng(6).standard_normal((4, 3)) + np.array([0.12, 0.1, 0.11])
    found = best_set(table[:, [0, 1, 2, 0, 0, 1]], [True] * 6)
    alone = best_set(table, [True] * 3)
    assert found == [alone[place] for place in (0, 1, 2, 0, 0, 1)]
    assert best_set(table[:, [0, 0]], [True, True]) == [None, None]
