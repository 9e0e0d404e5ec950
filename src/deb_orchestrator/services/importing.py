"""From a finished build to the suite: open its files sealed, compare with what the hub knows, store, add, publish."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from deb_orchestrator.dispatch import statements
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.artifacts import Opened, Sent, check_artifacts
from deb_orchestrator.services import publish
from deb_orchestrator.services.check_view import is_held_back
from deb_orchestrator.services.checks import plan_checks
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.opening import open_files
from deb_orchestrator.services.progress import PROGRESS, tell
from deb_orchestrator.services.publish_settings import find_companions
from deb_orchestrator.services.sources import KnownSource, load_fields, load_source_of
from deb_orchestrator.services.suite_view import load_view, select_content
from deb_orchestrator.services.targets import enqueue_publish
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables_domain import artifact, build, build_arch
from deb_orchestrator.store.tables_publish import binary_package
from debcore.aptrepo import PoolFile
from debcore.deb822 import Stanza
from debcore.errors import Failure, HostFailed
from debcore.job import Result

log = logging.getLogger(__name__)

_OPENED = ("deb", "udeb", "changes", "buildinfo")
_PLACED = ("deb", "udeb")


def import_build(hub: Hub, claimed: jobs.Claimed) -> None:
    """The work of an `import` job, finish included. Errors: HostFailed: try again."""
    with hub.db.read() as db:
        arch, known, result = _load(db, claimed.spec["build_arch"])
    try:
        opened = open_outputs(hub, result)
        sent = Sent(
            source=known.source, arch=arch.arch, dsc_sha256=known.dsc_sha256,
            files={name: sha256 for name, (sha256, _) in known.files.items()}, binnmu=arch.binnmu,
        )  # fmt: skip
        check_artifacts(sent, opened)
        _accept(hub, claimed, arch, known, opened, result)
    except HostFailed:
        raise
    except Failure as failure:
        log.warning("build %d (%s) is refused: %s", arch.build_id, arch.arch, failure)
        _refuse(hub, claimed, arch, str(failure))


def open_outputs(hub: Hub, result: Result) -> list[Opened]:
    """What the sealed reader sees in the packages and listings of *result*."""
    wanted = [output for output in result.outputs if output.kind in _OPENED]
    fields = open_files(hub.blobs, [(output.kind, output.sha256) for output in wanted])
    return [
        Opened(output.path.rpartition("/")[2], output.kind, output.sha256, output.size, one)
        for output, one in zip(wanted, fields, strict=True)
    ]


def _load(db: Connection, id_: int) -> tuple[Row[Any], KnownSource, Result]:
    row = _select_arch(db, build_arch.c.id == id_)[0]
    return row, load_source_of(db, row.source_id), Result.model_validate(row.result)


def _select_arch(db: Connection, which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    columns = (build.c.source_id, build.c.suite, build.c.request, build.c.scratch, build.c.binnmu)
    query = select(build_arch, *columns).join(build, build.c.id == build_arch.c.build_id)
    return db.execute(query.where(which).order_by(build_arch.c.id)).all()


def _accept(
    hub: Hub, claimed: jobs.Claimed, arch: Row[Any], known: KnownSource, opened: list[Opened], result: Result
) -> None:
    with hub.db.write() as db:
        db.execute(select(build.c.id).where(build.c.id == arch.build_id).with_for_update())
        for file in () if arch.scratch else opened:
            _check_new(db, file)
        db.execute(insert(artifact), [_artifact(arch, output.model_dump(), opened) for output in result.outputs])
        db.execute(update(build_arch).where(build_arch.c.id == arch.id).values(imported=True))
        _end(hub, db, claimed, jobs.Outcome.SUCCEEDED, "")
        events = plan_checks(db, arch.build_id, arch.id)
        left = select(build_arch.c.id).where(build_arch.c.build_id == arch.build_id, build_arch.c.imported.is_(False))
        if arch.scratch:
            hint(db, PROGRESS)
        elif db.execute(left).first() is None and not is_held_back(db, arch.build_id):
            _add(hub, db, arch, known)
        tell(db, events) if events else None


def admit_build(hub: Hub, claimed: jobs.Claimed) -> None:
    """The work of an `admit` job, finish included: what a gate held back goes into the suite. Errors: HostFailed."""
    id_ = claimed.spec["build"]
    try:
        with hub.db.write() as db:
            row = db.execute(select(build).where(build.c.id == id_).with_for_update()).one()
            arch = _select_arch(db, build_arch.c.build_id == id_)[0]
            _end(hub, db, claimed, jobs.Outcome.SUCCEEDED, "")
            if row.added_event is None and not row.cancelled and not is_held_back(db, id_):
                _add(hub, db, arch, load_source_of(db, arch.source_id))
    except HostFailed:
        raise
    except Failure as failure:
        log.warning("build %d is refused: %s", id_, failure)
        with hub.db.write() as db:
            db.execute(update(build_arch).where(build_arch.c.build_id == id_).values(refused=str(failure)))
            _end(hub, db, claimed, jobs.Outcome.INVALID, str(failure))
            hint(db, PROGRESS)


def _add(hub: Hub, db: Connection, arch: Row[Any], known: KnownSource) -> None:
    """All architectures are in: the suite takes source and packages at one event, and is published."""
    for name in find_companions(db, arch.suite):
        enqueue_publish(db, name)
    query = select(artifact).join(build_arch, build_arch.c.id == artifact.c.build_arch_id)
    rows = db.execute(query.where(build_arch.c.build_id == arch.build_id, artifact.c.kind.in_(_PLACED))).all()
    binaries = [
        publish.NewBinary(control=Stanza(tuple(row.fields.items())), sha256=row.sha256, size=row.size, suffix=row.kind)
        for row in rows
    ]
    n = publish.add_to_suite(
        db, arch.suite, sources=[_new_source(hub, db, known)], binaries=binaries, request=arch.request,
        build=arch.build_id, also=[] if arch.binnmu is None else _find_others(db, arch, known, rows),
    )  # fmt: skip
    db.execute(update(build).where(build.c.id == arch.build_id).values(added_event=n))


def _find_others(db: Connection, arch: Row[Any], known: KnownSource, new: Sequence[Row[Any]]) -> list[int]:
    """What the suite sees of the source and a binNMU does not make: it must not vanish where it was inherited."""
    p = binary_package.c
    query = select_content(load_view(db, arch.suite), "binary", p.id, p.name, p.arch)
    query = query.where(p.source == known.source.name, p.source_version == known.source.version)
    made = {(row.package, row.arch) for row in new}
    return [row.id for row in db.execute(query) if (row.name, row.arch) not in made]


def _new_source(hub: Hub, db: Connection, known: KnownSource) -> publish.NewSource:
    size = known.files[known.dsc_name][1]
    with hub.blobs.open(known.dsc_sha256) as file:
        md5 = hashlib.md5(file.read(), usedforsecurity=False).hexdigest()  # a .dsc was bounded when it was opened
    dsc_file = PoolFile(name=known.dsc_name, size=size, sha256=known.dsc_sha256, md5=md5)
    return publish.NewSource(dsc=Stanza(tuple(load_fields(db, known.id).items())), dsc_file=dsc_file)


def _check_new(db: Connection, file: Opened) -> None:
    """One content under one package, version and architecture, in all suites; scratch builds do not count."""
    if file.kind not in _PLACED:
        return
    key = {
        name: file.fields[name.title() if name != "arch" else "Architecture"] for name in ("package", "version", "arch")
    }
    same = [artifact.c[name] == value for name, value in key.items()]
    query = (
        select(artifact.c.sha256)
        .join(build_arch, build_arch.c.id == artifact.c.build_arch_id)
        .join(build, build.c.id == build_arch.c.build_id)
        .where(*same, artifact.c.kind == file.kind, artifact.c.sha256 != file.sha256, build.c.scratch.is_(False))
    )
    if db.execute(query.limit(1)).first() is not None:
        raise Failure(f"{file.name} exists with other content", hint="give the source a higher version")


def _artifact(arch: Row[Any], output: dict[str, Any], opened: list[Opened]) -> dict[str, Any]:
    name = output["path"].rpartition("/")[2]
    fields = next((file.fields for file in opened if file.name == name and file.kind in _PLACED), None)
    values = {"build_arch_id": arch.id, "name": name, "kind": output["kind"], "sha256": output["sha256"]}
    package = fields or {}
    return values | {
        "size": output["size"], "package": package.get("Package"), "version": package.get("Version"),
        "arch": package.get("Architecture"), "fields": dict(fields) if fields else None,
    }  # fmt: skip


def _refuse(hub: Hub, claimed: jobs.Claimed, arch: Row[Any], reason: str) -> None:
    with hub.db.write() as db:
        values = {"refused": reason, "imported": False}
        db.execute(update(build_arch).where(build_arch.c.id == arch.id).values(**values))
        _end(hub, db, claimed, jobs.Outcome.INVALID, reason)
        hint(db, PROGRESS)


def _end(hub: Hub, db: Connection, claimed: jobs.Claimed, outcome: jobs.Outcome, reason: str) -> None:
    result = {"outcome": outcome.value, "reason": reason}
    hash_ = hashlib.sha256(f"{outcome.value}:{reason}".encode()).hexdigest()
    statements.finish(
        db, claimed.job, claimed.attempt, claimed.grant, outcome, result, hash_, reason=reason, policy=hub.policy
    )
