"""What a package's changelog says about the versions between two. Source: deb-changelog(5), Policy 4.4.

The text comes out of a .deb and is not trusted: sizes are bounded, nothing but its lines is used.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from debcore.deb import read_first_file
from debcore.errors import Failure
from debcore.version import Version, parse_version

MAX_CHANGELOG = 16 * 1024 * 1024  #: bytes, unpacked
MAX_ENTRIES = 50
#: Names in a .deb, the more telling first. Source: Policy 12.7.
NAMES = ("changelog.Debian.{arch}.gz", "changelog.Debian.gz", "changelog.gz")

_HEAD = re.compile(r"(?P<source>[a-z0-9][a-z0-9+.-]+) \((?P<version>[^\s()]+)\)(?: [A-Za-z0-9+.~-]+)+;(?P<fields>.*)")
_CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
_BUG = re.compile(r"closes:\s*(?:bug)?#?\s?\d+(?:,\s*(?:bug)?#?\s?\d+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One version's changes: the lines as written, without their indentation."""

    version: str
    urgency: str  #: "" if the entry has none
    lines: tuple[str, ...]

    @property
    def cves(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_CVE.findall("\n".join(self.lines))))

    @property
    def bugs(self) -> tuple[int, ...]:
        """Bugs that it closes. Source: Policy 4.4, deb-changelog(5)."""
        found = (int(number) for said in _BUG.findall("\n".join(self.lines)) for number in re.findall(r"\d+", said))
        return tuple(dict.fromkeys(found))


def parse_entries(text: str) -> Iterator[Entry]:
    """Newest first, as they stand. What is no entry (old formats at a changelog's end) ends them."""
    version, urgency, lines = "", "", list[str]()
    for line in text.splitlines():
        if head := _HEAD.match(line):
            version, lines = head["version"], []
            urgency = dict(_fields(head["fields"])).get("urgency", "")
        elif line.startswith(" -- ") and version:
            yield Entry(version, urgency, tuple(_trim(lines)))
            version = ""
        elif line.startswith("  ") or not line.strip():
            lines.append(line[2:].rstrip())
        elif not version:
            return


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, _, value = part.partition("=")
        yield name.strip().lower(), value.strip()


def _trim(lines: list[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[0]:
        kept.pop(0)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def entries_between(text: str, before: str, after: str) -> tuple[Entry, ...]:
    """Entries of versions above *before* up to *after*, newest first, at most MAX_ENTRIES."""
    low, high = parse_version(before), parse_version(after)

    def is_new(entry: Entry) -> bool:
        version = _version(entry)
        return version is None or version > low

    found = [entry for entry in takewhile(is_new, parse_entries(text)) if (_version(entry) or high) <= high]
    return tuple(found[:MAX_ENTRIES])


def _version(entry: Entry) -> Version | None:
    try:
        return parse_version(entry.version)
    except Failure:
        return None


def load_changelog(deb: Path, *, package: str, arch: str) -> str | None:
    """The Debian changelog in *deb*; None if it has none (its directory may be a link to another package's).

    Errors: Failure if the file is no sound .deb or the changelog is too large.
    """
    wanted = [f"usr/share/doc/{package}/{name.format(arch=arch)}" for name in NAMES]
    with deb.open("rb") as file:
        packed = read_first_file(file, wanted, where=deb.name, limit=MAX_CHANGELOG)
    if packed is None:
        return None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as unpacked:
            text = unpacked.read(MAX_CHANGELOG + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Failure(f"{deb.name}: its changelog is damaged: {error}") from error
    if len(text) > MAX_CHANGELOG:
        raise Failure(f"{deb.name}: its changelog is larger than {MAX_CHANGELOG} bytes")
    return text.decode("utf-8", "replace")
