"""What differs between two forms of a study: each key by its path, the values as a study file writes them."""

from typing import Any

import pytest

from sweeps.changes import changes


@pytest.mark.parametrize(("before", "now", "lines"), [
    ({"a": 1}, {"a": 1}, []),
    ({"a": 1}, {"a": 1.0}, []),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: recorded 2, now 3"]),
    ({"a": 1}, {}, ["a: recorded 1, now not there"]),
    ({"a": None}, {}, []),
    ({"a": None}, {"a": "best"}, ["a: recorded null, now best"]),
    ({"a": True}, {"a": False}, ["a: recorded true, now false"]),
    ({"a": [1, 2]}, {"a": [1]}, ["a: recorded [1, 2], now [1]"]),
    ({"a": {"b": 1}}, {"a": 5}, ["a.b: recorded 1, now not there", "a: recorded not there, now 5"]),
    ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, ["a.1.b: recorded 2, now 3"]),
])
def test_each_key_that_differs_is_one_line(before: dict[str, Any], now: dict[str, Any], lines: list[str]) -> None:
    assert [str(change) for change in changes(before, now)] == lines
