"""From a document to checked values: every key there, every single value allowed, every problem at its place.

Owns unknown keys, defaults, credentials and the list of problems. Refuses to know what the values mean together
(study.rules).
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.redaction import HIDDEN, holds_credential, names_credential, redact
from sweeps.study.schema import BY_PATH, KEYS, SECTIONS, children
from sweeps.study.yaml_source import Document
from trainable.config import nearest
from trainable.errors import Problem, StudyError

MAX_SHOWN = 100
"""Characters of a wrong value that an error shows."""

MAX_PROBLEMS = 50
"""Problems that an error lists; the rest are counted."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Every key of the schema with its value, or its default where it is left out or wrong; `problems` grows."""

    values: dict[str, Any]
    given: frozenset[str]
    problems: list[Problem]

    def is_sound(self, *paths: str) -> bool:
        """Whether nothing is wrong at or below these keys, so that a rule about them would not mislead."""
        wrong = [f"{problem.field}." for problem in self.problems]
        return not any(field.startswith(f"{path}.") for field in wrong for path in paths)


def read_values(document: Document) -> Reading:
    """Each key checked by itself."""
    problems = list(_credentials(document.data, ""))
    hidden = {problem.field for problem in problems}
    tree = _tree(document.data, problems)
    for section in ("", *SECTIONS):
        problems += (problem for problem in _unknown(section, _at(tree, section)) if problem.field not in hidden)
    values: dict[str, Any] = {key.path: copy.deepcopy(key.default) for key in KEYS}
    given = {key.path for key in KEYS if isinstance(found := _at(tree, key.section), dict) and key.name in found}
    for key in KEYS:
        if key.path in given and key.path not in hidden:
            value = _at(tree, key.path)
            complaint = key.complaint(value)
            if complaint:
                problems.append(Problem(key.path, value, complaint))
            else:
                values[key.path] = value
    return Reading(values=values, given=frozenset(given), problems=problems)


def raise_problems(document: Document, problems: Sequence[Problem]) -> None:
    """Raises StudyError with one line a problem, `place: key = value: what is allowed`, in the order of the places."""
    located = [*document.located, *((document.place(problem.field), problem) for problem in problems)]
    located.sort(key=lambda pair: _order(pair[0]))
    lines = list(dict.fromkeys(f"{place}: {_line(problem)}" for place, problem in located))
    if len(lines) > MAX_PROBLEMS:
        lines[MAX_PROBLEMS:] = [f"{document.source}: and {len(lines) - MAX_PROBLEMS} more problems"]
    if lines:
        raise StudyError("\n".join(lines))


def _line(problem: Problem) -> str:
    value = str(problem.value) if isinstance(problem.value, float) else repr(problem.value)
    return f"{clean(problem.field) or repr('')} = {clean(value)}: {clean(problem.allowed, 500)}"


def clean(text: str, most: int = MAX_SHOWN) -> str:
    """`text` fit for one line of an error: without credentials and control characters, and not endless."""
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in redact(text))
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def _tree(data: Any, problems: list[Problem]) -> dict[str, Any]:
    if data is None:
        problems.append(Problem("file", None, "is empty; a study has at least one key, such as name: my-study"))
    elif not isinstance(data, dict):
        problems.append(Problem("file", data, "must be a mapping of keys to values"))
    tree = copy.deepcopy(data) if isinstance(data, dict) else {}
    if isinstance(search := tree.get("search"), dict) and isinstance(search.get("prune"), str):
        search["prune"] = {"rule": search["prune"]}
    return tree


def _unknown(section: str, found: Any) -> Iterator[Problem]:
    """Keys of a section that there are not, or the section itself where it is none."""
    known = children(section)
    if found is not None and not isinstance(found, dict):
        yield Problem(section, found, f"must be a mapping; its keys are {', '.join(known)}")
        return
    for name, value in (found or {}).items():
        if name not in known:
            elsewhere = [path for path in BY_PATH if path.rpartition(".")[2] == name]
            hint = nearest(name, known) or (f"; did you mean {elsewhere[0]}?" if elsewhere else "")
            path = f"{section}.{name}" if section else name
            yield Problem(path, value, "is no key" + (hint or f"; the keys here are {', '.join(known)}"))


def _at(tree: Any, path: str) -> Any:
    """The value at a dotted path, or None. A section that is no mapping reads as None below itself."""
    for name in path.split(".") if path else []:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(name)
    return tree


def _credentials(value: Any, path: str) -> Iterator[Problem]:
    """A study is copied into the ledger, MLflow and the report: it may not hold a credential."""
    advice = "looks like a credential; keep it in the environment, where the server or storage reads it from"
    if isinstance(value, dict):
        for key, child in value.items():
            below = f"{path}.{key}" if path else key
            if holds_credential(key) or (names_credential(key) and isinstance(child, str | int)):
                yield Problem(below, HIDDEN, advice)
            else:
                yield from _credentials(child, below)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _credentials(child, f"{path}.{index}")
    elif isinstance(value, str) and holds_credential(value):
        yield Problem(path, redact(value), advice)


def _order(place: str) -> tuple[bool, int]:
    """Lines of the file in order, then what the overrides say."""
    line = place.rpartition(":")[2]
    return place.startswith("--set"), int(line) if line.isdigit() else 0
