"""Packages become rows, once: one content under one name and version for ever. All of a call go in a few statements."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from deb_orchestrator.services.publish_members import chunks
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables_publish import binary_package, pool_file, source_package
from debcore.aptrepo import PoolFile, make_binary_stanza, make_source_stanza, pool_path
from debcore.aptrepo.paths import deb_name
from debcore.deb822 import Stanza, parse_files
from debcore.errors import Failure
from debcore.version import parse_version, version_key

_SOURCE_FIELD = re.compile(r"(\S+)(?:\s+\((\S+)\))?")


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


@dataclass(frozen=True)
class _Row:
    """A row of a package table that `key`s, and the files (path, hash, size) that come with it."""

    key: tuple[str, ...]
    values: dict[str, Any]
    files: tuple[tuple[str, str, int], ...]


def import_sources(conn: Connection, sources: Iterable[NewSource]) -> list[int]:
    """Ids of *sources*, which are in the archive from now on. Errors: Failure where there is another content."""
    return _import(conn, source_package, ("name", "version"), [_source_row(one) for one in sources])


def import_binaries(conn: Connection, binaries: Iterable[NewBinary], arches: Collection[str]) -> list[int]:
    """The same for *binaries*. Errors: Failure also on one whose architecture is none of *arches*."""
    return _import(
        conn, binary_package, ("name", "version", "arch"), [_binary_row(one, arches) for one in binaries]
    )  # fmt: skip


def source_of(control: Stanza) -> tuple[str, str]:
    """Source package and version that a binary's control file names. Policy 5.6.1: its own where it says nothing."""
    name, version = control["Package"], control["Version"]
    match = _SOURCE_FIELD.fullmatch(control.get("Source", "").strip())
    if match is None:
        return name, version
    return match[1], match[2] or version


def _source_row(new: NewSource) -> _Row:
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
    files = [(own.name, own.sha256, own.size), *((f.name, f.digest, f.size) for f in listed)]
    values = {
        "name": name, "version": version, "version_key": version_key(version), "component": new.component,
        "sha256": own.sha256, "stanza": str(stanza),
    }  # fmt: skip
    placed = tuple((pool_path(new.component, name, file), sha256, size) for file, sha256, size in files)
    return _Row((name, version), values, placed)


def _binary_row(new: NewBinary, arches: Collection[str]) -> _Row:
    where = new.control.get("Package", "a .deb")
    name, version, arch = (new.control.require(f, where=where) for f in ("Package", "Version", "Architecture"))
    if arch != "all" and arch not in arches:
        raise Failure(f"{name}: the suite has no architecture {arch}")
    source, source_version = source_of(new.control)
    path = pool_path(new.component, source, deb_name(name, version, arch, suffix=new.suffix))
    stanza = make_binary_stanza(new.control, PoolFile(name=path, size=new.size, sha256=new.sha256))
    values = {
        "name": name, "version": version, "version_key": version_key(version), "arch": arch, "source": source,
        "source_version": source_version, "source_version_key": version_key(source_version),
        "component": new.component, "path": path, "sha256": new.sha256, "stanza": str(stanza),
    }  # fmt: skip
    return _Row((name, version, arch), values, ((path, new.sha256, new.size),))


def _import(conn: Connection, package: Table, names: Sequence[str], rows: Iterable[_Row]) -> list[int]:
    # In one order always, so that two hubs that import the same wait for each other and never both.
    ordered = sorted(rows, key=lambda row: row.key)
    known = _find_known(conn, package, names, ordered)
    new = [row for row in ordered if row.key not in known]
    if new:
        _admit_files(conn, [file for row in new for file in row.files])
        conn.execute(insert_new(conn, package), [row.values for row in new])
        known |= _find_known(conn, package, names, new)  # ours, or those of another hub an instant before
    for row in ordered:
        _check_same(" ".join(row.key), known[row.key].sha256, row.values["sha256"])
    return [int(known[row.key].id) for row in ordered]


def _find_known(
    conn: Connection, package: Table, names: Sequence[str], rows: Iterable[_Row]
) -> dict[tuple[str, ...], sa.Row[Any]]:
    columns = [package.c[name] for name in names]
    query = sa.select(package.c.id, package.c.sha256, *columns)
    wanted = {row.key for row in rows}
    # By name alone: PostgreSQL reads the whole table for a list of pairs.
    return {
        key: found
        for chunk in chunks({name for name, *_ in wanted})
        for found in conn.execute(query.where(package.c.name.in_(chunk)))
        if (key := tuple(found[2:])) in wanted
    }


def _admit_files(conn: Connection, files: Sequence[tuple[str, str, int]]) -> None:
    rows = [{"path": path, "sha256": sha256, "size": size} for path, sha256, size in sorted(set(files))]
    conn.execute(insert_new(conn, pool_file), rows)
    query = sa.select(pool_file.c.path, pool_file.c.sha256)
    for chunk in chunks(rows):
        found = conn.execute(query.where(pool_file.c.path.in_([row["path"] for row in chunk])))
        there = {row.path: row.sha256 for row in found}
        for row in chunk:
            _check_same(str(row["path"]).rpartition("/")[2], there[row["path"]], str(row["sha256"]))


def _check_same(what: str, known: str, given: str) -> None:
    if known != given:
        raise Failure(
            f"{what} is in the archive with another content (SHA-256 {known[:12]}…, not {given[:12]}…)",
            hint="content under a name and version never changes: build it with a higher version",
        )
