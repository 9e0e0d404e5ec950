"""What uses a blob. The one answer to that: the collector asks when it marks, when it removes, and when it explains.

All queries go by index on the names asked for, so that they are short enough to run under the collector's locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from deb_orchestrator.domain.jobs import OPEN, State
from deb_orchestrator.domain.retention import Life, Membership, Rules, why_build, why_log, why_package
from deb_orchestrator.services.composes import find_composed
from deb_orchestrator.services.suite_view import find_order, load_parents
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import event, job
from deb_orchestrator.store.tables_domain import (
    artifact,
    build,
    build_arch,
    build_check,
    hold,
    source,
    source_file,
    target,
)
from deb_orchestrator.store.tables_doors import upload_file
from deb_orchestrator.store.tables_keep import pin_file, result_file, retention
from deb_orchestrator.store.tables_publish import (
    binary_package,
    publication,
    publication_file,
    source_package,
    suite_binary,
    suite_follower,
    suite_snapshot,
    suite_source,
)
from debcore.blobs import BlobStore
from debcore.hub.checks import CheckPlan
from debcore.hub.upkeep import Retention

Names = Sequence[str]
#: A row of `retention` that is no choice of the admin's: until when the collector rests (milliseconds).
PAUSED = "paused_until"
_OPEN = [state.value for state in OPEN]


def load_retention(db: Connection) -> Retention:
    rows = db.execute(select(retention).where(retention.c.name != PAUSED)).all()
    return Retention.model_validate({row.name: row.value for row in rows})


def load_rules(db: Connection, kept: Retention | None = None) -> Rules:
    """As of now; by the admin's retention unless *kept* is given."""
    kept = kept or load_retention(db)
    rules = Rules(kept=kept, at=now(db))
    before = select(func.max(event.c.n)).where(event.c.at < rules.border(kept.superseded))
    snapshots: dict[str, list[int]] = {}
    alive = []
    for row in list_snapshots(db):
        if kept.snapshots is not None and row.made_at < rules.border(kept.snapshots):
            continue
        alive.append(row.suite)
        for name in find_order(load_parents(db, row.event), row.base):
            snapshots.setdefault(name, []).append(row.event)
    return Rules(
        kept=kept, at=rules.at, cutoff_event=db.execute(before).scalar() or 0, alive=frozenset(alive),
        snapshots={name: sorted(events) for name, events in snapshots.items()},
    )  # fmt: skip


def list_snapshots(db: Connection) -> Sequence[sa.Row[Any]]:
    """suite, base, event, and `made_at` (milliseconds): of the first publication where no row says it."""
    first = select(func.min(publication.c.created_at)).where(publication.c.suite == suite_snapshot.c.suite)
    made_at = func.coalesce(suite_snapshot.c.created_at, first.scalar_subquery(), now(db)).label("made_at")
    return db.execute(select(suite_snapshot, made_at)).all()


def find_uses(db: Connection, names: Names, rules: Rules) -> dict[str, str]:
    """For each of *names* that something uses: what, in words."""
    uses: dict[str, str] = {}
    for found in (
        _find_packages(db, names, rules), _find_pinned(db, names), find_composed(db, names),
        _find_published(db, names, rules), _find_policies(db, names), _find_of_builds(db, names, rules),
        _find_held(db, names),
    ):  # fmt: skip
        uses = found | uses  # the first that is found is told
    return uses


def _find_held(db: Connection, names: Names) -> dict[str, str]:
    query = select(hold.c.sha256).where(hold.c.sha256.in_(names), hold.c.until_at > now(db))
    waiting = select(upload_file.c.sha256).where(upload_file.c.sha256.in_(names))
    return dict.fromkeys(db.execute(waiting).scalars(), "uploads that await their .changes") | dict.fromkeys(
        db.execute(query).scalars(), "holds of uploads"
    )


