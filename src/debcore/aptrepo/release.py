"""The Release file of a suite.

Source: https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files. apt reads InRelease, which is this text
signed inline. `Generation` is our own field (apt skips what it does not know): the signer reads it from what it signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from debcore.aptrepo.indexes import IndexFile
from debcore.aptrepo.paths import ARCHITECTURE, COMPONENT, RELEASE_SUITE, check_name
from debcore.deb822 import make_stanza, parse_files, parse_stanza
from debcore.errors import Failure


@dataclass(frozen=True, kw_only=True)
class Release:
    """What Release says but for the list of files."""

    suite: str
    codename: str
    generation: int
    date: datetime  #: aware
    components: tuple[str, ...] = ("main",)
    architectures: tuple[str, ...] = ("amd64",)
    origin: str = ""
    label: str = ""
    description: str = ""
    valid_until: datetime | None = None  #: aware; apt refuses the suite afterwards

    def __post_init__(self) -> None:
        check_name(self.suite, RELEASE_SUITE, what="suite name")
        check_name(self.codename, RELEASE_SUITE, what="codename")
        for component in self.components:
            check_name(component, COMPONENT, what="component")
        for arch in self.architectures:
            check_name(arch, ARCHITECTURE, what="architecture")

    def text(self, files: Iterable[IndexFile]) -> str:
        """The whole file; *files* are sorted by path. Architecture all is part of each Packages."""
        listed = "".join(f"\n {f.sha256} {f.size} {f.path}" for f in sorted(files, key=lambda f: f.path))
        fields = [
            ("Origin", self.origin),
            ("Label", self.label),
            ("Suite", self.suite),
            ("Codename", self.codename),
            ("Generation", str(self.generation)),
            ("Date", _format_date(self.date)),
            ("Valid-Until", _format_date(self.valid_until) if self.valid_until else ""),
            ("Acquire-By-Hash", "yes"),
            ("Architectures", " ".join(self.architectures)),
            ("Components", " ".join(self.components)),
            ("Description", self.description),
            ("SHA256", listed),
        ]
        return str(make_stanza((name, value) for name, value in fields if value))


def parse_release(text: str | bytes) -> tuple[Release, tuple[IndexFile, ...]]:
    """A Release file of ours, unsigned. Errors: Failure on anything missing or malformed."""
    where = "Release"
    stanza = parse_stanza(text, where=where)
    generation = stanza.require("Generation", where=where)
    if not (generation.isascii() and generation.isdigit() and len(generation) < 19):
        raise Failure(f"Release: {generation!r} is no generation")
    valid_until = stanza.get("Valid-Until")
    release = Release(
        suite=stanza.require("Suite", where=where),
        codename=stanza.require("Codename", where=where),
        generation=int(generation),
        date=_parse_date(stanza.require("Date", where=where)),
        components=tuple(stanza.require("Components", where=where).split()),
        architectures=tuple(stanza.require("Architectures", where=where).split()),
        origin=stanza.get("Origin", ""),
        label=stanza.get("Label", ""),
        description=stanza.get("Description", ""),
        valid_until=_parse_date(valid_until) if valid_until else None,
    )
    files = parse_files(stanza.get("SHA256", ""), algorithm="sha256", where=where)
    return release, tuple(IndexFile(f.name, f.size, f.digest, None) for f in files)


def _format_date(moment: datetime) -> str:
    """RFC 5322 in English whatever the locale; apt wants UTC."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0)).replace("+0000", "UTC")


def _parse_date(text: str) -> datetime:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError as error:
        raise Failure(f"Release: {text[:60]!r} is no date") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
