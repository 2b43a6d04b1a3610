"""Merging what trials were made with."""

from types import SimpleNamespace

from sweeps.analysis.provenance import merge


def test_equal_records_merge_into_one_with_dotted_keys(made: SimpleNamespace) -> None:
    merged, notes = merge([made.trial(1), made.trial(2)])
    assert merged == {"code": "abc", "versions.torch": "2.5"}  # hosts differ, as they may
    assert notes == ()


def test_mixed_versions_are_listed_and_counted(made: SimpleNamespace) -> None:
    other = {"code": "abc", "versions": {"torch": "2.6"}}
    merged, notes = merge([made.trial(1), made.trial(2, provenance=other), made.trial(3, provenance=other)])
    assert merged["versions.torch"] == ["2.5", "2.6"]
    assert notes == ("Trials differ in versions.torch: 2.5 (1 trials), 2.6 (2 trials); "
                     "their results may not be comparable.",)


def test_nothing_recorded_is_nothing_said(made: SimpleNamespace) -> None:
    assert merge([]) == ({}, ())
    assert merge([made.trial(1, provenance={})]) == ({}, ())
