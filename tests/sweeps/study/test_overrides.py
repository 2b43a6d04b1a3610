"""`--set key=value`: the same checks as the file, placed at the override."""

import pytest

from sweeps.study import load_study
from trainable.errors import StudyError


def refused(*overrides: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        load_study("smoke", overrides)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("override", "read", "value"), [
    ("search.max_trials=4", lambda study: study.search.max_trials, 4),
    ("name=mine", lambda study: study.name, "mine"),
    ("train.lr=1e-2", lambda study: study.base.lr, 0.01),
    ("space.dropout.high=0.2", lambda study: study.space["dropout"].high, 0.2),
    ("space.dropout=0.3", lambda study: study.space.fixed["dropout"], 0.3),
    ("measure.alphas=[0, 2, 32]", lambda study: study.measure.alphas, (0.0, 2.0, 32.0)),
    ("compute.gpus=0.5", lambda study: study.compute.gpus, 0.5),
    ("compute.max_concurrent=", lambda study: study.compute.max_concurrent, None),
    ("model.capacity={width: [1]}", lambda study: len(study.capacities), 1),
    (" search.max_trials = 4 ", lambda study: study.search.max_trials, 4),
    ("data.root=s3://bucket/x?a=b", lambda study: study.data_root, "s3://bucket/x?a=b"),
    ("search.prune={rule: median, grace: 0.2}", lambda study: study.search.prune.rule, "median")])
def test_an_override_replaces_one_key(override: str, read, value) -> None:
    assert read(load_study("smoke", [override])) == value


def test_the_later_override_wins_and_the_others_stay() -> None:
    study = load_study("smoke", ["measure.splits=3", "measure.seeds=2", "measure.splits=5"])
    assert (study.measure.splits, study.measure.seeds) == (5, 2)
    assert study.measure.alphas == load_study("smoke").measure.alphas


def test_the_file_is_not_changed() -> None:
    load_study("smoke", ["measure.splits=3"])
    assert load_study("smoke").measure.splits == 2


@pytest.mark.parametrize(("override", "says"), [
    ("search.max_trials=-1", "--set search.max_trials=-1: search.max_trials = -1: must be a whole number in [0, 100000]"),
    ("serach.max_trials=4", "serach = {'max_trials': 4}: is no key; did you mean search?"),
    ("search.trials=4", "search.trials = 4: is no key"),
    ("max_trials", "--set = 'max_trials': must be section.key=value"),
    ("=4", "must be section.key=value"),
    ("a..b=4", "must be section.key=value"),
    ("measure.alphas=[0", "measure.alphas = '[0': is not a YAML value"),
    ("name=!!python/name:os.system x", "is not a YAML value"),
    ("seed.x=4", "seed = {'x': 4}: must be a whole number"),
    ("search.prune.rule=asha", "cannot be set, since search.prune is one value; set search.prune itself"),
    ("space.epochs={low: 3, low: 4}", "stands twice"),
    ("seed=\udcff", r"seed = '\\udcff'"),
    ("space.epochs.low=50", "--set space.epochs.low=50: space.epochs.low = 50: must be below high = 3")])
def test_a_wrong_override_is_refused_at_its_own_place(override: str, says: str) -> None:
    lines = refused(override)
    assert len(lines) == 1
    assert lines[0].startswith("--set ")
    assert says in lines[0]


def test_problems_of_file_and_overrides_come_together_those_of_the_file_first(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("seed: -1\ntolerance: 2\n")
    with pytest.raises(StudyError) as caught:
        load_study(path, ["tolerance=3", "objective=x"])
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:1", "--set objective=x", "--set tolerance=3"]


def test_an_override_into_an_empty_file_is_a_study(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("")
    assert load_study(path, ["search.max_trials=4"]).search.max_trials == 4


def test_an_override_into_a_file_that_is_no_mapping_leaves_the_file_s_problem(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("[1]\n")
    with pytest.raises(StudyError, match=r"s.yaml:1: file = \[1\]: must be a mapping"):
        load_study(path, ["search.max_trials=4", "seed=1"])
