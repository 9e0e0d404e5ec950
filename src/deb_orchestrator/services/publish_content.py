"""What suites hold: packages are imported once, and each membership says from which event on and until which.

Callers verify signatures, build and uploader first; here stand only the rules of the archive itself:
one content under one name and version for ever, and no suite goes backwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import NewEvent, append_events, last_event
from deb_orchestrator.services.publish_members import (
    Holding,
    find_superseded_binaries,
    find_superseded_sources,
    list_names,
)
from deb_orchestrator.services.publish_settings import find_companions
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables_publish import (
    binary_package,
    pool_file,
    source_package,
    suite,
    suite_binary,
    suite_source,
)
from debcore.aptrepo import PoolFile, make_binary_stanza, make_source_stanza, pool_path
from debcore.aptrepo.paths import ARCHITECTURE, COMPONENT, SUITE_NAME, check_name, deb_name
from debcore.deb822 import Stanza, parse_files
from debcore.errors import Failure
from debcore.version import parse_version, version_key

_SOURCE_FIELD = re.compile(r"(\S+)(?:\s+\((\S+)\))?")


@dataclass(frozen=True, kw_only=True)
class NewSuite:
    """A suite to make. Empty texts are made from the name."""

    name: str
    codename: str = ""
    origin: str = "deb-orchestrator"
    label: str = ""
    description: str = ""
    components: tuple[str, ...] = ("main",)
    arches: tuple[str, ...] = ("amd64",)
    valid_s: int | None = None  #: seconds that apt accepts a publication; None: no end


@dataclass(frozen=True, kw_only=True)
class NewSource:
    """A source package whose files are blobs already. `dsc` is the .dsc's stanza, without its signature."""

    dsc: Stanza
    dsc_file: PoolFile
    component: str = "main"


@dataclass(frozen=True, kw_only=True)
class NewBinary:
    """A .deb (or .udeb) that is a blob already. `control` is its control file's stanza."""

    control: Stanza
    sha256: str
    size: int  #: bytes
    component: str = "main"
    suffix: str = "deb"

    @property
    def is_debug(self) -> bool:
        """True of what dpkg-gencontrol marked as symbols that debhelper split off."""
        return self.control.get("Auto-Built-Package") == "debug-symbols"


def ensure_suite(conn: Connection, new: NewSuite) -> bool:
    """Make the suite unless it is there; True if it was made. Errors: Failure on a bad name."""
    check_name(new.name, SUITE_NAME, what="suite name")
    check_name(new.codename or new.name, SUITE_NAME, what="codename")
    for component in new.components:
        check_name(component, COMPONENT, what="component")
    for arch in new.arches:
        check_name(arch, ARCHITECTURE, what="architecture")
    if conn.execute(sa.select(suite.c.name).where(suite.c.name == new.name)).first():
        return False
    conn.execute(
        suite.insert().values(
            name=new.name, codename=new.codename or new.name, origin=new.origin, label=new.label or new.name,
            description=new.description, components=list(new.components), arches=list(new.arches),
            valid_s=new.valid_s, created_at=now(conn),
        )
    )  # fmt: skip
    return True


def add_to_suite(
    conn: Connection,
    suite_name: str,
    *,
    sources: Sequence[NewSource] = (),
    binaries: Sequence[NewBinary] = (),
    also: Sequence[int] = (),
    request: str | None = None,
    build: int | None = None,
) -> int:
    """Import packages and put them into the suite; return the event from which on it holds them.

    What they supersede leaves the suite at the same event: older versions of a source, of a binary of the same name
    and architecture, and binaries that older versions of the source built for the architectures that come now
    (architecture all too, once no older binary for a real architecture stays).
    Debug symbols go to the companion suite, if there is one.
    *also* are ids of binaries that were imported before.
    Adding what is there is no event: the number returned is then that of the last one.
    Call it last in the transaction, for it takes an event number.

    Errors: Failure if a file, source or binary of this name and version has another content, if the suite holds a
    newer version, or does not know the architecture or component.
    """
    row = conn.execute(sa.select(suite).where(suite.c.name == suite_name).with_for_update()).first()
    if row is None or "@" in suite_name:  # a snapshot never changes
        raise Failure(f"there is no suite {suite_name}", hint="deb-orchestrator suite list")
    debug = [binary for binary in binaries if binary.is_debug]
    if debug and (others := find_companions(conn, suite_name)[1:]):
        add_to_suite(conn, others[0], binaries=debug, request=request, build=build)
        binaries = [binary for binary in binaries if not binary.is_debug]
    for component in {source.component for source in sources} | {binary.component for binary in binaries}:
        if component not in row.components:
            raise Failure(f"suite {suite_name} has no component {component}")
    # In one order always, so that two hubs that import the same wait for each other and never both.
    source_ids = [_import_source(conn, source) for source in sorted(sources, key=lambda s: str(s.dsc))]
    binary_ids = [_import_binary(conn, binary, row.arches) for binary in sorted(binaries, key=lambda b: str(b.control))]
    binary_ids += also
    return change_members(conn, suite_name, source_ids, binary_ids, request=request, build=build)


