"""Packages of this host that a build may use beside the archive's: .debs, directories of them, .changes files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from debian.deb822 import Deb822

from debcore.errors import ConfigError
from debcore.path import check_file_name
from debroot.store import Package, Store

#: A .changes larger than this is refused, bytes.
MAX_CHANGES = 16 * 1024 * 1024


def find_debs(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The .debs that *paths* (files, .changes, directories) stand for, without those with debug symbols.

    Errors: ConfigError on a path that is none of these.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for deb in _expand(path):
            if not deb.is_file():
                raise ConfigError(str(deb), "no such package file")
            found[deb.absolute()] = None
    return tuple(deb for deb in found if "-dbgsym_" not in deb.name)


def _expand(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(path.glob("*.deb"))
    elif path.suffix == ".deb":
        yield path
    elif path.suffix == ".changes" and path.is_file():
        with path.open("rb") as file:
            fields = Deb822(file.read(MAX_CHANGES).decode("utf-8", "replace"))
        for line in fields.get("Checksums-Sha256", "").strip().splitlines():
            name = check_file_name(line.split()[-1], where=str(path))
            if name.endswith(".deb"):
                yield path.parent / name
    else:
        raise ConfigError(str(path), "is no .deb, .changes or directory", hint="name packages that were built before")


def offer_debs(store: Store, debs: Sequence[Path]) -> tuple[Package, ...]:
    """*debs*, copied into the pool: from now on they are known by their hash. Errors: Failure on what is no .deb."""
    return tuple(store.add_deb(path) for path in debs)
