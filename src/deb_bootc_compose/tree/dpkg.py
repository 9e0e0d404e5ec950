"""What the dpkg database of a tree says: packages, their sources, and who owns which path.

Standard library only. Source: dpkg(1), dpkg-divert(1), deb-control(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Where the database is in a finished tree, and where dpkg looks for it.
IMAGE_ADMINDIR = "usr/lib/sysimage/dpkg"
ADMINDIR = "var/lib/dpkg"
#: JSON: a list of the packages with name, version, arch, sha256, size, source and source_version, sorted.
DEBS = "usr/lib/sysimage/debs.json"


@dataclass(frozen=True)
class Installed:
    """One installed package."""

    name: str
    version: str
    arch: str
    source: str
    source_version: str
    status: str


def find_admindir(tree: Path) -> str | None:
    """Where the tree has its dpkg database, or None if it has none."""
    for place in (IMAGE_ADMINDIR, ADMINDIR):
        if (tree / place / "status").is_file():
            return place
    return None


def parse_stanzas(text: str) -> Iterator[Mapping[str, str]]:
    """Fields of each stanza, names in lower case; continuation lines joined with newlines."""
    stanza: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.strip():
            if stanza:
                yield stanza
            stanza, last = {}, ""
        elif line[0] in " \t":
            if last:
                stanza[last] += "\n" + line[1:]
        else:
            key, _, value = line.partition(":")
            last = key.lower()
            stanza[last] = value.strip()
    if stanza:
        yield stanza


def parse_status(text: str) -> list[Installed]:
    """The packages of a status file that are not merely known, sorted by name and architecture."""
    found = []
    for stanza in parse_stanzas(text):
        status = stanza.get("status", "")
        if not status or status.split()[-1] == "not-installed":
            continue
        name, version = stanza["package"], stanza.get("version", "")
        source, _, in_parens = stanza.get("source", name).partition(" ")
        source_version = in_parens.strip("() ") or version
        found.append(Installed(name, version, stanza.get("architecture", ""), source, source_version, status))
    return sorted(found, key=lambda p: (p.name, p.arch))


def load_installed(tree: Path) -> list[Installed]:
    """The packages of the tree; an empty list if it has no dpkg database."""
    admindir = find_admindir(tree)
    return parse_status((tree / admindir / "status").read_text("utf-8", "replace")) if admindir else []


def merged_directories(tree: Path) -> dict[str, str]:
    """Top-level links of a merged /usr: {"bin": "usr/bin", …}."""
    names = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32")
    return {n: str((tree / n).readlink()).lstrip("/") for n in names if (tree / n).is_symlink()}


def parse_diversions(text: str) -> dict[tuple[str, str], str]:
    """{(path, package whose files are diverted or ""): new path}: the file of dpkg-divert, three lines each."""
    lines = text.splitlines()
    made: dict[tuple[str, str], str] = {}
    for path, target, holder in zip(lines[::3], lines[1::3], lines[2::3], strict=False):
        made[path.lstrip("/"), holder] = target.lstrip("/")
    return made


def load_owners(tree: Path) -> dict[str, str]:
    """{path: source package} for all paths that dpkg lists, aliases of a merged /usr resolved.

    A path of several packages (a directory) goes to the first by name, as the packages are sorted.
    """
    admindir = find_admindir(tree)
    if admindir is None:
        return {}
    owners: dict[str, str] = {}
    listed = _Listed(tree, admindir)
    for package in load_installed(tree):
        for path in listed.paths(package):
            owners.setdefault(path, package.source)
    return owners


def load_paths(tree: Path, name: str) -> list[str]:
    """Paths that dpkg lists for the package *name*, of any architecture, in dpkg's order, as in load_owners."""
    admindir = find_admindir(tree)
    if admindir is None:
        return []
    listed = _Listed(tree, admindir)
    paths = [path for package in load_installed(tree) if package.name == name for path in listed.paths(package)]
    return [path for path in dict.fromkeys(paths) if path not in ("", ".")]


class _Listed:
    """dpkg's lists of paths, aliases of a merged /usr and diversions resolved."""

    def __init__(self, tree: Path, admindir: str) -> None:
        self._info = tree / admindir / "info"
        self._merged = merged_directories(tree)
        diversions = tree / admindir / "diversions"
        self._diversions = parse_diversions(diversions.read_text()) if diversions.is_file() else {}

    def paths(self, package: Installed) -> Iterator[str]:
        listing = self._info / f"{package.name}.list"
        if not listing.is_file():
            listing = self._info / f"{package.name}:{package.arch}.list"
        if not listing.is_file():
            return
        for line in listing.read_text("utf-8", "surrogateescape").splitlines():
            path = line.lstrip("/")
            for (diverted, holder), target in self._diversions.items():
                if path == diverted and holder != package.name:
                    path = target
            first, _, rest = path.partition("/")
            if first in self._merged and rest:
                path = f"{self._merged[first]}/{rest}"
            yield path
