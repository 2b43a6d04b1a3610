"""Whatever a study file holds, it is a study or an error with its lines: no other exception, no hang."""

import copy
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.study import STUDIES, Study, load_study
from sweeps.study.schema import BY_PATH
from sweeps.study.yaml_source import write_document
from trainable.config import FIELDS
from trainable.errors import StudyError

FILE = Path(tempfile.mkdtemp(prefix="mixup-sweeps-any-")) / "any.yaml"
LINE = re.compile(rf"{re.escape(str(FILE))}:(\d+: .+ = .+|\d+: file: .+| and \d+ more problems)")
READY = {path.stem: load_study(path).to_dict() for path in sorted(STUDIES.glob("*.yaml"))}
TEXTS = [path.read_bytes() for path in sorted(STUDIES.glob("*.yaml"))]
FEW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

WORDS = ("best", "auto", "none", "tpe", "grid", "random", "cutmix", "manifold_mixup", "knn", "digits", "cifar10", "image_folder:96",
         "convnet", "mlp", "resnet18", "epsilon", "log", "linear", "holdout", "disjoint", "val/error", "transfer", "0,1", "../x")
NAMES = tuple(dict.fromkeys([part for path in BY_PATH for part in path.split(".")] + list(FIELDS) + [
    "low", "high", "scale", "choices", "points", "when", "first", "width", "difference", "verdict", "max_trials", "model", "a b"]))
LEAVES = (st.none() | st.booleans() | st.integers(-3, 40) | st.integers() | st.floats() | st.sampled_from(WORDS)
          | st.sampled_from([0.1, 0.5, 1e-4, 1e308, 2**63, 10**400]) | st.text(max_size=12))
VALUES = st.recursive(LEAVES, lambda below: st.lists(below, max_size=4)
                      | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), below, max_size=4), max_leaves=12)
PATHS = st.sampled_from(sorted({*BY_PATH, *(path.rpartition(".")[0] for path in BY_PATH if "." in path)}))


def outcome(raw: bytes) -> Study | None:
    """The study that the file is, or None where it is refused, as it should be."""
    FILE.write_bytes(raw)
    try:
        study = load_study(FILE)
    except StudyError as error:
        for line in str(error).splitlines():
            assert LINE.fullmatch(line), line
            assert line.isprintable()
            assert len(line) < 1500
        return None
    assert Study.from_dict(study.to_dict()) == study
    return study


def put(tree: Any, path: str, value: Any) -> None:
    """Set a dotted path, through whatever is there."""
    *above, name = path.split(".")
    for part in above:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[name] = value


@FEW
@given(st.binary(max_size=400))
def test_any_bytes(raw: bytes) -> None:
    outcome(raw)


@FEW
@given(st.text(st.sampled_from("ab:{}[],'\"\n\t -#&*!|>?%@`=~01.e\\\x00\ufeff\u2028é"), max_size=120))
def test_any_text_of_the_characters_that_yaml_cares_about(text: str) -> None:
    outcome(text.encode())


@FEW
@given(VALUES)
def test_any_values_as_yaml(value: Any) -> None:
    outcome(write_document(value).encode(errors="surrogatepass"))


@FEW
@given(st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=5))
def test_any_values_under_the_keys_of_a_study(changes: list[tuple[str, Any]]) -> None:
    tree: dict[str, Any] = {}
    for path, value in changes:
        put(tree, path, value)
    outcome(write_document(tree).encode(errors="surrogatepass"))


@FEW
@given(st.sampled_from(sorted(READY)), st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=3))
def test_a_ready_study_with_any_values_in_it(name: str, changes: list[tuple[str, Any]]) -> None:
    tree = copy.deepcopy(READY[name])
    for path, value in changes:
        put(tree, path, value)
    outcome(write_document(tree).encode(errors="surrogatepass"))


@FEW
@given(st.sampled_from(TEXTS), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3), st.binary(max_size=3)), min_size=1,
                                        max_size=4))
def test_a_ready_file_with_bytes_changed(raw: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    for place, length, new in cuts:
        start = place % (len(raw) + 1)
        raw = raw[:start] + new + raw[start + length:]
    outcome(raw)


@FEW
@given(st.lists(st.text(max_size=30) | st.tuples(PATHS | st.text(max_size=8), VALUES | st.text(max_size=12)).map(
    lambda pair: f"{pair[0]}={pair[1]}"), min_size=1, max_size=3))
def test_any_overrides(overrides: list[str]) -> None:
    try:
        study = load_study("smoke", overrides)
    except StudyError as error:
        for line in str(error).splitlines():
            assert line.startswith("--set ") or re.match(r".+smoke\.yaml:\d+: ", line), line
            assert line.isprintable()
        return
    assert Study.from_dict(study.to_dict()) == study


@pytest.mark.parametrize("name", sorted(READY))
def test_an_untouched_study_is_one(name: str) -> None:
    assert outcome(write_document(READY[name]).encode()) is not None


def test_a_setting_that_is_none_beside_arms_is_a_problem_and_no_crash() -> None:
    assert outcome(b"measure: {at: {name: null}, arms: {cutmix: {method: cutmix, alpha: 1}}}\n") is None


def test_a_refused_file_is_refused() -> None:
    assert outcome(b"seed: -1\nname: [a]\n") is None
