"""Debian versions: dpkg's order, and a key of bytes that a database sorts the same way.

Source: Debian Policy 5.6.12, deb-version(7). Versions are never compared as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from debcore.errors import Failure

_UPSTREAM = re.compile(r"[0-9][A-Za-z0-9.+~:-]*")
_REVISION = re.compile(r"[A-Za-z0-9.+~]+")
_MAX_EPOCH = 2**31 - 1  # dpkg keeps it in an int

_TILDE = b"\x01"  # before the end of a part …
_END = b"\x02"  # … which is before letters (their ASCII codes), which are before all else (0x80 and above)


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """A version in three parts; equal if dpkg calls them equal, so `1.0` == `1.0-0` == `0:1.0`."""

    epoch: int
    upstream: str
    revision: str  #: "" for a native package

    @property
    def key(self) -> bytes:
        """Sorts as dpkg does when compared byte by byte (SQLite BLOB, PostgreSQL bytea)."""
        return _number_key(str(self.epoch)) + _part_key(self.upstream) + _part_key(self.revision)

    @property
    def is_native(self) -> bool:
        return not self.revision

    @property
    def without_epoch(self) -> str:
        """As in file names of a .dsc and .deb."""
        return f"{self.upstream}-{self.revision}" if self.revision else self.upstream

    def __str__(self) -> str:
        return f"{self.epoch}:{self.without_epoch}" if self.epoch else self.without_epoch

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self.key < other.key if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


def parse_version(text: str) -> Version:
    """Errors: Failure if *text* is no version that dpkg accepts."""
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    sound = len(text) <= 512 and epoch.isascii() and epoch.isdigit() and int(epoch) <= _MAX_EPOCH
    if not sound or not _UPSTREAM.fullmatch(upstream) or (dash and not _REVISION.fullmatch(revision)):
        raise Failure(f"{text[:80]!r} is no Debian version", hint="see deb-version(7)")
    return Version(int(epoch), upstream, revision)


def version_key(text: str) -> bytes:
    """The sortable key of *text*. Errors: Failure if it is no version."""
    return parse_version(text).key


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1, as `dpkg --compare-versions`. Errors: Failure if either is no version."""
    a, b = version_key(left), version_key(right)
    return (a > b) - (a < b)


def _part_key(part: str) -> bytes:
    pairs: list[tuple[str, str]] = re.findall(r"([^0-9]*)([0-9]*)", part)
    if len(pairs) > 1:
        pairs.pop()  # the empty match at the end; alone it stands for "", which equals "0"
    return b"".join(_text_key(text) + _number_key(digits) for text, digits in pairs) + _END


def _text_key(text: str) -> bytes:
    return b"".join(_character_key(c) for c in text) + _END


def _character_key(c: str) -> bytes:
    if c == "~":
        return _TILDE
    return c.encode() if c.isalpha() else bytes([0x80 + ord(c)])


def _number_key(digits: str) -> bytes:
    digits = digits.lstrip("0")
    length = bytes([len(digits)]) if len(digits) < 255 else b"\xff" + len(digits).to_bytes(4, "big")
    return length + digits.encode()
