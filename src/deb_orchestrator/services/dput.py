"""Uploads as dput makes them: the files first, then the .changes, which is judged and becomes a request.

A .changes is accepted whole or rejected whole. A rejection says why to whoever uploads, stays in the list of uploads,
and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.domain.source import parse_source
from deb_orchestrator.domain.upload import Listing, parse_listing
from deb_orchestrator.services.hub import Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.keeping import HOLD_S
from deb_orchestrator.services.opening import open_files, open_text
from deb_orchestrator.services.requests import find_refusal, need_packages
from deb_orchestrator.services.sight import EVERYTHING, Sight
from deb_orchestrator.services.sources import check_source
from deb_orchestrator.services.targets import find_target
from deb_orchestrator.services.uploaders import find_distributions, find_uploader
from deb_orchestrator.services.uploads import keep_blob, take_hold
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables_domain import source_file
from deb_orchestrator.store.tables_doors import upload, upload_file
from debcore.blobs import Incoming
from debcore.deb822 import parse_files
from debcore.errors import Failure, HostFailed
from debcore.hub import model
from debcore.hub.doors import Upload
from debcore.openpgp.verify import verify_inline

#: What one uploader may have lying about that no .changes has named.
MAX_FILES = 1000
MAX_BYTES = 64 * 2**30
#: Bytes of a .changes.
MAX_CHANGES = 1024 * 1024
#: Rejections that are kept of each uploader.
KEPT = 200


def check_door(hub: Hub, secret: str, target: str) -> str:
    """The uploader's name, before any byte is taken. Errors: LoginNeeded, Denied, NotFound, Failure if it is full."""
    with hub.db.write() as db:
        name = str(find_uploader(db, secret, target).name)
        db.execute(delete(upload_file).where(upload_file.c.at < now(db) - HOLD_S * 1000))
        mine = select(func.count(), func.coalesce(func.sum(upload_file.c.size), 0)).select_from(upload_file)
        files, size = db.execute(mine.where(upload_file.c.uploader == name)).one()
    if files >= MAX_FILES or size >= MAX_BYTES:
        raise Failure(
            f"{files} files of {name} ({size} bytes) wait for a .changes", hint="they are dropped after a day"
        )
    return name


def keep_file(hub: Hub, uploader: str, target: str, name: str, new: Incoming) -> None:
    """Keep what came as *name*; the same name again replaces it. Held for a day."""
    take_hold(hub, Principal(name=uploader, scope="client"), new.sha256, new.size)
    blob = new.commit()
    keep_blob(hub, blob)
    with hub.db.write() as db:
        values = {"uploader": uploader, "target": target, "name": name}
        db.execute(delete(upload_file).where(*(upload_file.c[key] == value for key, value in values.items())))
        db.execute(insert(upload_file).values(**values, sha256=blob.sha256, size=blob.size, at=now(db)))


def take_changes(hub: Hub, secret: str, target: str, name: str, data: bytes) -> Upload:
    """Judge a .changes: an accepted upload. Errors: Failure with the reason, which is also in the list of uploads."""
    with hub.db.read() as db:
        row = find_uploader(db, secret, target)
    listing: Listing | None = None
    try:
        listing = read_changes(row, name, data)
        package = judge(hub, row.name, target, listing)
        request = _ask(hub, row.name, target, package)
    except HostFailed:
        raise
    except Failure as failure:
        _record(hub, row.name, target, name, listing, reason=_words(failure))
        raise
    return _record(hub, row.name, target, name, listing, request=request)


def read_changes(row: Row[Any], name: str, data: bytes) -> Listing:
    """What a .changes says, if the uploader *row* signed it. Errors: Failure."""
    if len(data) > MAX_CHANGES:
        raise Failure(f"{name} is larger than {MAX_CHANGES} bytes")
    if not data.lstrip().startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"):
        raise Failure(f"{name} is not signed", hint="sign it with: debsign")
    signed = verify_inline(data, [row.certificate], where=name)
    if signed.expired:
        raise Failure(f"{name}: signed by a key that has expired", hint="give the hub's admin the renewed key")
    return parse_listing(open_text("changes", signed.payload), where=name)


def judge(hub: Hub, uploader: str, target: str, listing: Listing) -> model.NeededPackage:
    """The package that *listing* asks for; nothing is changed. Errors: Failure."""
    where = f"{listing.source} {listing.version}"
    with hub.db.read() as db:
        accepted = find_distributions(db, target)
        if listing.distribution not in accepted:
            raise Failure(
                f"{where} is for {listing.distribution}, and {target} takes {', '.join(accepted)}",
                hint="change the first line of debian/changelog, or upload for another target",
            )
        _check_sent(db, uploader, target, listing, where)
    sha256, size = listing.files[listing.dsc]
    fields = open_files(hub.blobs, [("dsc", sha256)])[0]
    with hub.db.read() as db:
        files = {listing.dsc: (sha256, size), **_find_parts(db, listing, fields, where)}
        package = model.NeededPackage(
            source=listing.source, version=listing.version, dsc_sha256=sha256,
            files=tuple(model.SourceFile(name=n, sha256=s, size=z) for n, (s, z) in sorted(files.items())),
        )  # fmt: skip
        check_source(package, fields)
        if reason := find_refusal(db, find_target(db, target), parse_source(fields), sha256):
            raise Failure(reason)
    return package


