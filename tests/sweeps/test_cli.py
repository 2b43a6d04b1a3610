"""The command line: exit codes, messages, and that wrong input stops everything before it begins."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.attempt import Place
from sweeps.home import Home
from sweeps.ledger import Ledger
from sweeps.records import TRIAL_STATES
from sweeps.run import begun, driving, opened, prepared
from sweeps.session import Forced
from sweeps.study import load_study
from sweeps.sweep import run_locally
from trainable.trial import run_trial

COMMANDS = ("run", "claims", "plan", "status", "stop", "trial", "report", "sync", "ui", "studies", "doctor")


@pytest.fixture(scope="module")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the study `smoke` has run to its end, by a plain loop."""
    home = Home.resolve(environ={"SWEEP_HOME": str(tmp_path_factory.mktemp("home"))})
    study = load_study("smoke")
    source = prepared(study)
    with opened(home) as ledger:
        record = ledger.register_study(study.name, study.identity(), study.to_dict(), 0.0)
        with driving(ledger, record):
            running = begun(study, ledger, record, source, home)
            run_locally(running, source, Place(storage=home.storage, study=study.name), run_trial)
            ledger.set_study(record.id, complete=running.complete)
    return home.root


def sweep(tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    variables = {**os.environ, "SWEEP_HOME": str(tmp_path), **environment}
    return subprocess.run([sys.executable, "-m", "sweeps", *arguments], env=variables, capture_output=True, text=True,
                          check=False)


def test_every_command_says_what_it_does() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"]).output
    for command in COMMANDS:
        assert command in shown
        assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0


def test_the_plan_of_the_default_study_names_its_trials(tmp_path: Path) -> None:
    done = sweep(tmp_path, "plan", "digits")
    assert done.returncode == 0, done.stderr
    for part in ("search", "measure", "alpha", "weight_decay", "dropout", "epochs", "width=0.25"):
        assert part in done.stdout
    assert not list(tmp_path.iterdir()), "a plan leaves nothing behind"


@pytest.mark.parametrize(("arguments", "parts"), [
    (("run", "digit"), ("did you mean digits?",)),
    (("run", "--set", "search.max_trial=3"), ("did you mean max_trials?",)),
    (("run", "--set", "train.lr=-1", "--set", "measure.splits=1"), ("train.lr", "measure.splits")),
    (("run", "--set", "data.name=mnits"), ("fashion_mnist",)),
    (("run", "--tracker", "maybe"), ("on, defer",)),
    (("trial", "--set", "alhpa=1", "--set", "dropout=1"), ("did you mean alpha?", "dropout")),
    (("trial", "--diagnostics", "calibraton"), ("did you mean calibration?",)),
    (("run", "--set", "diagnostics=[tranfer]"), ("did you mean transfer?",)),
    (("run", "--address", "127.0.0.1:1"), ("127.0.0.1:1 does not answer",)),
    (("run", "--address", "head"), ("an address is HOST:PORT",)),
    (("status", "digits"), ("no ledger yet",)),
    (("report", "digits"), ("no ledger yet",)),
    (("doctor", "digits"), ("no ledger yet",)),
    (("doctor", "digits", "--repair"), ("no ledger yet",)),
])
def test_wrong_input_is_exit_2_with_the_way_out_and_no_traceback(arguments: tuple[str, ...], parts: tuple[str, ...],
                                                                 tmp_path: Path) -> None:
    done = sweep(tmp_path, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    assert not list(tmp_path.iterdir()), "nothing has begun"


def test_a_trial_runs_here_and_prints_a_row_an_epoch(tmp_path: Path) -> None:
    done = sweep(tmp_path, "trial", "--study", "smoke", "--set", "alpha=0.4", "--set", "epochs=2", "--set", "width=0.25")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["epoch", "1", "2"]
    assert any(line.startswith("test/error ") for line in lines)
    assert any(line.startswith("parameters ") for line in lines)


@pytest.mark.parametrize("environment", [{"LANG": "C", "LC_ALL": "C"}, {"NO_COLOR": "1"}, {"COLUMNS": "40"},
                                         {"PYTHONIOENCODING": "ascii"}])
def test_plain_terminals_get_plain_text(environment: dict[str, str], tmp_path: Path) -> None:
    done = sweep(tmp_path, "studies", **environment)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "digits" in done.stdout


@pytest.mark.parametrize("command", ["status", "plan", "report"])
@pytest.mark.parametrize("environment", [{"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
                                         {"COLUMNS": "40", "NO_COLOR": "1", "TERM": "dumb"}], ids=["ascii", "narrow"])
def test_what_looks_can_be_read_anywhere(finished_study: Path, command: str, environment: dict[str, str]) -> None:
    done = sweep(finished_study, command, "smoke", **environment)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "width=0.25" in done.stdout or command == "status", "a word is never cut up by a narrow column"
    frames = [line for line in done.stdout.splitlines() if line[:1] in ("┃", "│", "|")]
    assert all(len(line) <= int(environment.get("COLUMNS", 140)) for line in frames)
    if "LANG" in environment:
        assert done.stdout.isascii()


TYPES_OF_STATUS = {"study": str, "driver": (str, type(None)), "complete": bool, "planned": dict, "trials": dict, "failures": list}


def test_the_status_is_json_for_scripts(finished_study: Path) -> None:
    done = sweep(finished_study, "status", "smoke", "--json", COLUMNS="40")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == set(TYPES_OF_STATUS)
    assert all(isinstance(found[name], kind) for name, kind in TYPES_OF_STATUS.items())
    assert set(found["planned"]) == set(found["trials"]) == {"search", "measure"}
    assert all(type(count) is int for count in found["planned"].values())
    for states in found["trials"].values():
        assert set(states) <= set(TRIAL_STATES)
        assert all(type(count) is int for count in states.values())
    assert found["complete"] is True
    assert found["driver"] is None
    assert {stage: sum(states.values()) for stage, states in found["trials"].items()} == found["planned"]


def test_the_report_is_rebuilt_from_the_ledger_with_its_table_and_picture(finished_study: Path) -> None:
    done = sweep(finished_study, "report", "smoke")
    assert done.returncode == 0, done.stderr
    assert "width=0.25" in done.stdout
    folder = finished_study / "reports" / "smoke"
    assert "| width=0.25 |" in (folder / "table.md").read_text()
    assert (folder / "picture.svg").read_text().startswith("<svg")
    assert (folder / "index.html").stat().st_size > 100_000


def test_an_unknown_study_is_told_apart_from_one_that_has_begun(finished_study: Path) -> None:
    done = sweep(finished_study, "status", "digits")
    assert done.returncode == 2
    assert "has not begun" in done.stderr
    assert "smoke" in done.stderr
    assert sweep(finished_study, "stop", "smoke").returncode == 0


@pytest.mark.parametrize(("arguments", "parts"), [
    (("--set", "train.lr=0.05"), ("train.lr: recorded 0.1, now 0.05", "run smoke --set train.lr=0.05 --set name=smoke-2\n",
                                  "run smoke --set train.lr=0.05 --set name=smoke-2 --fork smoke\n")),
    (("--fork", "smoke"), ("is the study itself", "--set name=NEW")),
    (("--set", "name=new", "--fork", "smok"), ("'smok' has not begun", "did you mean smoke?")),
    (("--set", "name=new", "--set", "train.lr=0.05", "--fork", "smoke"), ("none of its 16 finished trials applies", "now 0.05")),
])
def test_a_changed_study_is_refused_with_what_has_changed_and_the_way_out(finished_study: Path, arguments: tuple[str, ...],
                                                                          parts: tuple[str, ...]) -> None:
    done = sweep(finished_study, "run", "smoke", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    with Ledger.open(Home.resolve(environ={"SWEEP_HOME": str(finished_study)}).ledger, read_only=True) as ledger:
        assert [study.name for study in ledger.studies()] == ["smoke"]


def terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def interrupted() -> None:
    raise KeyboardInterrupt


def interrupted_again() -> None:
    raise Forced


@pytest.mark.parametrize(("happens", "code", "said"), [
    (terminated, 5, "The same command goes on: mixup-sweep run smoke"),
    (interrupted, 5, "The same command goes on: mixup-sweep run smoke"), (interrupted_again, 130, "")])
def test_a_run_told_to_end_while_no_trial_runs_says_how_to_go_on(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], happens: Callable[[], None], code: int,
        said: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("sweeps.run.run_study", lambda *_arguments: happens())
    monkeypatch.setattr(sys, "argv", ["mixup-sweep", "run", "smoke"])
    monkeypatch.setenv("SWEEP_HOME", str(tmp_path))
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_without_room_is_exit_4_with_its_name(monkeypatch: pytest.MonkeyPatch, number: int,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise OSError(number, "No space left on device", "/data/runs/reports/smoke/index.html")
    monkeypatch.setattr(cli, "app", full)
    monkeypatch.setattr(sys, "argv", ["mixup-sweep", "run", "smoke"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 4
    said = capsys.readouterr().err
    assert "/data/runs/reports/smoke/index.html" in said
    assert "the same command goes on: mixup-sweep run smoke" in said
