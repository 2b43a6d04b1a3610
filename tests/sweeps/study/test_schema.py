"""The table of keys: every key has a default that it allows, a range and a line of help."""

import pytest

from sweeps.study import load_study
from sweeps.study.schema import KEYS, reference
from trainable.config import FIELDS, REPLICATE_FIELDS, knob


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_key_allows_its_own_default_and_has_help(key) -> None:
    assert key.complaint(key.default) is None
    assert key.help
    assert key.allowed
    assert len(key.help) < 110


def test_every_field_of_a_trial_but_its_replicate_has_exactly_one_key() -> None:
    fields = [key.field for key in KEYS if key.field]
    assert sorted(fields) == sorted(set(FIELDS) - set(REPLICATE_FIELDS))


@pytest.mark.parametrize("key", [key for key in KEYS if key.field], ids=lambda key: key.path)
def test_a_key_that_sets_a_field_has_the_field_s_default_and_help(key) -> None:
    assert key.default == FIELDS[key.field].default
    assert key.help == knob(key.field).help


def test_every_key_of_the_table_is_written_out_by_a_study_and_no_other() -> None:
    written = load_study("smoke").to_dict()

    def paths(values, above=""):
        for name, value in values.items():
            path = f"{above}{name}"
            is_section = any(key.path.startswith(f"{path}.") for key in KEYS)
            yield from paths(value, f"{path}.") if is_section else [path]
    axes = {f"train.{name}" for name in written["space"]}
    assert set(paths(written)) | axes == {key.path for key in KEYS}


def test_the_reference_has_a_row_a_key() -> None:
    lines = reference().splitlines()
    assert lines[:2] == ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    assert [line.split("|")[1].strip(" `") for line in lines[2:]] == [key.path for key in KEYS]
    assert all(line.count("|") == 5 for line in lines)
    row = next(line for line in lines if "`search.max_hours`" in line)
    assert row == ("| `search.max_hours` | null | a number in (0, 1e+06], or null "
                   "| trial-hours per capacity, summed over workers |")
