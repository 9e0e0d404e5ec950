"""Reading tmpfiles.d and sysusers.d of a tree. Standard library only.

Source: tmpfiles.d(5), sysusers.d(5); words are split as systemd does it (quotes, C escapes), specifiers kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.tree import files

ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)")
CONTROL = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "s": " "}


@dataclass(frozen=True)
class TmpfilesLine:
    """One line of tmpfiles.d. Empty fields are "-"."""

    kind: str
    path: str
    mode: str
    user: str
    group: str
    age: str
    argument: str
    file: str


@dataclass(frozen=True)
class SysusersLine:
    """One line of sysusers.d. Empty fields are "-"."""

    kind: str  #: u, u!, g, m or r
    name: str
    id: str
    gecos: str
    home: str
    shell: str
    file: str


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 3:
        return chr(int(code[1:], 16) if code[0] == "x" else int(code, 8))
    return CONTROL.get(code, code)


def split_words(line: str) -> list[str]:
    """Words of one line. Errors: ValueError on a quote that is not closed."""
    words: list[str] = []
    word, quote, started = "", "", False
    at = 0
    while at < len(line):
        char = line[at]
        match = ESCAPE.match(line, at)
        if match:
            word, started, at = word + _unescape(match), True, match.end()
            continue
        at += 1
        if quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in "'\"":
            quote, started = char, True
        elif char in " \t\r\n":
            if started:
                words.append(word)
            word, started = "", False
        else:
            word, started = word + char, True
    if quote:
        raise ValueError(f"quote {quote} is not closed")
    return [*words, word] if started else words


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):  # systemd knows no other end of a line
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def parse_tmpfiles(text: str, *, file: str) -> list[TmpfilesLine]:
    """Lines in their order; a line that cannot be split, or without a path, is left out as systemd does."""
    made = []
    for line in _lines(text):
        try:
            words = split_words(line)
        except ValueError:
            continue
        if len(words) < 2:
            continue
        fixed, argument = words[:6], " ".join(words[6:])
        fixed += ["-"] * (6 - len(fixed))
        kind, path, mode, user, group, age = fixed
        made.append(TmpfilesLine(kind, path, mode, user, group, age, argument or "-", file))
    return made


def parse_sysusers(text: str, *, file: str) -> list[SysusersLine]:
    """Lines in their order. Errors: ValueError naming the line that is none."""
    made = []
    for line in _lines(text):
        words = split_words(line)
        if len(words) < 2 or words[0] not in {"u", "u!", "g", "m", "r"}:
            raise ValueError(f"{file}: {line!r} is no line of sysusers.d")
        kind, name, number, gecos, home, shell = (words + ["-"] * 6)[:6]
        made.append(SysusersLine(kind, name, number, gecos, home, shell, file))
    return made


def load_tmpfiles(tree: Path) -> list[TmpfilesLine]:
    """All lines that count, in the order in which systemd reads them: the first line for a path wins."""
    return [
        line
        for name, text in files.read_drop_ins(tree, "etc/tmpfiles.d", "usr/lib/tmpfiles.d")
        for line in parse_tmpfiles(text, file=name)
    ]


def load_sysusers(tree: Path) -> list[SysusersLine]:
    """All lines that count, in the order in which systemd reads them. Errors: ValueError."""
    return [
        line
        for name, text in files.read_drop_ins(tree, "etc/sysusers.d", "usr/lib/sysusers.d")
        for line in parse_sysusers(text, file=name)
    ]


def load_names(tree: Path, database: str) -> list[list[str]]:
    """Fields of each line of etc/passwd, group, shadow or gshadow; NIS lines and comments left out."""
    text = files.read_text(tree, f"etc/{database}") or ""
    return [line.split(":") for line in text.splitlines() if line.strip() and line[0] not in "#+-"]
