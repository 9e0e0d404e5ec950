"""What one caller sees of requests, builds, events and files: the one rule for every read.

Who may not read a private suite sees nothing of it, nor of the targets that build for it or against it, nor of what
these asked for, built, logged and told; each is answered as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from deb_orchestrator.services import agents
from deb_orchestrator.services.access import find_holders, is_private, list_hidden
from deb_orchestrator.services.hub import Hub, NotFound, Principal
from deb_orchestrator.services.publish_settings import debug_suite
from deb_orchestrator.services.uploads import holder_of
from deb_orchestrator.store.tables import event, job
from deb_orchestrator.store.tables_domain import (
    artifact,
    build,
    build_arch,
    build_check,
    hold,
    request,
    source,
    source_file,
    target,
)
from deb_orchestrator.store.tables_publish import pool_file, publication, publication_file
from debcore.errors import Failure
from debcore.hub.model import Agent


@dataclass(frozen=True)
class Sight:
    """`hidden`: private suites that the caller may not read. Its conditions are for the tables of these names."""

    hidden: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        return not self.hidden

    def sees_suite(self, name: str) -> bool:
        return not is_private(name, self.hidden)

    def holds(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Rows whose *column* names a suite that the caller sees."""
        return ~_hides(column, self.hidden)

    def targets(self) -> ColumnElement[bool]:
        return ~_hides(target.c.suite, self.hidden) & ~_hides(target.c.build_suite, self.hidden)

    def of_target(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Rows that name a target in *column*, or none."""
        if self.whole:
            return sa.true()
        return sa.func.coalesce(column, "").not_in(sa.select(target.c.name).where(~self.targets()))

    def builds(self) -> ColumnElement[bool]:
        return self.of_target(build.c.target) & ~_hides(build.c.suite, self.hidden)

    def requests(self) -> ColumnElement[bool]:
        return self.of_target(request.c.target)

    def find_builds(self, db: Connection, ids: Iterable[int]) -> set[int]:
        """Those of *ids* that the caller sees."""
        return set(db.execute(sa.select(build.c.id).where(build.c.id.in_(ids), self.builds())).scalars())

    def jobs(self) -> ColumnElement[bool]:
        if self.whole:
            return sa.true()
        builds = sa.select(build.c.id).where(~self.builds())
        checks = sa.select(build_check.c.job_id).join(build_arch, build_arch.c.id == build_check.c.build_arch_id)
        return sa.and_(
            sa.func.coalesce(job.c.build_id, 0).not_in(builds),
            job.c.id.not_in(checks.where(build_arch.c.build_id.in_(builds))),
            ~_hides(job.c.spec["suite"].as_string(), self.hidden),
        )

    def events(self) -> ColumnElement[bool]:
        """What an event is about, and what its data name."""
        if self.whole:
            return sa.true()
        builds = sa.select(build.c.id).where(~self.builds())
        requests = sa.select(request.c.id).where(~self.requests())
        arches = sa.select(build_arch.c.id).where(build_arch.c.build_id.in_(builds))
        jobs = sa.select(build_arch.c.job_id).where(build_arch.c.build_id.in_(builds), build_arch.c.job_id.is_not(None))
        checks = sa.select(build_check.c.job_id).where(build_check.c.build_arch_id.in_(arches))
        said = {name: event.c.data[name].as_string() for name in ("suite", "target", "name")}
        return sa.and_(
            sa.func.coalesce(event.c.build, 0).not_in(builds),
            sa.func.coalesce(event.c.request, "").not_in(requests),
            sa.func.coalesce(event.c.job_id, 0).not_in(jobs.union_all(checks)),
            ~_hides(said["suite"], self.hidden),
            self.of_target(said["target"]),
            sa.or_(event.c.type.not_like("target.%"), self.of_target(said["name"])),
        )


EVERYTHING = Sight()


def load_sight(db: Connection, who: Principal) -> Sight:
    """Builders, signers and admins see everything."""
    return Sight(list_hidden(db, who))


def find_sight(hub: Hub, who: Principal) -> Sight:
    with hub.db.read() as db:
        return load_sight(db, who)


def check_target(hub: Hub, who: Principal, name: str) -> None:
    """Errors: NotFound."""
    with hub.db.read() as db:
        query = sa.select(target.c.name).where(target.c.name == name, load_sight(db, who).targets())
        if db.execute(query).first() is None:
            raise NotFound(f"there is no target {name[:64]}", hint="list them with: deb-orchestrator target list")


def check_build(hub: Hub, who: Principal, id_: int) -> None:
    """Errors: NotFound."""
    with hub.db.read() as db:
        query = sa.select(build.c.id).where(build.c.id == id_, load_sight(db, who).builds())
        if db.execute(query).first() is None:
            raise NotFound(f"there is no build {id_}", hint="list them with: deb-orchestrator list-builds")


def check_request(hub: Hub, who: Principal, id_: str) -> None:
    """Errors: NotFound."""
    with hub.db.read() as db:
        query = sa.select(request.c.id).where(request.c.id == id_, load_sight(db, who).requests())
        if db.execute(query).first() is None:
            raise NotFound(f"there is no request {id_[:64]}")


def list_agents(hub: Hub, who: Principal) -> list[Agent]:
    return hide_faults(find_sight(hub, who), agents.list_agents(hub))


def veil(hub: Hub, who: Principal, agent: Agent) -> Agent:
    return hide_faults(find_sight(hub, who), [agent])[0]


def hide_faults(sight: Sight, found: Iterable[Agent]) -> list[Agent]:
    """Agents without their last fault in words, which may be of a build that the caller does not see."""
    if sight.whole:
        return list(found)
    return [one if one.quarantine is None else one.model_copy(update={"quarantine": ""}) for one in found]


def sees_blob(hub: Hub, who: Principal, sha256: str) -> bool:
    """True if *who* has sent that blob or ordered what it came of, or something that *who* sees names it."""
    with hub.db.read() as db:
        sight = load_sight(db, who)
        named = sight.whole or _has_sent(db, who, sha256) or _is_named(db, sight, sha256)
        return named or _has_ordered(db, who, sha256)


def check_sources(hub: Hub, who: Principal, files: Iterable[tuple[str, str]]) -> None:
    """Before a request names *files* (name, SHA-256): what is hidden from *who* gets into no build of theirs.

    Errors: Failure, as if the hub did not have them.
    """
    for name, sha256 in files:
        if not sees_blob(hub, who, sha256):
            raise Failure(f"{name} was not uploaded ({sha256})", hint="PUT it to /api/v1/blobs/SHA256 first")


def _hides(column: ColumnElement[str], hidden: Iterable[str]) -> ColumnElement[bool]:
    """The suite in *column* is one of *hidden*, its companion of debug symbols, or a snapshot of these."""
    names = [name for one in sorted(hidden) for name in (one, debug_suite(one))]
    if not names:
        return sa.false()
    said = sa.func.coalesce(column, "")
    return sa.or_(said.in_(names), *(said.startswith(f"{name}@", autoescape=True) for name in names))


def _has_sent(db: Connection, who: Principal, sha256: str) -> bool:
    mine = (hold.c.sha256 == sha256) & (hold.c.holder == holder_of(who)) & hold.c.sent
    return db.execute(sa.select(hold.c.sha256).where(mine)).first() is not None


def _has_ordered(db: Connection, who: Principal, sha256: str) -> bool:
    """It is an output of a task that *who* has ordered; that its result merely speaks of it is not enough."""
    mine = (job.c.kind == "task") & (job.c.owner == who.name) & sa.cast(job.c.result, sa.Text).contains(sha256)
    results = db.execute(sa.select(job.c.result).where(mine)).scalars()
    return any(output.get("sha256") == sha256 for result in results for output in result.get("outputs", ()))


def _is_named(db: Connection, sight: Sight, sha256: str) -> bool:
    arches = sa.select(build_arch.c.id).join(build, build.c.id == build_arch.c.build_id).where(sight.builds())
    sources = sa.select(source_file.c.sha256).join(source, source.c.id == source_file.c.source_id)
    checked = sa.cast(build_check.c.result, sa.Text).contains(sha256)
    queries = (
        arches.join(artifact, artifact.c.build_arch_id == build_arch.c.id).where(artifact.c.sha256 == sha256),
        sources.join(build, build.c.source_id == source.c.id).where(source_file.c.sha256 == sha256, sight.builds()),
        arches.where(sa.or_(build_arch.c.log_sha256 == sha256, build_arch.c.lock_sha256 == sha256)),
        arches.join(build_check, build_check.c.build_arch_id == build_arch.c.id).where(checked),
    )
    if any(db.execute(query.limit(1)).first() is not None for query in queries):
        return True
    files = sa.select(publication_file.c.suite).where(publication_file.c.sha256 == sha256)
    signed = (publication.c.inrelease_sha256, publication.c.release_sha256, publication.c.release_gpg_sha256)
    releases = sa.select(publication.c.suite).where(sa.or_(*(column == sha256 for column in signed)))
    suites = set(db.execute(files.union(releases)).scalars())
    for path in db.execute(sa.select(pool_file.c.path).where(pool_file.c.sha256 == sha256)).scalars():
        suites |= find_holders(db, path)
    return any(sight.sees_suite(name) for name in suites)
