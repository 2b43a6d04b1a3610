"""`--set section.key=value`: changes to a document before it is checked, so that they pass the very same checks.

Owns the syntax of an override and where its problems are said to be. Refuses to know which keys a study has.
"""

from collections.abc import Sequence
from typing import Any

from sweeps.study.reader import clean
from sweeps.study.yaml_source import Document, parse_document
from trainable.errors import Problem, StudyError


def apply_overrides(document: Document, overrides: Sequence[str]) -> None:
    """Changes the document as `section.key=value` texts say; the later wins. A malformed one is noted as a problem."""
    for override in overrides:
        place = f"--set {clean(override)}"
        path, equals, text = (part.strip() for part in override.partition("="))
        if not equals or not all(path.split(".")):
            problem = Problem("--set", override, "must be section.key=value, such as search.max_trials=4")
            document.located.append((place, problem))
            continue
        try:
            value = parse_document(text.encode(errors="backslashreplace"), place)
        except StudyError:
            document.located.append((place, Problem(path, text, "is not a YAML value")))
            continue
        document.located += [(place, problem) for _, problem in value.located]
        _put(document, path, value.data, place)


def _names(path: str, tree: Any) -> list[str]:
    """The keys along a dotted path. One that has dots itself, such as the name of an arm, is found where it stands already."""
    names = []
    while path:
        known = [key for key in tree if f"{path}.".startswith(f"{key}.")] if isinstance(tree, dict) else []
        name = max(known, key=len, default=path.partition(".")[0])
        names.append(name)
        path, tree = path[len(name) + 1:], tree.get(name) if isinstance(tree, dict) else None
    return names


def _put(document: Document, path: str, value: Any, place: str) -> None:
    """Sets one value, making the sections on the way."""
    document.data = {} if document.data is None else document.data
    *sections, name = _names(path, document.data)
    target = document.data
    for depth, section in enumerate(sections if isinstance(target, dict) else []):
        above = ".".join(sections[:depth + 1])
        if target.get(section) is None:
            target[section] = {}
            document.places.setdefault(above, place)
        inner = target[section]
        if not isinstance(inner, dict):
            problem = Problem(path, value, f"cannot be set, since {above} is one value; set {above} itself")
            document.located.append((place, problem))
            return
        target = inner
    if isinstance(target, dict):  # else the file itself is no mapping, and its reader says so
        target[name] = value
        document.places = {known: at for known, at in document.places.items() if not known.startswith(f"{path}.")}
        document.places[path] = place
