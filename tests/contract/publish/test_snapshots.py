"""Suites as they were, served as repositories. On both databases."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from deb_orchestrator.services import queries
from deb_orchestrator.services.hub import Conflict, Hub, NotFound
from deb_orchestrator.services.publish import publish_suite, settle
from deb_orchestrator.services.snapshots import list_snapshots, make_snapshot
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import event
from deb_orchestrator.store.tables_publish import suite
from debcore.aptrepo import parse_release
from debcore.blobs import BlobStore
from debcore.deb822 import parse_stanzas
from debcore.errors import Failure
from debcore.hub.repos import Snapshot, SnapshotAsk
from debcore.openpgp import verify_inline
from tests.contract.publish.conftest import HubJobs
from tests.contract.publish.test_publishing import SUITE, add, fetch
from tests.unit.orchestrator.services.farm import ADMIN

URL = "https://hub.example"


@pytest.fixture
def hub(db: Database, blobs: BlobStore, tmp_path: Path) -> Hub:
    return Hub(db=db, blobs=blobs, state=tmp_path)


@pytest.fixture
def take(hub: Hub, jobs: HubJobs, desk: Desk) -> Callable[[SnapshotAsk], Snapshot]:
    """Make it, as hub's worker and signer do."""

    def make(ask: SnapshotAsk) -> Snapshot:
        made = make_snapshot(hub, ADMIN, SUITE, ask, base_url=URL)
        publish_suite(hub.db, hub.blobs, made.name)
        jobs.work(desk)
        return made

    return make


def packages(hub: Hub, name: str) -> list[str]:
    data = gzip.decompress(fetch(hub.db, hub.blobs, f"dists/{name}/main/binary-amd64/Packages.gz"))
    return [f"{stanza['Package']} {stanza['Version']}" for stanza in parse_stanzas(data)]


def test_a_suite_as_of_an_event_and_of_a_moment(
    hub: Hub, jobs: HubJobs, desk: Desk, take: Callable[[SnapshotAsk], Snapshot]
) -> None:
    with hub.db.write() as conn:
        conn.execute(suite.update().values(valid_s=86400))
    first = add(hub.db, "hello", "1")
    publish_suite(hub.db, hub.blobs, SUITE)
    jobs.work(desk)
    second = add(hub.db, "hello", "2")
    publish_suite(hub.db, hub.blobs, SUITE)
    jobs.work(desk)
    with hub.db.write() as conn:
        conn.execute(event.update().where(event.c.n <= second - 1).values(at=event.c.at - 3_600_000))
        at = as_datetime(conn.execute(sa.select(event.c.at).where(event.c.n == first)).scalar_one())
    old = take(SnapshotAsk(event=first))
    assert (old.name, old.event, old.live) == (f"{SUITE}@{first}", first, False)
    assert take(SnapshotAsk(event=second - 1)).name == old.name, "nothing changed in between"
    assert take(SnapshotAsk(at=at + timedelta(minutes=5))).name == old.name
    new = take(SnapshotAsk())
    assert new.name == f"{SUITE}@{second}"
    assert packages(hub, old.name) == ["hello 1"]
    assert packages(hub, new.name) == packages(hub, SUITE) == ["hello 2"]
    release, _ = parse_release(fetch(hub.db, hub.blobs, f"dists/{old.name}/Release"))
    assert (release.suite, release.codename, release.valid_until) == (old.name, old.name, None)
    key = fetch(hub.db, hub.blobs, f"keys/{SUITE}.asc")
    verify_inline(fetch(hub.db, hub.blobs, f"dists/{old.name}/InRelease"), [key], where="InRelease")
    assert [(one.name, one.live) for one in list_snapshots(hub, SUITE, base_url=URL)] == [
        (old.name, True), (new.name, True),
    ]  # fmt: skip
    assert [one.name for one in queries.list_suites(hub, base_url=URL)] == [SUITE]
    assert publish_suite(hub.db, hub.blobs, old.name).generation == 1, "it never changes"
    assert settle(hub.db, hub.blobs) == 0


def test_what_there_is_no_snapshot_of(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    def ask(**fields: object) -> SnapshotAsk:
        return SnapshotAsk.model_validate(fields)

    with pytest.raises(Conflict, match="nothing published"):
        make_snapshot(hub, ADMIN, SUITE, ask(), base_url=URL)
    first = add(hub.db, "hello")
    publish_suite(hub.db, hub.blobs, SUITE)
    jobs.work(desk)
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    for wrong in (ask(event=first - 1), ask(at=long_ago)):
        with pytest.raises(NotFound, match="held nothing"):
            make_snapshot(hub, ADMIN, SUITE, wrong, base_url=URL)
    with pytest.raises(Failure, match="no zone"):
        make_snapshot(hub, ADMIN, SUITE, ask(at=datetime(2026, 1, 1)), base_url=URL)
    with pytest.raises(Failure, match="by event or by time"):
        make_snapshot(hub, ADMIN, SUITE, ask(at=long_ago, event=1), base_url=URL)
    made = make_snapshot(hub, ADMIN, SUITE, ask(), base_url=URL)
    with pytest.raises(Failure, match="no suite"):
        add(hub.db, "hello", "2", to=made.name)
    with pytest.raises(NotFound):
        make_snapshot(hub, ADMIN, made.name, ask(), base_url=URL)
    assert len(list_snapshots(hub, SUITE, base_url=URL)) == 1
