"""Stanzas of `Name: value` fields, as in control files, Packages, Sources, Release, .dsc and .changes.

Reading streams and is bounded, for the input may be hostile. A field's value is kept as it was written:
the text behind the colon without surrounding blanks, then, for each continuation line, a newline and that line
with its leading blank. Writing a stanza that was read gives the same bytes but for blanks at ends of lines.
Source: deb822(5), Policy 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from debcore.errors import Failure

#: Bytes of one stanza. The largest in Debian (a Sources entry of texlive or linux) stays below 1 MiB.
MAX_STANZA = 16 * 1024 * 1024

_NAME = re.compile(r"[!-\"$-,.-9;-~][!-9;-~]*")  # printable, no colon, does not begin with # or -
_HASH = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


@dataclass(frozen=True)
class Stanza(Mapping[str, str]):
    """Fields in order; names are found whatever their case."""

    fields: tuple[tuple[str, str], ...]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.fields}

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def require(self, name: str, *, where: str) -> str:
        """Errors: Failure if the field is missing or empty; *where* names the file."""
        value = self.get(name, "").strip()
        if not value:
            raise Failure(f"{where}: the field {name} is missing")
        return value

    def without(self, *names: str) -> Stanza:
        gone = {name.lower() for name in names}
        return Stanza(tuple(field for field in self.fields if field[0].lower() not in gone))

    def updated(self, **values: str) -> Stanza:
        """Replace fields in place and append new ones; `_` in a keyword stands for `-`."""
        new = {name.replace("_", "-"): value for name, value in values.items()}
        known = {name.lower(): name for name in new}
        kept = tuple((n, new.pop(known[n.lower()])) if n.lower() in known else (n, v) for n, v in self.fields)
        return Stanza(kept + tuple(new.items()))

    def __str__(self) -> str:
        return "".join(_line(name, value) for name, value in self.fields)


def make_stanza(fields: Iterable[tuple[str, str]]) -> Stanza:
    """A stanza of our own making. Errors: Failure on a name or value that would not read back the same."""
    stanza = Stanza(tuple((name, value) for name, value in fields))
    for name, value in stanza.fields:
        sound = all(line[:1] in (" ", "\t") and line.strip() for line in value.split("\n")[1:])
        if not _NAME.fullmatch(name) or not sound or "\r" in value:
            raise Failure(f"{name!r}: {value[:60]!r} cannot be written as a deb822 field")
    return stanza


def parse_stanzas(data: bytes | str | Iterable[bytes], *, where: str = "") -> Iterator[Stanza]:
    """All stanzas of a text, or of lines as they come from a file (streaming).

    Errors: Failure naming *where* and the line on what is no field, on a field given twice, on a stanza that is too
    large, on text that is not UTF-8.
    """
    lines = data.encode().splitlines(keepends=True) if isinstance(data, str) else data
    lines = lines.splitlines(keepends=True) if isinstance(lines, bytes) else lines
    fields: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    size = 0
    for number, raw in enumerate(lines, start=1):
        size += len(raw)
        line = _decode(raw, where, number)
        if size > MAX_STANZA:
            raise _fault(where, number, "the stanza is too large")
        if not line.strip():
            if fields:
                yield _finish(fields)
            fields, size = [], 0
            seen.clear()
        elif line.startswith("#"):
            continue
        elif line[0] in " \t":
            if not fields:
                raise _fault(where, number, "a continuation line without a field")
            fields[-1][1].append(line)
        else:
            name, value = _parse_field(line, where, number)
            if name.lower() in seen:
                raise _fault(where, number, f"the field {name} stands twice in one stanza")
            seen.add(name.lower())
            fields.append((name, [value]))
    if fields:
        yield _finish(fields)


def parse_stanza(data: bytes | str, *, where: str = "") -> Stanza:
    """The only stanza of *data*. Errors: Failure if there is none or more than one."""
    stanzas = parse_stanzas(data, where=where)
    first = next(stanzas, None)
    if first is None or next(stanzas, None) is not None:
        raise Failure(f"{where or 'text'}: not exactly one stanza")
    return first


@dataclass(frozen=True)
class ListedFile:
    """A line of Files or Checksums-*. The name is as it was written: check it before use as a path."""

    name: str
    size: int  #: bytes
    digest: str


def parse_files(value: str, *, algorithm: str, where: str = "") -> tuple[ListedFile, ...]:
    """The lines of `Files` (md5; in a .changes with section and priority) or `Checksums-Sha256` and the like.

    Errors: Failure on a line that is none, and on a name listed twice.
    """
    files = []
    for line in value.split("\n"):
        words = line.split()
        if not words:
            continue
        sound = len(words) in (3, 5) and words[1].isascii() and words[1].isdigit() and len(words[1]) < 16
        if not sound or not re.fullmatch(f"[0-9a-f]{{{_HASH[algorithm]}}}", words[0]):
            raise Failure(f"{where}: {line.strip()[:80]!r} is no line of checksums")
        files.append(ListedFile(words[-1], int(words[1]), words[0]))
    if len({file.name for file in files}) != len(files):
        raise Failure(f"{where}: a file is listed twice")
    return tuple(files)


def _parse_field(line: str, where: str, number: int) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise _fault(where, number, f"{line[:60]!r} is no field")
    return name, value.strip()


def _decode(raw: bytes, where: str, number: int) -> str:
    try:
        return raw.decode().rstrip("\r\n\t ")
    except UnicodeDecodeError as error:
        raise _fault(where, number, "not UTF-8") from error


def _finish(fields: list[tuple[str, list[str]]]) -> Stanza:
    return Stanza(tuple((name, "\n".join(lines)) for name, lines in fields))


def _line(name: str, value: str) -> str:
    return f"{name}:{value}\n" if value.startswith("\n") or not value else f"{name}: {value}\n"


def _fault(where: str, number: int, message: str) -> Failure:
    return Failure(f"{where or 'text'}:{number}: {message}", hint="see deb822(5)")
