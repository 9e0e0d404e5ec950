"""Replacing a suite's key: both sign for a time, whoever holds either verifies. On both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from deb_orchestrator.dispatch.events import read_events
from deb_orchestrator.services.hub import Conflict, Hub, NotFound
from deb_orchestrator.services.keys import add_key, get_keys, remove_key
from deb_orchestrator.services.publish import publish_suite, settle
from deb_orchestrator.services.snapshots import make_snapshot
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.signer.model import SignAnswer
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import publication
from debcore.blobs import BlobStore
from debcore.errors import Failure
from debcore.hub.model import Claimed
from debcore.hub.repos import SnapshotAsk
from debcore.openpgp import verify_detached, verify_inline
from tests.contract.publish.conftest import HubJobs
from tests.contract.publish.test_publishing import SUITE, add, fetch, live, states
from tests.unit.orchestrator.services.farm import ADMIN


@pytest.fixture
def hub(db: Database, blobs: BlobStore, tmp_path: Path) -> Hub:
    return Hub(db=db, blobs=blobs, state=tmp_path)


def work(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    """What the hub's worker and the signer do until nothing is left."""
    while True:
        jobs.work(desk)
        queued = (job.c.kind == "publish") & (job.c.state == "queued")
        with hub.db.write() as conn:
            specs = conn.execute(sa.select(job.c.spec).where(queued)).scalars().all()
            conn.execute(job.update().where(queued).values(state="succeeded", ended_at=1))
        if not specs:
            assert set(states(hub.db)) <= {"live", "superseded"}, find_reasons(hub.db)
            return
        for spec in specs:
            publish_suite(hub.db, hub.blobs, spec["suite"], force=bool(spec.get("force")))


def find_reasons(db: Database) -> list[tuple[object, ...]]:
    with db.read() as conn:
        told = conn.execute(sa.select(publication.c.suite, publication.c.state, publication.c.reason)).all()
        jobs = conn.execute(sa.select(job.c.id, job.c.kind, job.c.state, job.c.attempt, job.c.reason)).all()
    return [*map(tuple, told), *map(tuple, jobs)]


def signers(hub: Hub, name: str, key: bytes) -> set[str]:
    """Fingerprints of what signed the live generation, as one who holds *key* sees it."""
    inline = verify_inline(fetch(hub.db, hub.blobs, f"dists/{name}/InRelease"), [key], where="InRelease")
    release, signature = (fetch(hub.db, hub.blobs, f"dists/{name}/{file}") for file in ("Release", "Release.gpg"))
    assert inline.payload == release
    detached = verify_detached(release, signature, [key], where="Release.gpg")
    assert set(inline.fingerprints) == set(detached.fingerprints)
    return set(inline.fingerprints)


def key_file(hub: Hub) -> bytes:
    return fetch(hub.db, hub.blobs, f"keys/{SUITE}.asc")


