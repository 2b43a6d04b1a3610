"""The command's own work without Ray: what is refused, what goes on, what is written."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.claims import campaign
from sweeps.home import Home
from sweeps.ledger import Ledger
from trainable.errors import StudyError

TOY = ("data.train_size=200", "data.val_size=100", "measure.splits=2", "space.epochs=2")


def test_all_claims_are_prepared_from_the_shipped_studies() -> None:
    made = campaign.prepare([])
    assert len(made.claims) == 15
    assert all(name == study.name for name, study in made.studies.items())


def test_a_label_gives_changed_studies_names_of_their_own() -> None:
    made = campaign.prepare(["Z4"], ["data.train_size=200"], "toy")
    assert {name: study.name for name, study in made.studies.items()} == {"claims-clean": "claims-clean-toy"}
    assert made.studies["claims-clean"].base.train_size == 200


def test_more_splits_need_no_label() -> None:
    assert campaign.prepare(["Z4"], ["measure.splits=9"]).studies["claims-clean"].measure.splits == 9


@pytest.mark.parametrize(("claim", "study", "change", "arm", "field", "value"), [
    ("Z3", "claims-epochs", "measure.arms.mixup, short.epochs=60", "mixup, short", "epochs", 60),
    ("Z12", "claims-arms", "measure.arms.two loaders.num_neighbors=199", "two loaders", "num_neighbors", 199)])
def test_what_the_files_say_to_set_can_be_set(claim: str, study: str, change: str, arm: str, field: str, value: int) -> None:
    assert campaign.prepare([claim], [change]).studies[study].measure.arms[arm][field] == value


@pytest.mark.parametrize(("ids", "sets", "label", "part"), [
    (["Z4"], ["data.label_noise=0.5"], None, "claims-clean: data.label_noise: recorded 0.0, now 0.5"),
    (["Z4"], ["name=x"], None, "--as NAME"), (["Z99"], [], None, "is no claim"),
    (["Z4"], [], "a/b", "name = 'claims-clean-a/b'"), (["Z6"], ["diagnostics=[]"], None, "lacks the diagnostic robustness"),
    (["Z4"], ["measure.splits=1"], None, "measure.splits = 1"),
])
def test_what_cannot_be_run_is_refused_before_anything_runs(ids, sets, label, part: str) -> None:
    with pytest.raises(StudyError) as error:
        campaign.prepare(ids, sets, label)
    assert part in str(error.value)


def test_every_study_runs_once_and_an_interruption_ends_the_series() -> None:
    made, asked = campaign.prepare(["Z1", "Z2", "Z3"]), []

    def run(study):
        asked.append(study.name)
        return SimpleNamespace(interrupted=study.name == "claims-ladder-noisy")

    assert [study.name for study, _ in campaign.run_all(made, run)] == asked == ["claims-ladder", "claims-ladder-noisy"]


@pytest.mark.parametrize(("sets", "label", "said"), [
    ([], None, "mixup-sweep claims Z1"), (["measure.splits=9"], None, "mixup-sweep claims Z1 --set measure.splits=9"),
    (["space={alpha: 1}"], "x", "mixup-sweep claims Z1 --as x --set 'space={alpha: 1}'"),
    (["data.root=`\n```"], None, "mixup-sweep claims Z1 --set 'data.root=' '''"),
])
def test_the_command_that_asks_again(sets: list[str], label: str | None, said: str) -> None:
    told = campaign.command(sets, label).format("Z1")
    assert told.startswith(said)
    assert "`" not in told
    assert "\n" not in told


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A ledger that knows the study of Z4 and none of its trials."""
    home = Home.resolve(environ={"SWEEP_HOME": str(tmp_path / "home")})
    study = campaign.prepare(["Z4"]).studies["claims-clean"]
    (tmp_path / "home").mkdir()
    ledger = Ledger.open(home.ledger)
    ledger.register_study(study.name, study.identity(), study.to_dict(), time.time())
    ledger.close()
    return home


def test_without_trials_a_claim_is_undecided_and_says_why(home: Home, tmp_path: Path) -> None:
    judged, claims, studies = campaign.judge_all(campaign.prepare(["Z4"]), home, "mixup-sweep claims {}")
    assert judged[0].verdict == "undecided"
    path = campaign.write(tmp_path / "out", claims, studies)
    assert {each.name for each in path.parent.iterdir()} == {"RESULTS.md", "results.json", "Z4.svg"}
    assert "Nothing was measured of" in path.read_text()
    assert json.loads((path.parent / "results.json").read_text())["claims"]["Z4"]["command"] == "mixup-sweep claims Z4"


@pytest.mark.parametrize("content", ["no json", "[]", '{"claims": {}}'])
def test_a_folder_that_holds_something_else_is_left_alone(content: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(StudyError, match="move it away"):
        campaign.write(tmp_path, [], [])
    assert (tmp_path / "results.json").read_text() == content


def test_the_list_names_every_claim_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(cli.app, ["claims", "--list"])
    assert done.exit_code == 0
    assert all(claim.id in done.output for claim in campaign.prepare([]).claims)
    assert not list(tmp_path.iterdir())
