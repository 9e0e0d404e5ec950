"""Contents and Translation: what follows Packages, for apt-file and for descriptions in apt's own index.

Source: https://wiki.debian.org/DebianRepository/Format#A.22Contents.22_indices.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from debcore.deb822 import Stanza, make_stanza

_SECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9/+._-]*")
_WIDTH = 55  #: of the column of paths, as dak has it


def contents_path(component: str, arch: str) -> str:
    return f"{component}/Contents-{arch}"


def translation_path(component: str) -> str:
    return f"{component}/i18n/Translation-en"


def make_contents_location(package: str, section: str) -> str:
    """How Contents names a package. A section that is no word is left out."""
    return f"{section}/{package}" if _SECTION.fullmatch(section) else package


def make_contents(rows: Iterable[tuple[bytes, str]]) -> Iterator[tuple[str, bytes]]:
    """One line for each path from (path, location), sorted by path: (path for cutting into blocks, line)."""
    for path, group in groupby(rows, key=lambda row: row[0]):
        locations = ",".join(sorted({location for _, location in group}))
        yield path.decode("utf-8", "surrogateescape"), path.ljust(_WIDTH) + b" " + locations.encode() + b"\n"


def make_translation(stanza: Stanza) -> Stanza | None:
    """The entry of Translation-en for a Packages entry; None if that has no description."""
    description = stanza.get("Description", "")
    if not description:
        return None
    md5 = hashlib.md5(f"{description}\n".encode(), usedforsecurity=False).hexdigest()
    fields = [("Package", stanza["Package"]), ("Description-md5", md5), ("Description-en", description)]
    return make_stanza(fields)