def _check_sent(db: Connection, uploader: str, target: str, listing: Listing, where: str) -> None:
    query = select(upload_file).where(upload_file.c.uploader == uploader, upload_file.c.target == target)
    sent = {row.name: (row.sha256, row.size) for row in db.execute(query)}
    if missing := sorted(listing.files.keys() - sent.keys()):
        raise Failure(f"{where}: not uploaded: {', '.join(missing)}", hint="upload again: dput --force")
    if odd := sorted(name for name, file in listing.files.items() if sent[name] != file):
        raise Failure(
            f"{where}: size or hash is not what the .changes says: {', '.join(odd)}", hint="upload again: dput --force"
        )


def _find_parts(db: Connection, listing: Listing, fields: Mapping[str, str], where: str) -> dict[str, tuple[str, int]]:
    """What the .dsc names: uploaded with it, or here since an earlier version (an .orig.tar)."""
    sums = next((value for name, value in fields.items() if name.lower() == "checksums-sha256"), "")
    parts = {file.name: (file.digest, file.size) for file in parse_files(sums, algorithm="sha256", where=where)}
    for name, (sha256, size) in parts.items():
        if name in listing.files:
            if listing.files[name] != (sha256, size):
                raise Failure(f"{where}: the .dsc and the .changes differ: {name}", hint="make both anew, then sign")
            continue
        same = (source_file.c.name == name) & (source_file.c.sha256 == sha256) & (source_file.c.size == size)
        if db.execute(select(source_file.c.source_id).where(same).limit(1)).first() is None:
            raise Failure(
                f"{where}: the .dsc names {name}, which is not here", hint="include it: dpkg-buildpackage -S -sa"
            )
    odd = [name for name in sorted(listing.files.keys() - parts.keys()) if not name.endswith((".dsc", ".buildinfo"))]
    if odd:
        raise Failure(f"{where}: the .dsc does not name {', '.join(odd)}", hint="make both anew, then sign")
    return parts


def _ask(hub: Hub, uploader: str, target: str, package: model.NeededPackage) -> str:
    with hub.db.read() as db:
        arches = find_target(db, target).arches
    needed = model.PackagesNeeded(target=target, arches=arches, packages=(package,))
    return need_packages(hub, Principal(name=uploader, scope="client"), needed, retry=True)


def _words(failure: Failure) -> str:
    return f"{failure} ({failure.hint})" if failure.hint else str(failure)


def _record(
    hub: Hub, uploader: str, target: str, name: str, listing: Listing | None, *, reason: str = "",
    request: str | None = None,
) -> Upload:  # fmt: skip
    """The verdict, and an end to the files that the .changes names."""
    values: dict[str, Any] = {
        "uploader": uploader, "target": target, "name": name, "state": "rejected" if request is None else "accepted",
        "source": listing.source if listing else None, "version": listing.version if listing else None,
        "reason": reason[:2000], "request": request,
    }  # fmt: skip
    with hub.db.write() as db:
        row = db.execute(insert(upload).values(**values, at=now(db)).returning(*upload.c)).one()
        if listing is not None:
            mine = (upload_file.c.uploader == uploader) & (upload_file.c.target == target)
            db.execute(delete(upload_file).where(mine, upload_file.c.name.in_(list(listing.files))))
        rejected = (upload.c.uploader == uploader) & (upload.c.state == "rejected")
        newest = select(upload.c.id).where(rejected).order_by(upload.c.id.desc()).limit(KEPT)
        db.execute(delete(upload).where(rejected, upload.c.id.not_in(newest)))
        log_audit(db, Principal(name=uploader, scope="client"), f"upload.{row.state}", name, {"target": target})
        data = {"upload": row.id, "uploader": uploader, "target": target, "name": name, "reason": values["reason"]}
        data |= {"source": values["source"], "version": values["version"]}
        append_events(db, [NewEvent(type=f"upload.{row.state}", request=request, data=data)])
    return _read(row)


def list_uploads(
    hub: Hub, *, name: str | None = None, target: str | None = None, before: int | None = None, limit: int = 50,
    sight: Sight = EVERYTHING,
) -> list[Upload]:  # fmt: skip
    """Newest first; *before* is an upload's id."""
    query = select(upload).where(sight.of_target(upload.c.target)).order_by(upload.c.id.desc()).limit(limit)
    if name is not None:
        query = query.where(upload.c.name == name)
    if target is not None:
        query = query.where(upload.c.target == target)
    if before is not None:
        query = query.where(upload.c.id < before)
    with hub.db.read() as db:
        return [_read(row) for row in db.execute(query)]


def get_upload(hub: Hub, id_: int, *, sight: Sight = EVERYTHING) -> Upload:
    """Errors: NotFound."""
    with hub.db.read() as db:
        row = db.execute(select(upload).where(upload.c.id == id_, sight.of_target(upload.c.target))).one_or_none()
    if row is None:
        raise NotFound(f"there is no upload {id_}", hint="list them with: deb-orchestrator list-uploads")
    return _read(row)


def _read(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id, uploader=row.uploader, target=row.target, name=row.name, state=row.state, source=row.source,
        version=row.version, reason=row.reason, request=row.request, at=as_datetime(row.at),
    )  # fmt: skip
