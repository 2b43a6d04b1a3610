"""Which addresses of MLflow are allowed, and what a quick look says about them."""

import base64
import sqlite3
from pathlib import Path

import pytest

from sweeps.home import Home
from sweeps.tracking import address as tracking_address
from sweeps.tracking.address import check, experiment_url, pause_asked, seconds_of, server_command
from sweeps.tracking.faults import Refused
from tests.sweeps.tracking.answering_server import answering, closed_address, silent
from trainable.errors import InfrastructureError


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "/tmp/mlruns", "ftp://x", ""])
def test_a_folder_is_refused_with_what_to_write_instead(uri: str) -> None:
    with pytest.raises(InfrastructureError, match="sqlite:///path"):
        check(uri, {})


def test_a_new_file_is_allowed_and_its_folder_made(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path}/new/mlflow.db", {})
    assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new/mlflow.db").exists()


def test_an_existing_database_is_allowed(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    check(f"sqlite:///{tmp_path}/mlflow.db", {})


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("name: digits, and more than sixteen bytes")
    with pytest.raises(InfrastructureError, match="is not an SQLite database"):
        check(f"sqlite:///{tmp_path}/mlflow.db", {})


def test_a_folder_where_the_file_should_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot be written"):
        check(f"sqlite:///{tmp_path}", {})


def test_a_place_whose_folder_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="folder cannot be made"):
        check(f"sqlite:///{tmp_path}/file/mlflow.db", {})


def test_databases_of_other_kinds_are_left_to_the_sender() -> None:
    check("mysql+pymysql://me:hunter22@nowhere.example/mlflow", {})


def test_a_database_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(InfrastructureError, match=r"refused.*--tracking-uri or MLFLOW_TRACKING_URI") as caught:
        check("postgresql+psycopg://me:hunter22@127.0.0.1:1/mlflow", {})
    assert not isinstance(caught.value, Refused)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (" 120 ", 120.0), ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
                                                 ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("", 0.0), ("soon", 0.0), ("-3", 0.0)])
def test_how_long_to_wait_is_read_from_seconds_or_a_date(header: str, seconds: float) -> None:
    assert seconds_of(header, 1000.0) == seconds


@pytest.mark.parametrize(("status", "seconds"), [(503, 90.0), (429, 90.0), (500, 0.0), (200, 0.0)])
def test_only_a_busy_server_is_asked_how_long(status: int, seconds: float) -> None:
    with answering(status, "{}", retry_after="90") as uri:
        assert pause_asked(uri, {}) == seconds
    assert pause_asked(closed_address(), {}) == pause_asked("sqlite:///x.db", {}) == 0.0


def test_a_server_that_answers_is_allowed() -> None:
    with answering(200, '{"experiments": []}') as uri:
        check(uri, {})


@pytest.mark.parametrize(("status", "body", "part"), [
    (401, "who are you", "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    (403, "Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
    (403, "Permission denied", "needs permission"),
    (404, "<html>", "not as an MLflow server"),
    (503, "later", "is not well"),
    (200, "<html>", "not as an MLflow server"),
    (200, "[]", "not as an MLflow server"),
])
def test_each_refusal_says_which_setting(status: int, body: str, part: str) -> None:
    with answering(status, body) as uri, pytest.raises(InfrastructureError, match=part) as caught:
        check(uri, {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "hunter22"})
    assert "hunter22" not in str(caught.value)


def test_nobody_there_is_told_without_the_password() -> None:
    address = closed_address().replace("http://", "http://me:hunter22@")
    with pytest.raises(InfrastructureError, match="does not answer") as caught:
        check(address, {})
    assert "hunter22" not in str(caught.value)


@pytest.mark.timeout(15)
def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_address, "PATIENCE_SECONDS", 0.2)
    with silent() as uri, pytest.raises(InfrastructureError, match="does not answer"):
        check(uri, {})


@pytest.mark.parametrize(("environ", "user", "expected"), [
    ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pw"}, "", "Basic " + base64.b64encode(b"me:pw").decode()),
    ({"MLFLOW_TRACKING_TOKEN": "tok"}, "", "Bearer tok"),
    ({}, "me:p%40w@", "Basic " + base64.b64encode(b"me:p@w").decode()),
    ({}, "", ""),
])
def test_credentials_come_from_the_environment_or_the_address(environ: dict[str, str], user: str, expected: str) -> None:
    seen: list[str] = []
    with answering(200, "{}", seen) as uri:
        check(uri.replace("http://", f"http://{user}"), environ)
    assert seen == [expected]


def test_the_link_names_the_experiment_of_a_local_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert experiment_url(uri, "digits", "http://127.0.0.1:5000") == "http://127.0.0.1:5000/#/experiments"
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT)")
        connection.execute("INSERT INTO experiments VALUES (7, 'digits')")
    assert experiment_url(uri, "digits", "http://127.0.0.1:5000/") == "http://127.0.0.1:5000/#/experiments/7"
    assert experiment_url(uri, "other", "http://127.0.0.1:5000") == "http://127.0.0.1:5000/#/experiments"


def test_the_link_names_the_experiment_of_a_server() -> None:
    with answering(200, '{"experiment": {"experiment_id": "12"}}') as uri:
        assert experiment_url(uri, "my digits", uri) == f"{uri}/#/experiments/12"
    assert experiment_url(uri, "digits", uri) == f"{uri}/#/experiments"


def test_the_ui_is_served_to_this_machine_only(tmp_path: Path) -> None:
    command = server_command(Home.resolve(environ={"SWEEP_HOME": str(tmp_path)}), 5123)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5123"
    assert command[command.index("--allowed-hosts") + 1] == "127.0.0.1,127.0.0.1:*,localhost,localhost:*"


def test_the_password_of_a_store_is_on_no_command_line() -> None:
    home = Home.resolve(tracking_uri="postgresql://me:hunter2@db/mlflow", environ={})
    assert "hunter2" not in " ".join(server_command(home, 5123))
