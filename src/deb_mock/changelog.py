"""The newest entry of debian/changelog, read on the host from a source directory that is not trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from debcore.errors import ConfigError, Failure

_HEAD = re.compile(r"(?P<source>[a-z0-9][a-z0-9+.-]+) \((?P<version>[^\s()]+)\)(?P<suites>(?: [A-Za-z0-9+.-]+)+);")


@dataclass(frozen=True)
class Entry:
    """Head of a changelog entry; `date` as written, RFC 5322. Source: deb-changelog(5)."""

    source: str
    version: str
    distribution: str
    date: str

    @property
    def upstream_version(self) -> str:
        """The version without epoch and Debian revision; "" if it has no revision: a native package."""
        return (self.version.partition(":")[2] or self.version).rpartition("-")[0]

    @property
    def directory(self) -> str:
        """What dpkg-source -x names the source directory."""
        return f"{self.source}-{self.upstream_version or self.version.rpartition(':')[2]}"


def parse_changelog(text: str, *, where: str) -> Entry:
    """Errors: ConfigError if the first line that is not empty is no entry's head."""
    lines = text.lstrip("\ufeff").splitlines()
    first = next((line for line in lines if line.strip()), "")
    found = _HEAD.match(first)
    if not found:
        hint = "an entry begins with: name (version) distribution; urgency=medium"
        raise ConfigError(f"{where}:1", f"{first[:80]!r} is no changelog entry", hint=hint)
    trailer = next((line for line in lines if line.startswith(" -- ")), "")
    date = trailer.partition(">  ")[2].strip()
    return Entry(found["source"], found["version"], found["suites"].split()[0], date)


def load_changelog(directory: Path) -> Entry:
    """Errors: Failure if *directory* is no Debian source directory."""
    path = directory / "debian" / "changelog"
    if (directory / "debian").is_symlink() or path.is_symlink() or not path.is_file():
        hint = "go to a directory that has debian/changelog, or name a .dsc or a package"
        raise Failure(f"{directory} is no Debian source directory: debian/changelog is missing", hint=hint)
    with path.open("rb") as file:
        text = file.read(1 << 20).decode("utf-8", "replace")
    return parse_changelog(text, where=str(path))
