"""From rows through the signer to the live generation, whatever dies in between."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from deb_orchestrator.dispatch.events import read_events
from deb_orchestrator.dispatch.statements import cancel
from deb_orchestrator.services.publish import (
    NewBinary,
    NewSuite,
    add_to_suite,
    ensure_suite,
    find_apt_file,
    find_live,
    publish_suite,
    settle,
)
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import publication, suite
from debcore.aptrepo import parse_release
from debcore.blobs import BlobStore
from debcore.deb822 import make_stanza
from debcore.openpgp import verify_inline
from tests.contract.publish.conftest import HubJobs

SUITE = "trixie-local"


def add(db: Database, name: str, version: str = "1", *, to: str = SUITE) -> int:
    control = make_stanza([("Package", name), ("Version", version), ("Architecture", "all"), ("Description", "x")])
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    with db.write() as conn:
        return add_to_suite(conn, to, binaries=[NewBinary(control=control, sha256=sha256, size=1)])


def live(db: Database) -> int:
    with db.read() as conn:
        found = find_live(conn, SUITE)
        assert (found.generation if found else 0) == conn.execute(
            sa.select(suite.c.live).where(suite.c.name == SUITE)
        ).scalar_one()
    return found.generation if found else 0


def states(db: Database) -> list[str]:
    with db.read() as conn:
        query = sa.select(publication.c.state).where(publication.c.suite == SUITE)
        return list(conn.execute(query.order_by(publication.c.generation)).scalars())


def fetch(db: Database, blobs: BlobStore, path: str) -> bytes:
    file = find_apt_file(db, blobs, path)
    assert file is not None
    return file.data or (file.file.read_bytes() if file.file else b"")


def test_the_first_publication_makes_the_key_and_goes_live(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk
) -> None:
    event = add(db, "hello")
    published = publish_suite(db, blobs, SUITE)
    assert (published.generation, published.event, published.state) == (1, event, "signing")
    assert live(db) == 0
    assert publish_suite(db, blobs, SUITE) == published, "on its way: not again"
    assert jobs.work(desk) == 2
    assert live(db) == 1
    key = fetch(db, blobs, f"keys/{SUITE}.asc")
    verify_inline(fetch(db, blobs, f"dists/{SUITE}/InRelease"), [key], where="InRelease")
    assert publish_suite(db, blobs, SUITE).generation == 1, "nothing changed: nothing to publish"
    add(db, "world")
    assert publish_suite(db, blobs, SUITE).generation == 2
    assert jobs.work(desk) == 1
    assert live(db) == 2
    with db.read() as conn:
        told = [e.data for e in read_events(conn, 0) if e.type == "suite.published"]
    assert [(d["suite"], d["generation"]) for d in told] == [(SUITE, 1), (SUITE, 2)]


def test_other_suites_do_not_make_a_suite_stale(db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk) -> None:
    add(db, "hello")
    publish_suite(db, blobs, SUITE)
    with db.write() as conn:
        ensure_suite(conn, NewSuite(name="sid-local"))
    add(db, "hello", to="sid-local")
    assert publish_suite(db, blobs, SUITE).generation == 1
    assert publish_suite(db, blobs, "sid-local").generation == 1
    jobs.work(desk)
    keys = {fetch(db, blobs, f"keys/{name}.asc") for name in (SUITE, "sid-local")}
    assert len(keys) == 2, "each suite has a key of its own"


def test_a_hub_that_dies_over_the_answer_is_followed_by_settle(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk
) -> None:
    add(db, "hello")
    publish_suite(db, blobs, SUITE)
    jobs.hear = False
    assert jobs.work(desk) == 2
    assert live(db) == 0
    assert settle(db, blobs) == 2
    assert live(db) == 1
    assert settle(db, blobs) == 0


def test_a_cancelled_signature_is_a_refusal_that_is_tried_again(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk
) -> None:
    add(db, "hello")
    publish_suite(db, blobs, SUITE)
    with db.write() as conn:
        for id_ in conn.execute(sa.select(job.c.id).where(job.c.kind == "sign")).scalars().all():
            cancel(conn, id_, reason="a test")
    settle(db, blobs)
    assert states(db) == ["refused"]
    with db.write() as conn:
        conn.execute(publication.update().values(created_at=publication.c.created_at - 61_000))
    assert settle(db, blobs) == 1
    assert settle(db, blobs) == 1, "the same job again, by its key"
    with db.read() as conn:
        publishing = conn.execute(sa.select(job.c.spec).where(job.c.kind == "publish")).scalars().all()
    assert publishing == [{"suite": SUITE}]
    assert publish_suite(db, blobs, SUITE).generation == 2
    jobs.work(desk)
    assert states(db) == ["refused", "live"], "with a key job of its own, for the first was cancelled too"


def test_what_the_policy_refuses_is_not_published(
    db: Database, blobs: BlobStore, jobs: HubJobs, tmp_path: Path
) -> None:
    (tmp_path / "strict").mkdir()
    (tmp_path / "strict/policy.toml").write_text('suites = ["sid-*"]')
    add(db, "hello")
    publish_suite(db, blobs, SUITE)
    with Desk(tmp_path / "strict") as strict:
        assert jobs.work(strict) == 1, "the key is refused, and so the release is not even asked for"
    assert states(db) == ["refused"]
    with db.read() as conn:
        event = read_events(conn, 0)[-1]
    assert (event.type, event.data["suite"], event.data["generation"]) == ("suite.refused", SUITE, 1)


def test_a_release_that_grows_old_is_signed_anew(db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk) -> None:
    with db.write() as conn:
        conn.execute(suite.update().values(valid_s=86400))
    add(db, "hello")
    publish_suite(db, blobs, SUITE)
    jobs.work(desk)
    assert settle(db, blobs) == 0
    with db.write() as conn:
        conn.execute(publication.update().values(created_at=publication.c.created_at - 43_300_000))
    assert settle(db, blobs) == 1
    assert publish_suite(db, blobs, SUITE).generation == 2
    jobs.work(desk)
    assert live(db) == 2
    release, _ = parse_release(fetch(db, blobs, f"dists/{SUITE}/Release"))
    assert release.valid_until is not None


def test_many_publishers_and_importers_at_once(db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk) -> None:
    """Three hubs publish while packages come in; the end is one live generation that holds all of them."""
    stop = threading.Event()
    faults: list[BaseException] = []

    def guarded(work: object) -> None:
        assert callable(work)
        try:
            work()
        except BaseException as fault:
            faults.append(fault)

    def import_() -> None:
        for i in range(15):
            add(db, f"package{i}")

    def publish() -> None:
        while not stop.is_set():
            publish_suite(db, blobs, SUITE)

    def sign() -> None:
        while not stop.is_set():
            jobs.work(desk)

    importer = threading.Thread(target=guarded, args=(import_,))
    others = [threading.Thread(target=guarded, args=(work,)) for work in (publish, publish, publish, sign)]
    for thread in (importer, *others):
        thread.start()
    importer.join()
    stop.set()
    for thread in others:
        thread.join()
    assert not faults
    publish_suite(db, blobs, SUITE)
    jobs.work(desk)
    settle(db, blobs)
    assert states(db)[-1] == "live"
    assert states(db).count("live") == 1
    assert set(states(db)) <= {"live", "superseded"}
    with db.read() as conn:
        rows = conn.execute(sa.select(publication.c.generation, publication.c.event).order_by("generation")).all()
        told = [e.data["generation"] for e in read_events(conn, 0) if e.type == "suite.published"]
    assert [row.generation for row in rows] == list(range(1, len(rows) + 1))
    assert [row.event for row in rows] == sorted(row.event for row in rows), "content never goes backwards"
    assert told == sorted(told)
    _, files = parse_release(fetch(db, blobs, f"dists/{SUITE}/Release"))
    (packages,) = [f for f in files if f.path == "main/binary-amd64/Packages.gz"]
    assert hashlib.sha256(fetch(db, blobs, f"dists/{SUITE}/{packages.path}")).hexdigest() == packages.sha256


def test_two_importers_of_one_package_make_one(db: Database) -> None:
    """Two hubs that import the same build: one row, one content."""
    with db.write() as conn:
        ensure_suite(conn, NewSuite(name="sid-local"))
    threads = [threading.Thread(target=add, args=(db, "same"), kwargs={"to": to}) for to in (SUITE, "sid-local") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert add(db, "same") == add(db, "same", to="sid-local") == 2


@pytest.mark.parametrize("name", ["nowhere", "../x", ""])
def test_an_unknown_suite(db: Database, blobs: BlobStore, name: str) -> None:
    from debcore.errors import Failure

    with pytest.raises(Failure, match="no suite"):
        publish_suite(db, blobs, name)
