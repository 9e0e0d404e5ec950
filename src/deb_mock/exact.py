"""Finding exact .debs by name, version and architecture: what a .buildinfo says, which knows no hashes of them.

Places in order: the store's layers and earlier answers (they know hashes), the pool, the archive as it is today, a
hub's suites as they are and were, a snapshot's signed archive at the time of the build, and its files by address.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from debcore.errors import Failure
from debcore.job import AptSource
from debroot.bootstrap import core_tools
from debroot.indexes import Indexes
from debroot.layers import describe_deb
from debroot.resolve import fetch
from debroot.store import Package, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Exact:
    """One binary package. `arch` "": the build's own architecture, or all."""

    name: str
    version: str
    arch: str = ""

    def __str__(self) -> str:
        return f"{self.name}{':' if self.arch else ''}{self.arch} {self.version}"

    def fits(self, package: Package, native: str) -> bool:
        archs = (self.arch,) if self.arch else (native, "all")
        return (package.name, package.version) == (self.name, self.version) and package.arch in archs


@dataclass
class Search:
    """What is wanted, what was found (each in the pool), and where."""

    store: Store
    native: str
    wanted: tuple[Exact, ...]
    found: dict[Exact, Package] = field(default_factory=dict)
    origins: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)  #: why a place did not answer
    foreign: str | None = None  #: the other architecture of a cross build's root

    @property
    def missing(self) -> tuple[Exact, ...]:
        return tuple(sorted(exact for exact in self.wanted if exact not in self.found))

    def offer(self, packages: Iterable[Package], origin: str) -> None:
        """Take those of *packages* that are wanted and in the pool."""
        for package, exact in self._useful(packages):
            if exact not in self.found and self.store.has([package]):
                self.found[exact] = package
                self.origins[origin] += 1

    def fetch(self, packages: Iterable[Package], origin: str) -> None:
        """Get those of *packages*, whose address and hash are known, that are wanted."""
        useful = [package for package, _ in self._useful(packages) if package.uri]
        if not useful:
            return
        try:
            fetch(self.store, useful, tools=core_tools(self.store))
        except Failure as error:
            self.said.append(f"{origin}: {error}")
        self.offer(useful, origin)

    def _useful(self, packages: Iterable[Package]) -> Iterator[tuple[Package, Exact]]:
        """Those of *packages* that are missing, with what they stand for."""
        by_name: dict[tuple[str, str], list[Exact]] = {}
        for exact in self.missing:
            by_name.setdefault((exact.name, exact.version), []).append(exact)
        for package in packages:
            for exact in by_name.get((package.name, package.version), ()):
                if exact.fits(package, self.native):
                    yield package, exact


def search_store(search: Search) -> None:
    """Layers, earlier answers of apt, and at last every .deb of the pool."""
    known = known_packages(search.store)
    search.offer(known, "this host")
    if search.missing:
        search.offer(pool_packages(search.store, {package.sha256 for package in known}), "this host")


def known_packages(store: Store) -> Sequence[Package]:
    """All packages that the store's layers have and apt's earlier answers named, those with an archive's path first."""
    found: dict[tuple[str, str, str, str], Package] = {}
    notes = [*(store.path / "layers").glob("*/meta.json"), *(store.path / "resolved").iterdir()]
    for note in notes:
        with suppress(OSError, ValueError, TypeError, KeyError):
            for fields in json.loads(note.read_text())["packages"]:
                package = Package(**fields)
                if package.key not in found or package.uri:
                    found[package.key] = package
    return sorted(found.values(), key=lambda p: (not p.filename, p.key))


def pool_packages(store: Store, known: Set[str]) -> Iterator[Package]:
    """Every .deb of the pool whose hash is not in *known*, described by its control file: that takes long."""
    for deb in sorted((store.path / "pool").glob("[0-9a-f][0-9a-f]/*")):
        if deb.name in known:
            continue
        with suppress(Failure, KeyError):
            yield describe_deb(deb, deb.name)


def search_known_addresses(search: Search) -> None:
    """What a layer or an answer knows by hash and address may still be in the archive, though the pool lost it."""
    search.fetch(known_packages(search.store), "the archive")


def search_archive(search: Search, sources: Sequence[AptSource], origin: str) -> None:
    """*sources* as they are: signed indexes give the hashes. What does not answer is noted and passed over."""
    if not search.missing:
        return
    try:
        tools = core_tools(search.store)
        with Indexes(search.store, tools, tuple(sources), search.native, foreign=search.foreign) as indexes:
            indexes.update(60.0)
            offered = indexes.find_exact([_spec(exact) for exact in search.missing])
    except Failure as error:
        search.said.append(f"{origin}: {error}")
        return
    search.fetch(offered, origin)


def at_snapshot(sources: Sequence[AptSource], snapshot: str, at: datetime) -> tuple[AptSource, ...]:
    """*sources* as an archive of snapshots had them at *at*: the addresses that Debian's snapshot service has."""
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    found = []
    for source in sources:
        security = all(suite.endswith("-security") for suite in source.suites)
        archive = "debian-security" if security else "debian"
        uri = f"{snapshot.rstrip('/')}/archive/{archive}/{stamp}/"
        found.append(source.model_copy(update={"uris": (uri,), "check_valid_until": False}))
    return tuple(found)


def search_places(
    search: Search,
    *,
    sources: Callable[[], Sequence[AptSource]] | None,
    snapshots: Sequence[str],
    at: datetime | None,
) -> None:
    """All places in order until nothing is missing. *sources* None: this host only."""
    search_store(search)
    if sources is None or not search.missing:
        return
    search_known_addresses(search)
    archive: Sequence[AptSource] = ()
    try:
        archive = sources()
    except Failure as error:
        search.said.append(f"the archive: {error}")
    for source in archive:
        search_archive(search, [source], "the archive")
    for snapshot in snapshots:
        search_snapshot(search, snapshot, archive, at)


def search_snapshot(search: Search, snapshot: str, archive: Sequence[AptSource], at: datetime | None) -> None:
    """One of --snapshot: a hub by what its suites have and had, or an archive of snapshots: *archive* as it was at
    *at*, and at last its files by name and version."""
    from deb_mock.hub import parse_place, search_hub
    from deb_mock.snapshot import search_files

    if not search.missing:
        return
    if (place := parse_place(snapshot)) is not None:
        search_hub(search, place)
        return
    for source in archive if at is not None else ():
        assert at is not None
        search_archive(search, at_snapshot([source], snapshot, at), f"{snapshot} (signed)")
    if search.missing:
        search_files(search, snapshot)


def _spec(exact: Exact) -> str:
    return f"{exact.name}:{exact.arch}={exact.version}" if exact.arch else f"{exact.name}={exact.version}"