def test_a_key_is_replaced(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    with pytest.raises(Conflict, match="no key yet"):
        add_key(hub, ADMIN, SUITE)
    add(hub.db, "hello")
    publish_suite(hub.db, hub.blobs, SUITE)
    snapshot = make_snapshot_of(hub, jobs, desk)
    old = get_keys(hub, SUITE)[0].fingerprint
    assert signers(hub, SUITE, key_file(hub)) == {old}
    with pytest.raises(Conflict, match="only key"):
        remove_key(hub, ADMIN, SUITE, old)

    assert [key.state for key in add_key(hub, ADMIN, SUITE)] == ["signing", "asked"]
    with pytest.raises(Conflict, match="already"):
        add_key(hub, ADMIN, SUITE)
    work(hub, jobs, desk)
    new = get_keys(hub, SUITE)[1].fingerprint
    assert [key.state for key in get_keys(hub, SUITE)] == ["signing", "signing"]
    assert signers(hub, SUITE, key_file(hub)) == {old, new}
    assert signers(hub, snapshot, key_file(hub)) == {old, new}
    both = key_file(hub)
    assert both.count(b"BEGIN PGP") == 1, "in one block, for old apt"

    with pytest.raises(NotFound):
        remove_key(hub, ADMIN, SUITE, "0" * 40)
    assert [key.state for key in remove_key(hub, ADMIN, SUITE, old)] == ["retired", "signing"]
    work(hub, jobs, desk)
    assert signers(hub, SUITE, both) == signers(hub, SUITE, key_file(hub)) == {new}
    assert signers(hub, snapshot, key_file(hub)) == {new}
    assert key_file(hub) != both
    with hub.db.read() as conn:
        told = [(e.data["fingerprint"], e.data["state"]) for e in read_events(conn, 0) if e.type == "suite.key"]
    assert told == [(new, "signing"), (old, "retired")]


def make_snapshot_of(hub: Hub, jobs: HubJobs, desk: Desk) -> str:
    work(hub, jobs, desk)
    made = make_snapshot(hub, ADMIN, SUITE, SnapshotAsk(), base_url="https://hub.example")
    work(hub, jobs, desk)
    return made.name


def test_a_hub_that_dies_over_the_new_key_is_followed_by_settle(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    add(hub.db, "hello")
    publish_suite(hub.db, hub.blobs, SUITE)
    work(hub, jobs, desk)
    add_key(hub, ADMIN, SUITE)
    jobs.hear = False
    jobs.work(desk)
    assert [key.state for key in get_keys(hub, SUITE)] == ["signing", "asked"]
    jobs.hear = True
    assert settle(hub.db, hub.blobs) > 0
    work(hub, jobs, desk)
    assert [key.state for key in get_keys(hub, SUITE)] == ["signing", "signing"]
    assert len(signers(hub, SUITE, key_file(hub))) == 2
    assert settle(hub.db, hub.blobs) == 0


def test_a_key_that_the_signer_refuses_may_be_asked_for_again(
    hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path
) -> None:
    add(hub.db, "hello")
    publish_suite(hub.db, hub.blobs, SUITE)
    work(hub, jobs, desk)
    (tmp_path / "strict").mkdir()
    (tmp_path / "strict/policy.toml").write_text('suites = ["sid-*"]')
    add_key(hub, ADMIN, SUITE)
    with Desk(tmp_path / "strict") as strict:
        jobs.work(strict)
    assert [key.state for key in get_keys(hub, SUITE)] == ["signing"]
    add_key(hub, ADMIN, SUITE)
    work(hub, jobs, desk)
    assert [key.state for key in get_keys(hub, SUITE)] == ["signing", "signing"]


def test_an_answer_without_one_of_the_signatures_is_refused(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    add(hub.db, "hello")
    publish_suite(hub.db, hub.blobs, SUITE)
    work(hub, jobs, desk)
    add_key(hub, ADMIN, SUITE)
    work(hub, jobs, desk)
    before = live(hub.db)
    add(hub.db, "world")
    publish_suite(hub.db, hub.blobs, SUITE)
    claimed = jobs.claim()
    assert claimed is not None
    jobs.finish(claimed, lazy_answer(desk, claimed))
    assert states(hub.db)[-1] == "refused"
    assert live(hub.db) == before


def lazy_answer(desk: Desk, claimed: Claimed) -> SignAnswer:
    """A signer that leaves the other key out."""
    assert claimed.spec["also"]
    return desk.answer(claimed.spec | {"also": []})


def test_keys_of_other_suites_never_sign(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    add(hub.db, "hello")
    publish_suite(hub.db, hub.blobs, SUITE)
    claimed_key = jobs.claim()
    assert claimed_key is not None
    jobs.finish(claimed_key, desk.answer(claimed_key.spec))
    claimed = jobs.claim()
    assert claimed is not None
    desk.answer({"kind": "public-key", "key": "sid-local", "suite": "sid-local"})
    answer = desk.answer(claimed.spec | {"also": ["sid-local"]})
    assert answer.status == "refused"
    assert "not the suite's own" in answer.reason
    with pytest.raises(Failure):
        verify_inline(b"", [key_file(hub)], where="nothing was signed")
