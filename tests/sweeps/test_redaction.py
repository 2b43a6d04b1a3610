"""Credentials are found and hidden; ordinary text is left alone."""

import pytest

from sweeps.redaction import holds_credential, names_credential, redact


@pytest.mark.parametrize(("text", "shown"), [
    ("postgresql://user:pa55@db:5432/ledger", "postgresql://***@db:5432/ledger"),
    ("postgresql+psycopg://user@db/ledger", "postgresql+psycopg://***@db/ledger"),
    ("https://ghp_0123456789abcdef@github.com/x", "https://***@github.com/x"),
    ("s3://bucket?token=abc&x=1", "s3://bucket?token=***&x=1"),
    ("https://x.blob/y?sv=1&sig=abc%3D", "https://x.blob/y?sv=1&sig=***"),
    ("password: hunter2", "password: ***"),
    ("API_KEY=abc", "API_KEY=***"),
    ("{'secret': 'abc'}", "{'secret': '***'}"),
    ("key AKIAABCDEFGHIJKLMNOP here", "key *** here"),
    ("hf_abcdefghijklmnop", "***"),
    ("a http://u:p@h and ftp://v:q@i", "a http://***@h and ftp://***@i")])
def test_a_credential_is_hidden_and_the_rest_kept(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert holds_credential(text)
    assert redact(shown) == shown


@pytest.mark.parametrize("text", [
    "s3://bucket/path", "/data/imagenet", "C:\\data", "me@example.org", "file:///tmp/x", "http://127.0.0.1:5000",
    "search.max_trials=4", "width=0.25", "a tokeniser: fast", "sqlite:////tmp/ledger.db", "1e-5", ""])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text
    assert not holds_credential(text)


@pytest.mark.parametrize(("key", "expected"), [
    ("password", True), ("db_password", True), ("MLFLOW_TRACKING_TOKEN", True), ("api-key", True), ("aws_secret", True),
    ("name", False), ("tokens", False), ("author", False), ("keys", False), ("seed", False)])
def test_a_key_says_that_its_value_is_a_credential(key: str, expected: bool) -> None:
    assert names_credential(key) is expected


@pytest.mark.parametrize("text", ["a" * 200_000, "://" * 60_000, "token " * 30_000, "token" + " " * 100_000,
                                  "x@" * 90_000], ids=["word", "scheme", "words", "blanks", "users"])
def test_long_text_takes_no_forever(text: str) -> None:
    redact(text)  # the suite's time limit is the assertion
