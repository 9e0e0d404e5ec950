"""How often each source package of a tree was uploaded, by the changelogs in it. Standard library only.

The tree alone decides: the year ends with the newest upload of all, not today. Source: deb-changelog(5), Policy 12.7.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from deb_bootc_compose.tree import dpkg

NAMES = ("changelog.Debian.gz", "changelog.gz")  #: the former of a package with an upstream, the latter of a native one
YEAR = timedelta(days=365)
LIMIT = 1 << 20  #: bytes, unpacked, from the beginning: the newest entries
_END = re.compile(r"^ -- .*>  (?P<date>\S.*)$", re.MULTILINE)
#: Entries that are read of one changelog; nothing is uploaded so often in a year.
ENTRIES = 400


def parse_uploads(text: str) -> Iterator[datetime]:
    """When the entries of a changelog were signed off, as they stand. What is no date is passed over."""
    for number, match in enumerate(_END.finditer(text)):
        if number == ENTRIES:
            return
        try:
            moment = parsedate_to_datetime(match["date"].strip())
        except (ValueError, TypeError, IndexError):
            continue
        if moment.tzinfo is not None:
            yield moment


def load_uploads(tree: Path, installed: Iterable[dpkg.Installed]) -> dict[str, int]:
    """Source → uploads in the year before the newest upload of all. What has no changelog in the tree is left out."""
    found: dict[str, list[datetime]] = {}
    for package in installed:
        if package.source not in found:
            text = _read_changelog(tree, package.name)
            if text is not None:
                found[package.source] = list(parse_uploads(text))
    return count_uploads(found)


def count_uploads(found: Mapping[str, Iterable[datetime]]) -> dict[str, int]:
    moments = [(source, moment) for source, all_ in found.items() for moment in all_]
    if not moments:
        return {}
    newest = max(moment for _, moment in moments)
    counted = Counter(source for source, moment in moments if newest - moment < YEAR)
    return {source: counted[source] for source in found}


def _read_changelog(tree: Path, package: str) -> str | None:
    place = tree / "usr/share/doc" / package
    for name in NAMES:
        path = place / name
        if place.is_symlink() or path.is_symlink() or not path.is_file():
            continue  # another package's, which is read by its own name
        try:
            with gzip.open(path) as file:
                return file.read(LIMIT).decode("utf-8", "replace")
        except (OSError, EOFError, zlib.error):
            return None  # damaged: as if there were none
    return None