def _find_pinned(db: Connection, names: Names) -> dict[str, str]:
    rows = db.execute(select(pin_file.c.sha256, pin_file.c.pin).where(pin_file.c.sha256.in_(names)))
    return {row.sha256: f"pin {row.pin}" for row in rows}


def _find_published(db: Connection, names: Names, rules: Rules) -> dict[str, str]:
    """Indexes and Release files: live, on their way to the signer, or not long superseded."""
    later = publication.alias("later")
    superseded = (
        sa.exists()
        .where(later.c.suite == publication.c.suite, later.c.generation > publication.c.generation)
        .where(later.c.live_at < rules.border(rules.kept.indexes))
    )
    kept = sa.case(
        (publication.c.suite.contains("@") & publication.c.suite.not_in(rules.alive), sa.false()),
        (publication.c.state.in_(["live", "signing"]), sa.true()),
        else_=~superseded,
    )
    signed = [publication.c[f"{kind}_sha256"] for kind in ("release", "inrelease", "release_gpg")]
    queries = [select(c.label("sha256"), publication.c.suite).where(c.in_(names), kept) for c in signed]
    listed = select(publication_file.c.sha256, publication.c.suite).join(
        publication,
        (publication.c.suite == publication_file.c.suite) & (publication.c.generation == publication_file.c.generation),
    )
    queries.append(listed.where(publication_file.c.sha256.in_(names), publication_file.c.served, kept))
    over = suite_follower.c.suite.contains("@") & suite_follower.c.suite.not_in(rules.alive)
    following = select(suite_follower.c.sha256, suite_follower.c.suite)
    queries.append(following.where(suite_follower.c.sha256.in_(names), ~over))
    return {row.sha256: f"indexes of {row.suite}" for query in queries for row in db.execute(query)}


def _find_packages(db: Connection, names: Names, rules: Rules) -> dict[str, str]:
    """Packages in suites, their history or snapshots, and the files of such sources."""
    c = suite_binary.c
    query = select(binary_package.c.sha256, c.suite, c.created_event, c.revoked_event)
    query = query.join(suite_binary, c.package_id == binary_package.c.id)
    uses = _judge(db.execute(query.where(binary_package.c.sha256.in_(names))), rules)
    s = suite_source.c
    of_source = (
        select(source_file.c.sha256, s.suite, s.created_event, s.revoked_event)
        .join(source, source.c.id == source_file.c.source_id)
        .join(source_package, source_package.c.sha256 == source.c.dsc_sha256)
        .join(suite_source, s.package_id == source_package.c.id)
    )
    uses |= _judge(db.execute(of_source.where(source_file.c.sha256.in_(names))), rules)
    alone = select(source_package.c.sha256, s.suite, s.created_event, s.revoked_event)
    alone = alone.join(suite_source, s.package_id == source_package.c.id)
    return uses | _judge(db.execute(alone.where(source_package.c.sha256.in_(names))), rules)


def _judge(rows: Iterable[sa.Row[Any]], rules: Rules) -> dict[str, str]:
    uses: dict[str, str] = {}
    for row in rows:
        one = Membership(suite=row.suite, created=row.created_event, revoked=row.revoked_event)
        if why := why_package(rules, one):
            uses.setdefault(row.sha256, why)
    return uses


def _find_policies(db: Connection, names: Names) -> dict[str, str]:
    """Texts that checks are to judge by."""
    plans = db.execute(select(target.c.name, target.c.checks).where(target.c.checks.isnot(None))).all()
    texts = {row.name: CheckPlan.model_validate(row.checks).policy for row in plans}
    wanted = {BlobStore.name_of(text.encode()): name for name, text in texts.items() if text is not None}
    uses = {name: f"target {wanted[name]}" for name in names if name in wanted}
    query = select(build_check.c.policy_sha256).join(job, job.c.id == build_check.c.job_id)
    query = query.where(build_check.c.policy_sha256.in_(names), job.c.state.in_(_OPEN))
    return uses | dict.fromkeys(db.execute(query).scalars(), "builds under way")


