"""YAML as a tree of values that know their file and line; stricter than YAML is.

No duplicate keys, no anchors, no tags but `!reset`, no second document; only `true` and `false` are booleans, only
plain decimal numbers are numbers, so that `no`, `on`, `1_000`, `010` and `2026-11-22` stay the text they look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from debcore.errors import ConfigError

#: A manifest is written by hand: anything larger (bytes) or deeper is a mistake or an attack.
MAX_SIZE = 1024 * 1024
MAX_DEPTH = 40

#: What nobody writes by hand is refused before it is computed with.
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")

TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Mark:
    """Where a value was written. Lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value with its origin. `reset`: replaces what includes gave instead of being appended or merged."""

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    mark: Mark
    reset: bool = False
    keys: dict[str, Mark] | None = None  #: where each key of a mapping was written

    def plain(self) -> Any:
        """The value without marks, as JSON would hold it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, location: tuple[int | str, ...]) -> Mark:
        """The mark of what stands at *location*, or of the nearest thing around it."""
        return self.find(location).mark

    def find(self, location: tuple[int | str, ...]) -> Node:
        """What stands at *location*, or the nearest thing around it. Steps that name nothing are passed over."""
        node = self
        for step in location:
            below: Node | None = None
            if isinstance(node.value, dict) and isinstance(step, str):
                below = node.value.get(step)
            elif isinstance(node.value, tuple) and isinstance(step, int) and step < len(node.value):
                below = node.value[step]
            node = node if below is None else below
        return node

    def key_mark(self, key: str) -> Mark:
        return (self.keys or {}).get(key, self.mark)

    def walk(self, path: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], Node]]:
        """Every scalar (and empty list or mapping) with its path."""
        if isinstance(self.value, dict) and self.value:
            for key, node in self.value.items():
                yield from node.walk((*path, key))
        elif isinstance(self.value, tuple) and self.value:
            for index, node in enumerate(self.value):
                yield from node.walk((*path, index))
        else:
            yield path, self

    def with_value(self, value: Scalar | tuple[Node, ...] | dict[str, Node]) -> Node:
        return replace(self, value=value)


class _Loader(yaml.SafeLoader):
    """SafeLoader that guesses fewer types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"~|null|"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]*)"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+"), list("-0123456789"))
# PyYAML anchors with match(); `$` keeps `13abc` from being a number.
for _rules in _Loader.yaml_implicit_resolvers.values():
    _rules[:] = [(tag, re.compile(f"(?:{pattern.pattern})$")) for tag, pattern in _rules]


def parse_document(text: str, file: str) -> Node:
    """The one mapping in *text*. Errors: ConfigError with file:line."""
    try:
        loader = _Loader(text)
        try:
            _refuse_aliases(text, file)
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1 if mark else 1}"
        raise ConfigError(where, f"no valid YAML: {error.problem or error}", hint=_yaml_hint(text, mark)) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        character = f"U+{ord(error.character):04X}" if isinstance(error.character, str) else repr(error.character)
        raise ConfigError(f"{file}:{line}", f"no valid YAML: the character {character} is not allowed") from error
    if root is None:
        raise ConfigError(f"{file}:1", "the file is empty", hint="deb-bootc-compose init DIR writes one to start from")
    node = _convert(root, file)
    if not isinstance(node.value, dict):
        raise ConfigError(str(node.mark), "a manifest is a mapping of keys to values")
    return node


def load_document(path: Path, *, name: str | None = None) -> Node:
    """Read and parse *path*; *name* is what errors call it. Errors: ConfigError."""
    name = name or str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SIZE + 1)
        text = raw.decode()
    except FileNotFoundError as error:
        raise ConfigError(name, "there is no such file", hint="deb-bootc-compose init DIR writes one") from error
    except OSError as error:
        raise ConfigError(name, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{line}", "is not UTF-8", hint="save the file as UTF-8") from error
    if len(raw) > MAX_SIZE:
        raise ConfigError(name, f"is larger than {MAX_SIZE} bytes")
    return parse_document(text, name)


def _refuse_aliases(text: str, file: str) -> None:
    """And what is nested too deep for the calls that follow."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = f"{file}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(
                where, "YAML anchors and aliases are not used here",
                hint="put what is shared into an included *.tree.yaml",
            )  # fmt: skip
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(where, f"nested deeper than {MAX_DEPTH} levels")


def _convert(node: yaml.Node, file: str) -> Node:
    mark = Mark(file, node.start_mark.line + 1 if node.start_mark else 1)
    reset = node.tag == "!reset"
    if not reset and node.tag not in TAGS:
        raise ConfigError(str(mark), f"unknown tag {node.tag}", hint="the only tag is !reset")
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(node, mark, reset=reset)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(_convert(item, file) for item in node.value)
        return Node(items, mark, reset)
    return Node(_scalar(node, mark, reset=reset), mark, reset)


def _convert_mapping(node: yaml.MappingNode, mark: Mark, *, reset: bool) -> Node:
    values: dict[str, Node] = {}
    keys: dict[str, Mark] = {}
    for key_node, value_node in node.value:
        where = Mark(mark.file, key_node.start_mark.line + 1 if key_node.start_mark else mark.line)
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str) or not key:
            raise ConfigError(str(where), "a key must be plain text")
        _check_text(key, where)
        if key in values:
            raise ConfigError(
                str(where), f"the key {key!r} stands here twice", hint=f"it was first given in line {keys[key].line}"
            )
        values[key] = _convert(value_node, mark.file)
        keys[key] = where
    return Node(values, mark, reset, keys)


def _scalar(node: yaml.Node, mark: Mark, *, reset: bool) -> Scalar:
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if reset and isinstance(node, yaml.ScalarNode):
        if node.style is None and text in ("", "~", "null"):
            return None
        return text
    _check_text(text, mark)
    match kind:
        case "bool":
            return text == "true"
        case "null":
            return None
        case "int" | "float":
            if not _NUMBER.fullmatch(text) or (kind == "int" and "." in text):
                raise ConfigError(str(mark), f"{text[:40]!r} is no number", hint="at most 18 digits, without exponent")
            return int(text) if kind == "int" else float(text)
    return text


def _check_text(text: str, mark: Mark) -> None:
    """Errors: ConfigError for what no file name and no file in UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(str(mark), "half of a surrogate pair is no text") from error
    if "\0" in text:
        raise ConfigError(str(mark), "a NUL is no text")


def _yaml_hint(text: str, mark: yaml.Mark | None) -> str:
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return "check the indentation and closing quotes above the end of the file"
    return f"column {mark.column + 1} of: {lines[mark.line].strip()[:80]}"
