"""What differs between two forms of a study: each key by its path, the values as a study file writes them."""

from typing import Any

import pytest

from sweeps.changes import changes


@pytest.mark.parametrize(("before", "now", "lines"), [
    ({"a": 1}, {"a": 1}, []),
    ({"a": 1}, {"a": 1.0}, []),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: was 2, is 3"]),
    ({"a": 1}, {}, ["a: was 1, is not there"]),
    ({"a": None}, {}, []),
    ({"a": None}, {"a": "best"}, ["a: was null, is best"]),
    ({"a": True}, {"a": False}, ["a: was true, is false"]),
    ({"a": [1, 2]}, {"a": [1]}, ["a: was [1, 2], is [1]"]),
    ({"a": {"b": 1}}, {"a": 5}, ["a.b: was 1, is not there", "a: was not there, is 5"]),
    ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, ["a.1.b: was 2, is 3"]),
])
def test_each_key_that_differs_is_one_line(before: dict[str, Any], now: dict[str, Any], lines: list[str]) -> None:
    assert [str(change) for change in changes(before, now)] == lines
