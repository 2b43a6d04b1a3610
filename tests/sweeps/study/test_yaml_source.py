"""Reading YAML: scalars mean what they look like, places are right, and nothing dangerous is built."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.study.yaml_source import MAX_BYTES, MAX_DEPTH, parse_document, read_document, scalar, write_document
from trainable.errors import StudyError


def parsed(text: str):
    return parse_document(text.encode(), "s.yaml")


def refused(raw: bytes | str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_document(raw.encode() if isinstance(raw, str) else raw, "s.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("text", "value"), [
    ("1e-5", 1e-5), ("1E-5", 1e-5), ("1e5", 1e5), ("-2.5e+3", -2500.0), (".5", 0.5), ("5.", 5.0), ("+3", 3),
    ("1_000", 1000), ("010", 10), ("0", 0), ("-0", 0), ("0.1", 0.1), ("true", True), ("True", True), ("FALSE", False),
    ("null", None),
    ("~", None), ("", None), (".inf", math.inf), ("-.INF", -math.inf),
    ("no", "no"), ("off", "off"), ("yes", "yes"), ("on", "on"), ("y", "y"), ("1:30", "1:30"),
    ("2024-01-01", "2024-01-01"), ("0x10", "0x10"), ("1e", "1e"), ("e5", "e5"), ("1_", "1_"), ("nan", "nan"),
    ("inf", "inf"), ("١", "١"), ("<<", "<<"),
    ("9223372036854775807", 2**63 - 1), ("+9_223_372_036_854_775_807", 2**63 - 1)])
def test_an_unquoted_scalar_means_what_it_looks_like(text: str, value) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_not_a_number_is_a_number_so_that_its_key_can_refuse_it() -> None:
    assert math.isnan(scalar(".nan"))


@pytest.mark.parametrize("digits", [30, 400, 5000])
def test_an_endless_integer_is_no_trap(digits: int) -> None:
    assert isinstance(scalar("9" * digits), float)


def test_a_quoted_scalar_is_text() -> None:
    assert parsed("a: '1'\nb: \"true\"\nc: |\n  3\n").data == {"a": "1", "b": "true", "c": "3\n"}


def test_every_value_knows_its_line() -> None:
    document = parsed("name: x\nspace:\n  alpha:\n    low: 0\n\n    high: 2\nlist:\n- 1\n- 2\n")
    assert [document.place(path) for path in ("name", "space.alpha.low", "space.alpha.high", "list.1", "list")] == [
        "s.yaml:1", "s.yaml:4", "s.yaml:6", "s.yaml:9", "s.yaml:7"]


@pytest.mark.parametrize(("path", "place"), [
    ("space.alpha.scale", "s.yaml:3"), ("space.lr", "s.yaml:2"), ("compute.x", "s.yaml:1")])
def test_what_is_not_there_is_placed_at_the_section_it_belongs_in(path: str, place: str) -> None:
    assert parsed("name: x\nspace:\n  alpha:\n    low: 0\n").place(path) == place


def test_a_duplicate_key_is_a_problem_at_its_second_line_and_the_first_value_stays() -> None:
    document = parsed("a: 1\nb: {c: 2, c: 3}\na: 4\n")
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert [(place, problem.field) for place, problem in document.located] == [("s.yaml:2", "b.c"), ("s.yaml:3", "a")]
    assert document.located[1][1].allowed == "stands twice; first at s.yaml:1"


@pytest.mark.parametrize("text", ["? [a, b]\n: 1\n", "{a: 1}: 2\n"])
def test_a_key_that_is_no_text_is_a_problem(text: str) -> None:
    assert parsed(text).located[0][1].allowed == "a key must be plain text"


@pytest.mark.parametrize(("raw", "line", "says"), [
    ("a: !!python/object/apply:os.system [x]", 1, "tags (!) are not allowed"),
    ("a: 1\nb: !local x", 2, "tags (!) are not allowed"),
    ("a: !!int 3", 1, "tags (!) are not allowed"),
    ("a: &x 1", 1, "anchors (&) and aliases (*)"),
    ("a: 1\nb: *x", 2, "anchors (&) and aliases (*)"),
    ("a: 1\n---\nb: 2", 2, "more than one document"),
    ("a:\n\tb: 1", 2, "a tab stands where only spaces may"),
    ("a:\n  b: 1\n\tc: 2", 3, "a tab stands where only spaces may"),
    ("a: [1, 2", 1, "is not valid YAML"),
    ("a: b: c", 1, "is not valid YAML"),
    ("a: 'x", 1, "is not valid YAML"),
    ("a: 1\n b: 2", 2, "is not valid YAML"),
    ("%YAML 9.9\n---\na: 1", 1, "is not valid YAML"),
    (b"a: \x00", 1, "a character that YAML forbids"),
    (b"a: 1\nb: \x07", 2, "a character that YAML forbids"),
    (b"\xff\xfea\x00:\x00", 1, "is not UTF-8"),
    (b"a: 1\nb: \xe9\n", 2, "is not UTF-8"),
    ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), 1, "nested deeper"),
    ("[" * 50_000, 1, "nested deeper")])
def test_what_is_no_plain_yaml_is_refused_at_its_line(raw: bytes | str, line: int, says: str) -> None:
    problems = refused(raw)
    assert any(text.startswith(f"s.yaml:{line}: file: ") and says in text for text in problems), problems


def test_the_greatest_depth_is_allowed() -> None:
    assert parsed("[" * MAX_DEPTH + "]" * MAX_DEPTH).data is not None


def test_every_tag_and_anchor_is_listed_at_once() -> None:
    places = [text.split(": ")[0] for text in refused("a: &x 1\nb: !t 2\nc: *x\n")]
    assert places == ["s.yaml:1", "s.yaml:2", "s.yaml:3"]


def test_a_bomb_of_aliases_is_refused_without_being_built() -> None:
    levels = "\n".join(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 30))
    assert "anchors" in refused(f"l0: &l0 x\n{levels}\n")[0]


def test_a_tag_has_no_side_effect(tmp_path) -> None:
    victim = tmp_path / "made"
    refused(f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{victim}']]")
    assert not victim.exists()


def test_a_file_at_the_limit_is_read_and_a_byte_more_is_refused(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * (MAX_BYTES - 5))
    assert read_document(path).data == {"a": 1}
    path.write_bytes(b"a: 1\n" + b"#" * (MAX_BYTES - 4))
    with pytest.raises(StudyError, match="larger than 100,000 bytes"):
        read_document(path)


def test_ten_megabytes_are_refused_without_being_read(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    with path.open("wb") as file:
        file.truncate(10_000_000)
    with pytest.raises(StudyError, match="larger than"):
        read_document(path)


@pytest.mark.parametrize("name", ["", "no.yaml", "dir"])
def test_a_file_that_cannot_be_read_says_why(tmp_path, name: str) -> None:
    (tmp_path / "dir").mkdir()
    with pytest.raises(StudyError, match="cannot be read"):
        read_document(tmp_path / name)


def test_a_byte_order_mark_and_windows_lines_change_nothing() -> None:
    assert parse_document(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "s.yaml").data == {"a": 1, "b": 2}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "---\n...\n"])
def test_an_empty_file_is_none(text: str) -> None:
    assert parsed(text).data is None


def test_an_error_never_quotes_the_line_which_may_hold_a_credential() -> None:
    assert "hunter2" not in "".join(refused("password: hunter2: x\n"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2**63, 2**63) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["1e5", "no", "1_0", ".5", "tRue", "=", "null", "010"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("abc-_", min_size=1), below, max_size=3),
    max_leaves=8)


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_plain_values_are_read_as_they_were_written(value) -> None:
    found = parse_document(write_document({"value": value}).encode(), "s.yaml").data["value"]
    assert found == value
    assert type(found) is type(value)
