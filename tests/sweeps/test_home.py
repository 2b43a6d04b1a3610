"""Where state lives."""

from pathlib import Path

from sweeps.home import Home


def test_everything_lies_under_sweep_home(tmp_path: Path) -> None:
    home = Home.resolve(environ={"SWEEP_HOME": str(tmp_path)})
    assert home.ledger == f"sqlite:///{tmp_path}/ledger.db"
    assert home.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert home.storage == str(tmp_path)
    assert home.report("digits") == tmp_path / "reports" / "digits" / "index.html"


def test_options_win_over_the_environment() -> None:
    environ = {"SWEEP_LEDGER": "postgresql://team/ledger", "MLFLOW_TRACKING_URI": "http://mlflow:5000", "SWEEP_STORAGE": "s3://b/x"}
    home = Home.resolve(environ=environ)
    assert (home.ledger, home.tracking_uri, home.storage) == tuple(environ.values())
    assert Home.resolve(ledger="other.db", storage="/mnt/x", environ=environ).ledger == "other.db"
    assert Home.resolve(storage="/mnt/x", environ=environ).storage == "/mnt/x"


def test_a_relative_home_is_made_absolute_since_workers_run_elsewhere() -> None:
    assert Path(Home.resolve(environ={}).storage).is_absolute()