def _find_of_builds(db: Connection, names: Names, rules: Rules) -> dict[str, str]:
    """Sources, results, logs."""
    made = select(artifact.c.sha256, build_arch.c.build_id, sa.literal("").label("kind"))
    made = made.join(build_arch, build_arch.c.id == artifact.c.build_arch_id).where(artifact.c.sha256.in_(names))
    left = select(result_file.c.sha256, build_arch.c.build_id, result_file.c.kind)
    left = left.join(build_arch, build_arch.c.id == result_file.c.build_arch_id).where(result_file.c.sha256.in_(names))
    used = select(source_file.c.sha256, build.c.id.label("build_id"), sa.literal("").label("kind"))
    used = used.join(build, build.c.source_id == source_file.c.source_id).where(source_file.c.sha256.in_(names))
    rows = [row for query in (made, left, used) for row in db.execute(query)]
    lives = load_lives(db, {row.build_id for row in rows}, rules)
    uses: dict[str, str] = {}
    for row in rows:
        why = why_build(rules, lives[row.build_id])
        if not why and row.kind == "log":
            why = why_log(rules, lives[row.build_id])
        if why:
            uses.setdefault(row.sha256, why)
    return uses


def load_lives(db: Connection, ids: Iterable[int], rules: Rules) -> dict[int, Life]:
    """By the builds' ids."""
    wanted = list(ids)
    rows = {row.id: row for row in db.execute(select(build).where(build.c.id.in_(wanted)))}
    packages = _find_packages_of(db, wanted, rules)
    ended = {id_: row.created_at for id_, row in rows.items()}
    under_way: set[int] = set()
    for arch in db.execute(
        select(build_arch.c.build_id, build_arch.c.imported, build_arch.c.refused, job.c.state, job.c.ended_at)
        .outerjoin(job, job.c.id == build_arch.c.job_id)
        .where(build_arch.c.build_id.in_(wanted))
    ):
        ended[arch.build_id] = max(ended[arch.build_id], arch.ended_at or 0)
        to_import = arch.state == State.SUCCEEDED and not arch.imported and arch.refused is None
        if arch.state in _OPEN or to_import or (arch.state is None and not rows[arch.build_id].cancelled):
            under_way.add(arch.build_id)
    checks = (
        select(job.c.build_id, job.c.state, job.c.ended_at)
        .where(job.c.build_id.in_(wanted), job.c.kind.in_(["check", "admit"]))
    )  # fmt: skip
    for one in db.execute(checks):
        ended[one.build_id] = max(ended[one.build_id], one.ended_at or 0)
        if one.state in _OPEN:
            under_way.add(one.build_id)
    return {
        id_: Life(
            id=id_, scratch=row.scratch, under_way=id_ in under_way, added=row.added_event is not None,
            ended_at=ended[id_], uses=packages.get(id_, ""),
        )
        for id_, row in rows.items()
    }  # fmt: skip


def _find_packages_of(db: Connection, ids: Names | list[int], rules: Rules) -> dict[int, str]:
    """What keeps a package that a build made: a suite, a pin, or a compose."""
    mine = select(build_arch.c.build_id, artifact.c.sha256).join(artifact, artifact.c.build_arch_id == build_arch.c.id)
    mine = mine.where(build_arch.c.build_id.in_(ids), artifact.c.kind.in_(["deb", "udeb"]))
    debs = [(row.build_id, row.sha256) for row in db.execute(mine)]
    names = sorted({sha256 for _, sha256 in debs})
    uses: dict[str, str] = {}
    for start in range(0, len(names), 500):
        chunk = names[start : start + 500]
        uses |= find_composed(db, chunk) | _find_packages(db, chunk, rules) | _find_pinned(db, chunk)
    return {id_: uses[sha256] for id_, sha256 in debs if sha256 in uses}
