"""`mixup-sweep doctor`: what it prints, its JSON, its exit codes, and a repair with everything real."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from sweeps import cli
from sweeps.doctor import assert_consistent
from sweeps.home import Home
from sweeps.records import FINISHED, PRUNED
from tests.sweeps.doctor.damages import file, in_ledger, in_mlflow, twin_run
from tests.sweeps.doctor.sound_study import NAME, keys_of

KEYS = {"study", "consistent", "complete", "driver", "trials", "rows", "runs", "findings", "mended"}


def doctor(home: Home, *options: str) -> Result:
    return CliRunner().invoke(cli.app, ["doctor", NAME, *options], env={"SWEEP_HOME": str(home.root)})


def test_a_sound_study_is_one_line_and_exit_0(home: Home) -> None:
    done = doctor(home)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("small: consistent (28 trials, ")
    assert "MLflow 28 runs)" in done.output
    assert "not complete" not in done.output


def test_a_stopped_study_is_said_to_be_not_complete(stopped_home: Home) -> None:
    done = doctor(stopped_home)
    assert done.exit_code == 0, done.output
    assert done.output.rstrip().endswith("MLflow 6 runs); not complete")


def test_findings_are_a_table_with_the_way_out_and_exit_4(home: Home) -> None:
    keys = keys_of(home)
    file("checkpoints/small/{PRUNED}/latest", b"x")(home, keys)
    done = doctor(home)
    assert done.exit_code == 4
    for part in ("small: 1 findings", "storage", keys[PRUNED], "a checkpoint is left", "--repair removes it"):
        assert part in done.output


def test_the_json_has_stable_keys_also_where_something_is_wrong(home: Home) -> None:
    found = json.loads(doctor(home, "--json").output)
    assert set(found) == KEYS
    assert (found["consistent"], found["complete"], found["runs"], found["findings"]) == (True, True, 28, [])
    keys = keys_of(home)
    file("predictions/small/{FINISHED}.npy", None)(home, keys)
    done = doctor(home, "--json")
    assert done.exit_code == 4
    found = json.loads(done.output)
    assert (set(found), found["consistent"]) == (KEYS, False)
    (finding,) = found["findings"]
    assert set(finding) == {"place", "trial", "text", "remedy"}
    assert (finding["place"], finding["trial"]) == ("storage", keys[FINISHED])


def test_what_a_repair_did_is_said_and_what_is_left(home: Home) -> None:
    keys = keys_of(home)
    file("checkpoints/small/{PRUNED}/latest", b"x")(home, keys)
    file("predictions/small/{FINISHED}.npy", None)(home, keys)
    done = doctor(home, "--repair")
    assert done.exit_code == 4
    assert f"removed the checkpoint of trial {keys[PRUNED]}" in done.output
    assert "small: 1 findings" in done.output
    assert all(word in done.output for word in ("predictions", "missing")), "in a narrow terminal on two lines"


@pytest.mark.slow
def test_a_repair_by_the_real_sender_mends_mlflow(home: Home) -> None:
    keys = keys_of(home)
    twin_run(home, keys)
    in_mlflow("delete from metrics where run_uuid = '{PRUNED}' and step = 2",
              "update runs set status = 'RUNNING' where run_uuid = '{FAILED}'")(home, keys)
    environment = {**os.environ, "SWEEP_HOME": str(home.root)}
    done = subprocess.run([sys.executable, "-m", "sweeps", "doctor", NAME, "--repair"], env=environment, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sent everything to MLflow again" in done.stdout
    assert "small: consistent" in done.stdout
    assert_consistent(home, NAME)


@pytest.mark.slow
def test_a_mended_study_goes_on_where_its_driver_died(stopped_home: Home) -> None:
    keys = keys_of(stopped_home)
    in_ledger("update sweep_trials set state = 'RUNNING' where id = <INTERRUPTED>",
              "update sweep_attempts set state = 'RUNNING', ended_at = null where trial_id = <INTERRUPTED>")(stopped_home, keys)
    done = doctor(stopped_home, "--repair")
    assert done.exit_code == 0, done.output
    assert "INTERRUPTED" in done.output
    assert_consistent(stopped_home, NAME, complete=False)
