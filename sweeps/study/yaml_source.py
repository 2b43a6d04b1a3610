"""A study file as plain values, each with the place it came from; and plain values as the text of such a file.

Owns reading and writing: size, encoding, YAML syntax, duplicate keys, the meaning of unquoted scalars. Builds nothing
but dict, list, str, int, float, bool and None; tags, anchors and aliases are refused, so a file can neither run code
nor expand. Refuses to know which keys a study has.

Unquoted scalars mean what their author sees, by the core schema of YAML 1.2: 1e-5 is a number (YAML 1.1 makes it text),
`no` and `off` are text (YAML 1.1 makes them false), 010 is ten, 1:30 and 2024-01-01 are text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainable.errors import Problem, StudyError

MAX_BYTES = 100_000
MAX_DEPTH = 20

_INTEGER = re.compile(r"[-+]?\d+(_\d+)*", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d+(_\d+)*(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, Any] = {"": None, "~": None, **dict.fromkeys(("null", "Null", "NULL")),
                          **dict.fromkeys(("true", "True", "TRUE"), True),
                          **dict.fromkeys(("false", "False", "FALSE"), False)}


@dataclass
class Document:
    """Plain values, and where each dotted path stands: `file:line`, or the override that set it.

    `located` are the problems found so far, each with its place.
    """

    source: str
    data: Any = None
    places: dict[str, str] = field(default_factory=dict)
    located: list[tuple[str, Problem]] = field(default_factory=list)

    def place(self, path: str) -> str:
        """The place of the longest known beginning of `path`: a missing key is shown at the section it belongs in."""
        while path and path not in self.places:
            path = path.rpartition(".")[0]
        return self.places.get(path, f"{self.source}:1")


def read_document(path: Path) -> Document:
    """The document in a file. Raises StudyError when it cannot be read, or is no YAML."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise StudyError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse_document(raw, str(path))


def parse_document(raw: bytes, source: str) -> Document:
    """The document in these bytes of UTF-8. Raises StudyError when they are no YAML at all."""
    if len(raw) > MAX_BYTES:
        raise StudyError(f"{source}:1: file: is larger than {MAX_BYTES:,} bytes; no study is")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[:error.start].count(b"\n") + 1
        raise StudyError(f"{source}:{line}: file: is not UTF-8 text; save it as UTF-8") from None
    document = Document(source)
    node = _compose(text, source)
    if node is not None:
        document.places[""] = _place(document.source, node)
        document.data = _value(node, "", document)
    return document


def scalar(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 30:  # longer ones become floats: no key holds such a number
        return int(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "").lower())
    return float(text) if _FLOAT.fullmatch(text) else text


def write_document(data: Any) -> str:
    """Plain values as YAML that `parse_document` reads back as they are."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)


class _Writer(yaml.SafeDumper):
    """Quotes the texts that `scalar` would take for something else, besides those that YAML 1.1 would."""


def _text(writer: _Writer, text: str) -> yaml.ScalarNode:
    style = None if isinstance(scalar(text), str) else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def _compose(text: str, source: str) -> yaml.Node | None:
    """The node of the only document in `text`, once nothing in it can be dangerous."""
    try:
        dangers = list(_dangers(text, source))
        if dangers:
            raise StudyError("\n".join(dangers))
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise StudyError(f"{source}:{line}: file: {_syntax(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text[:error.position].count("\n") + 1
        raise StudyError(f"{source}:{line}: file: holds a character that YAML forbids") from None


def _dangers(text: str, source: str) -> Iterator[str]:
    """Tags, anchors, aliases, depth and further documents, found in the stream of events before anything is built."""
    depth = num_documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = _place(source, event)
        if getattr(event, "anchor", None):
            yield f"{place}: file: anchors (&) and aliases (*) are not allowed; write the value out"
        if getattr(event, "tag", None):
            yield f"{place}: file: tags (!) are not allowed; write the plain value"
        num_documents += isinstance(event, yaml.DocumentStartEvent)
        if isinstance(event, yaml.DocumentStartEvent) and num_documents > 1:
            yield f"{place}: file: holds more than one document (---); a file is one study"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            yield f"{place}: file: is nested deeper than {MAX_DEPTH} levels"
            return


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """What the parser stumbled over, in words. Its snippet of the file is left out: it may hold a credential."""
    problem = str(error.problem or "something is missing")
    if "'\\t'" in problem:
        return "a tab stands where only spaces may; indent with spaces"
    return f"is not valid YAML: {problem}" + (f" ({error.context})" if error.context else "")


def _value(node: yaml.Node, path: str, document: Document) -> Any:
    """Plain value of a node; fills in the places below `path`."""
    if isinstance(node, yaml.ScalarNode):
        return scalar(node.value) if node.style is None else node.value
    if isinstance(node, yaml.SequenceNode):
        document.places.update({_join(path, str(index)): _place(document.source, child)
                                for index, child in enumerate(node.value)})
        return [_value(child, _join(path, str(index)), document) for index, child in enumerate(node.value)]
    values: dict[str, Any] = {}
    for key_node, child in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        place, below = _place(document.source, key_node), _join(path, key)
        if not isinstance(key_node, yaml.ScalarNode):
            document.located.append((place, Problem(below, "a list or mapping", "a key must be plain text")))
        elif key in values:
            first = document.places[below]
            document.located.append((place, Problem(below, "again", f"stands twice; first at {first}")))
        else:
            document.places[below] = place
            values[key] = _value(child, below, document)
    return values


def _place(source: str, marked: yaml.Node | yaml.Event) -> str:
    return f"{source}:{marked.start_mark.line + 1}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
