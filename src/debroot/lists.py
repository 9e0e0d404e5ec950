"""apt's stored index files against the Release files beside them: what a disk has damaged since apt verified it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

#: A line of a Release file's SHA256 section: hash, size, path.
ENTRY = re.compile(r"^ ([0-9a-f]{64}) +(\d+) (\S+)$")

#: apt's words for an index or a cache that it cannot read.
UNREADABLE = (
    "could not be parsed or opened",
    "Unable to parse package file",
    "Problem with MergeList",
    "cache file is",
)


def find_damaged(lists: Path) -> str | None:
    """The name of the first stored index that is not what its Release file says; None if all are."""
    for release in sorted(lists.glob("*Release")):
        prefix = release.name.removesuffix("_InRelease").removesuffix("_Release")
        for digest, path in parse_hashes(release.read_text(encoding="utf-8", errors="replace")):
            stored = lists / f"{prefix}_{path.replace('/', '_')}"
            if stored.is_file():
                with stored.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                        return stored.name
    return None


def parse_hashes(release: str) -> Iterator[tuple[str, str]]:
    """(SHA-256, path) of what a Release file lists."""
    inside = False
    for line in release.splitlines():
        if not line.startswith(" "):
            inside = line.strip() == "SHA256:"
        elif inside and (match := ENTRY.match(line)):
            yield match[1], match[3]