def change_members(
    conn: Connection,
    suite_name: str,
    source_ids: Sequence[int],
    binary_ids: Sequence[int],
    *,
    request: str | None = None,
    build: int | None = None,
) -> int:
    """Put packages that are imported into the suite, whose row the caller has locked; as `add_to_suite`."""
    held_sources, held_binaries = Holding(suite_source, suite_name), Holding(suite_binary, suite_name)
    new_sources = held_sources.missing(conn, source_ids)
    new_binaries = held_binaries.missing(conn, binary_ids)
    if not new_sources and not new_binaries:
        return last_event(conn)
    old_sources = find_superseded_sources(conn, held_sources, new_sources)
    old_binaries = find_superseded_binaries(conn, held_binaries, new_binaries)
    data = {"suite": suite_name, "sources": list_names(conn, source_package, new_sources)}
    data["binaries"] = list_names(conn, binary_package, new_binaries)
    n = append_events(conn, [NewEvent(type="suite.changed", data=data, request=request, build=build)])
    held_sources.change(conn, n, gone=old_sources, come=new_sources)
    held_binaries.change(conn, n, gone=old_binaries, come=new_binaries)
    return n


def _import_source(conn: Connection, new: NewSource) -> int:
    where = new.dsc_file.name
    name = new.dsc.require("Source", where=where)
    version = new.dsc.require("Version", where=where)
    listed = parse_files(new.dsc.require("Checksums-Sha256", where=where), algorithm="sha256", where=where)
    own = PoolFile(
        name=f"{name}_{parse_version(version).without_epoch}.dsc",
        size=new.dsc_file.size, sha256=new.dsc_file.sha256, md5=new.dsc_file.md5,
    )  # fmt: skip
    directory = pool_path(new.component, name, own.name).rpartition("/")[0]
    stanza = make_source_stanza(new.dsc, own, directory=directory)
    known = sa.select(source_package.c.id, source_package.c.sha256).where(
        source_package.c.name == name, source_package.c.version == version
    )
    if (found := conn.execute(known).first()) is None:
        files = [(own.name, own.sha256, own.size), *((f.name, f.digest, f.size) for f in listed)]
        for file_name, sha256, size in files:
            _admit_file(conn, pool_path(new.component, name, file_name), sha256, size)
        values = {"name": name, "version": version, "version_key": version_key(version), "component": new.component}
        conn.execute(insert_new(conn, source_package).values(**values, sha256=own.sha256, stanza=str(stanza)))
        found = conn.execute(known).one()  # ours, or that of another hub an instant before
    _check_same(f"{name} {version}", found.sha256, own.sha256)
    return int(found.id)


def _import_binary(conn: Connection, new: NewBinary, arches: Iterable[str]) -> int:
    where = new.control.get("Package", "a .deb")
    name, version, arch = (new.control.require(f, where=where) for f in ("Package", "Version", "Architecture"))
    if arch != "all" and arch not in arches:
        raise Failure(f"{name}: the suite has no architecture {arch}")
    known = sa.select(binary_package.c.id, binary_package.c.sha256).where(
        binary_package.c.name == name, binary_package.c.version == version, binary_package.c.arch == arch
    )
    if (found := conn.execute(known).first()) is None:
        source, source_version = source_of(new.control)
        path = pool_path(new.component, source, deb_name(name, version, arch, suffix=new.suffix))
        _admit_file(conn, path, new.sha256, new.size)
        stanza = make_binary_stanza(new.control, PoolFile(name=path, size=new.size, sha256=new.sha256))
        conn.execute(
            insert_new(conn, binary_package).values(
                name=name, version=version, version_key=version_key(version), arch=arch, source=source,
                source_version=source_version, source_version_key=version_key(source_version),
                component=new.component, path=path, sha256=new.sha256, stanza=str(stanza),
            )
        )  # fmt: skip
        found = conn.execute(known).one()
    _check_same(f"{name} {version} {arch}", found.sha256, new.sha256)
    return int(found.id)


def source_of(control: Stanza) -> tuple[str, str]:
    """Source package and version that a binary's control file names. Policy 5.6.1: its own where it says nothing."""
    name, version = control["Package"], control["Version"]
    match = _SOURCE_FIELD.fullmatch(control.get("Source", "").strip())
    if match is None:
        return name, version
    return match[1], match[2] or version


def _admit_file(conn: Connection, path: str, sha256: str, size: int) -> None:
    conn.execute(insert_new(conn, pool_file).values(path=path, sha256=sha256, size=size))
    found = conn.execute(sa.select(pool_file.c.sha256).where(pool_file.c.path == path)).scalar_one()
    _check_same(path.rpartition("/")[2], found, sha256)


def _check_same(what: str, known: str, given: str) -> None:
    if known != given:
        raise Failure(
            f"{what} is in the archive with another content (SHA-256 {known[:12]}…, not {given[:12]}…)",
            hint="content under a name and version never changes: build it with a higher version",
        )
