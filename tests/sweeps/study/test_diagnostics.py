"""The key `diagnostics`: which names there are, that it is no part of what a study is, and what plan says of it."""

import pytest

from sweeps.plan import plan
from sweeps.study import Study, load_study
from sweeps.study.schema import DIAGNOSTIC_HELP, reference
from trainable.diagnostics import DIAGNOSTICS
from trainable.errors import StudyError


@pytest.fixture
def load(tmp_path):
    def loaded(text: str, *overrides: str) -> Study:
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        return load_study(path, overrides)

    return loaded


def test_a_study_asks_for_none_unless_it_says_so(load) -> None:
    assert load("name: s\n").diagnostics == ()


def test_every_diagnostic_of_a_trial_and_transfer_may_be_asked_for(load) -> None:
    assert tuple(DIAGNOSTIC_HELP) == (*DIAGNOSTICS, "transfer")
    study = load(f"diagnostics: [{', '.join(DIAGNOSTIC_HELP)}]\n")
    assert study.diagnostics == tuple(DIAGNOSTIC_HELP)
    assert Study.from_dict(study.to_dict()) == study
    assert load(study.to_yaml()) == study


def test_an_override_may_set_them(load) -> None:
    assert load("name: s\n", "diagnostics=[jacobian, transfer]").diagnostics == ("jacobian", "transfer")


@pytest.mark.parametrize(("text", "line"), [
    ("diagnostics: [calibraton]", "1: diagnostics.0 = 'calibraton': must be one of calibration, "),
    ("diagnostics: [calibraton]", "did you mean calibration?"),
    ("diagnostics: [tranfer]", "did you mean transfer?"),
    ("name: s\ndiagnostics:\n- jacobian\n- robustnes", "4: diagnostics.1 = 'robustnes'"),
    ("name: s\ndiagnostics:\n- jacobian\n- transfer\n- jacobian", "5: diagnostics.2 = 'jacobian': is named twice"),
    ("diagnostics: calibration", "1: diagnostics = 'calibration': must be a list of names: calibration, "),
    ("diagnostics: {calibration: true}", "1: diagnostics = {'calibration': True}: must be a list of names"),
    ("diagnostics:", "1: diagnostics = None: must be a list of names"),
    ("diagnostics: [3, [jacobian], null]", "1: diagnostics.1 = ['jacobian']: must be one of"),
    ("diagnostics: [3, [jacobian], null]", "1: diagnostics.2 = None: must be one of"),
    ("diagnostic: [jacobian]", "did you mean diagnostics?")])
def test_a_wrong_name_is_told_at_its_line_with_the_nearest(load, tmp_path, text: str, line: str) -> None:
    with pytest.raises(StudyError) as caught:
        load(text)
    assert line in str(caught.value).replace(f"{tmp_path / 's.yaml'}:", "")


def test_a_study_that_has_begun_may_add_some(load) -> None:
    assert load("name: s\n").identity() == load("name: s\ndiagnostics: [jacobian]\n").identity()


def test_a_study_recorded_before_there_were_any_is_read(load) -> None:
    known = load("name: s\n").to_dict()
    del known["diagnostics"]
    assert Study.from_dict(known).diagnostics == ()


def test_the_plan_says_what_each_finds(load) -> None:
    tables = plan(load("diagnostics: [jacobian, transfer]\n")).tables()
    assert tables["diagnostics of every trial of the measure stage"] == [
        {"diagnostic": name, "what it finds": DIAGNOSTIC_HELP[name]} for name in ("jacobian", "transfer")]
    assert not [title for title in plan(load("name: s\n")).tables() if "diagnostics" in title]


def test_the_reference_says_in_which_stage_they_run() -> None:
    (line,) = [line for line in reference().splitlines() if line.startswith("| `diagnostics`")]
    assert "measure stage" in line
    assert all(name in line for name in DIAGNOSTIC_HELP)
