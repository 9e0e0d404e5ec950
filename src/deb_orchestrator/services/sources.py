"""Source packages that clients name: opened once by the sealed reader, compared with what the client said, stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from deb_orchestrator.domain.source import Source, parse_source
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.opening import open_files
from deb_orchestrator.services.uploads import check_blobs
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_domain import source, source_file
from debcore.deb822 import parse_files
from debcore.errors import Failure
from debcore.hub.model import NeededPackage
from debcore.path import check_file_name


@dataclass(frozen=True, kw_only=True)
class KnownSource:
    """A source package of which the hub has all files. `files`: name → (SHA-256, size)."""

    id: int
    source: Source
    dsc_sha256: str
    files: Mapping[str, tuple[str, int]]

    @property
    def dsc_name(self) -> str:
        return next(name for name, (sha256, _) in self.files.items() if sha256 == self.dsc_sha256)


def learn_sources(hub: Hub, packages: Sequence[NeededPackage]) -> list[KnownSource]:
    """Check and store what is new of *packages*; all of them, in order.

    Errors: Failure if a blob is missing, or a .dsc does not say what the client said of it.
    """
    with hub.db.write() as db:
        known = {row.dsc_sha256 for row in db.execute(select(source.c.dsc_sha256))}
        for package in packages:
            check_blobs(db, hub.blobs, [(file.name, file.sha256, file.size) for file in package.files])
    new = [package for package in packages if package.dsc_sha256 not in known]
    fields = open_files(hub.blobs, [("dsc", package.dsc_sha256) for package in new])
    for package, one in zip(new, fields, strict=True):
        check_source(package, one)
    with hub.db.write() as db:
        for package, one in zip(new, fields, strict=True):
            _store(db, package, one)
        return [find_source(db, package.dsc_sha256) for package in packages]


def check_source(package: NeededPackage, fields: Mapping[str, str]) -> None:
    """Errors: Failure if the .dsc's *fields* contradict *package*."""
    where = f"{package.source} {package.version}"
    parsed = parse_source(fields)
    if (parsed.name, parsed.version) != (package.source, package.version):
        raise Failure(f"{where}: the .dsc is of {parsed.name} {parsed.version}", hint="name the .dsc's own version")
    if not parsed.binaries:
        raise Failure(f"{where}: the .dsc names no binary package")
    sums = next((value for name, value in fields.items() if name.lower() == "checksums-sha256"), "")
    listed = {file.name: (file.digest, file.size) for file in parse_files(sums, algorithm="sha256", where=where)}
    given = {file.name: (file.sha256, file.size) for file in package.files if file.sha256 != package.dsc_sha256}
    for name in listed:
        check_file_name(name, where=f"{where}: Checksums-Sha256")
    if listed != given:
        odd = sorted(name for name in listed.keys() | given.keys() if listed.get(name) != given.get(name))
        raise Failure(
            f"{where}: the .dsc and the files given differ: {', '.join(odd)}", hint="upload what the .dsc names"
        )
    dscs = [file for file in package.files if file.sha256 == package.dsc_sha256]
    if len(dscs) != 1 or not dscs[0].name.endswith(".dsc"):
        raise Failure(f"{where}: the files do not name the .dsc once")


def find_source(db: Connection, dsc_sha256: str) -> KnownSource:
    """The stored source of that .dsc, which must be there."""
    row = db.execute(select(source).where(source.c.dsc_sha256 == dsc_sha256)).one()
    return _load(db, row.id, row.fields, row.dsc_sha256)


def load_source_of(db: Connection, source_id: int) -> KnownSource:
    row = db.execute(select(source).where(source.c.id == source_id)).one()
    return _load(db, row.id, row.fields, row.dsc_sha256)


def load_fields(db: Connection, source_id: int) -> dict[str, str]:
    """The .dsc's fields, in order."""
    return dict(db.execute(select(source.c.fields).where(source.c.id == source_id)).scalar_one())


def _load(db: Connection, id_: int, fields: Mapping[str, str], dsc_sha256: str) -> KnownSource:
    rows = db.execute(select(source_file).where(source_file.c.source_id == id_).order_by(source_file.c.name))
    files = {row.name: (row.sha256, row.size) for row in rows}
    return KnownSource(id=id_, source=parse_source(fields), dsc_sha256=dsc_sha256, files=files)


def _store(db: Connection, package: NeededPackage, fields: Mapping[str, str]) -> None:
    if db.execute(select(source.c.id).where(source.c.dsc_sha256 == package.dsc_sha256)).first():
        return
    values = {"name": package.source, "version": package.version, "dsc_sha256": package.dsc_sha256}
    id_ = db.execute(
        insert(source).values(**values, fields=dict(fields), created_at=now(db)).returning(source.c.id)
    ).scalar_one()
    rows = [{"source_id": id_, "name": file.name, "sha256": file.sha256, "size": file.size} for file in package.files]
    db.execute(insert(source_file), rows)
