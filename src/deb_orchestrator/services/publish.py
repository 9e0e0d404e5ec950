"""Publishing a suite: indexes from SQL, immutable files by hash, a signature, and one compare-and-set.

    publish_suite    builds the next generation, stores its files, asks the signer        `signing`
    accept_answer    checks the signature and makes the generation the one that is served  `live`
    settle           does the same for answers that a hub got and died over

Nothing that apt reads is ever changed: what is served is the row of the live generation, all else is by hash and stays.
docs/explanation/publishing.md tells the whole story.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.services.keeping import hold_blobs
from deb_orchestrator.services.publish_content import NewSuite, add_to_suite, ensure_suite
from deb_orchestrator.services.publish_files import AptFile, find_apt_file
from deb_orchestrator.services.publish_import import NewBinary, NewSource
from deb_orchestrator.services.publish_index import Draft, draft_publication, find_suite
from deb_orchestrator.services.publish_keys import ask_key, keep_key, list_keys, make_sign_job, name_key
from deb_orchestrator.services.publish_settle import resign_after, settle
from deb_orchestrator.services.publish_sign import accept_answer, make_live, sign_outcome
from deb_orchestrator.services.suite_view import has_changed
from deb_orchestrator.signer.model import SignAnswer, SignSpec, encode
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables_publish import publication, publication_file, suite
from debcore.aptrepo.paths import base_of, is_packed
from debcore.blobs import BlobStore
from debcore.errors import HostFailed
from debcore.openpgp.signer import Signer

__all__ = [
    "AptFile",
    "NewBinary",
    "NewSource",
    "NewSuite",
    "Publication",
    "accept_answer",
    "add_to_suite",
    "ensure_suite",
    "find_apt_file",
    "find_live",
    "is_current",
    "publish_suite",
    "publish_with",
    "settle",
    "sign_outcome",
]

#: Times to draft anew because another hub took the generation. Each time one of them got on.
_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A generation of a suite; it holds what the suite held as of `event`."""

    suite: str
    generation: int
    event: int
    state: str  #: signing, live, superseded, refused
    created_at: int  #: milliseconds since 1970, UTC
    sign_job: int | None = None


def publish_suite(db: Database, blobs: BlobStore, suite_name: str, *, force: bool = False) -> Publication:
    """Build the next generation and have it signed; it is live once the signer's answer was accepted.

    A suite whose content is published, or on its way to the signer, is left alone unless *force* (to sign anew).
    Errors: Failure if there is no such suite; HostFailed if the disk is full.
    """
    for _ in range(_TRIES):
        with db.read() as conn:
            newest = _find_newest(conn, suite_name)
            if newest is not None and not force and is_current(conn, newest):
                return newest
        draft = draft_publication(db, blobs, suite_name)
        if not _store(db, blobs, draft):
            continue
        with db.write() as conn:
            if _insert(conn, draft):
                _request_signature(conn, draft)
                return _find(conn, draft)
    raise HostFailed(f"suite {suite_name}: other hubs keep publishing it", hint="try again")


def publish_with(db: Database, blobs: BlobStore, suite_name: str, signer: Signer) -> Publication:
    """Build, sign with *signer* in this process, and make it live: for tests and for a hub without signer."""
    draft = draft_publication(db, blobs, suite_name)
    _store(db, blobs, draft)
    with db.write() as conn:
        find_suite(conn, suite_name)
        if not _insert(conn, draft):
            raise HostFailed(f"suite {suite_name} was published by another hub just now", hint="try again")
        if not list_keys(conn, suite_name, state="signing"):
            keep_key(conn, suite_name, 1, signer.public_key())
    answer = SignAnswer(
        status="signed",
        fingerprint=signer.fingerprint,
        inline=signer.sign_inline(draft.release).decode(),
        detached=signer.sign_detached(draft.release).decode(),
    )
    make_live(db, blobs, suite_name, draft.generation, answer)
    with db.read() as conn:
        return _find(conn, draft)


def find_live(conn: Connection, suite_name: str) -> Publication | None:
    """The generation that is served, if there is one."""
    query = sa.select(publication).where(publication.c.suite == suite_name, publication.c.state == "live")
    return _read(conn, query)


def is_current(conn: Connection, published: Publication) -> bool:
    """True if the suite sees now what *published* holds, and that was not refused and need not be signed anew."""
    age_ms = now(conn) - published.created_at
    if published.state not in ("live", "signing") or age_ms > 1000 * resign_after(
        find_suite(conn, published.suite).valid_s
    ):
        return False
    return not has_changed(conn, published.suite, published.event)


def _find_newest(conn: Connection, suite_name: str) -> Publication | None:
    query = sa.select(publication).where(publication.c.suite == suite_name)
    return _read(conn, query.order_by(publication.c.generation.desc()).limit(1))


def _read(conn: Connection, query: sa.Select[tuple[object, ...]]) -> Publication | None:
    row = conn.execute(query).first()
    if row is None:
        return None
    return Publication(
        suite=row.suite,
        generation=row.generation,
        event=row.event,
        state=row.state,
        created_at=row.created_at,
        sign_job=row.sign_job,
    )


def _store(db: Database, blobs: BlobStore, draft: Draft) -> bool:
    """False if a file that was made earlier was collected between its choice and our hold: it is not chosen again."""
    followers = {file.sha256 for file in draft.followers}
    same = {file.sha256 for file in draft.files if file.data is None and is_packed(file.path)}
    names = {file.sha256 for file in draft.files if file.data is not None} | followers | same
    with db.write() as conn:
        spared = hold_blobs(conn, names | {BlobStore.name_of(draft.release)})
    if any(not blobs.has(name) for name in same.union(followers.intersection(spared))):
        return False
    for file in draft.files:
        if file.data is not None:
            blobs.put(file.data, sha256=file.sha256)
    blobs.put(draft.release)
    return True


def _insert(conn: Connection, draft: Draft) -> bool:
    """False if the generation is taken: then another hub has published, maybe from newer content."""
    conn.execute(sa.select(suite.c.name).where(suite.c.name == draft.suite).with_for_update())
    newest = _find_newest(conn, draft.suite)
    if newest is not None and newest.generation >= draft.generation:
        return False
    conn.execute(
        publication.insert().values(
            suite=draft.suite, generation=draft.generation, event=draft.event, state="signing",
            release_sha256=BlobStore.name_of(draft.release), created_at=now(conn),
        )
    )  # fmt: skip
    rows = [
        {"suite": draft.suite, "generation": draft.generation, "path": f.path, "sha256": f.sha256, "size": f.size,
         "served": is_packed(f.path)}
        for f in (*draft.files, *draft.followers)
    ]  # fmt: skip
    conn.execute(publication_file.insert(), rows)
    return True


def _request_signature(conn: Connection, draft: Draft) -> None:
    base = base_of(draft.suite)
    numbers = [row.number for row in list_keys(conn, base, state="signing")]
    # The signer makes the first key once, however often it is asked.
    needs = () if numbers else (ask_key(conn, base, 1),)
    newest, *others = [name_key(base, number) for number in reversed(numbers or [1])]
    spec = SignSpec(
        kind="apt-release", key=newest, also=tuple(others), suite=draft.suite, generation=draft.generation,
        data=encode(draft.release),
    )  # fmt: skip
    job = enqueue(conn, make_sign_job(spec, key=f"sign-release:{draft.suite}:{draft.generation}", needs=needs))
    row = (publication.c.suite == draft.suite) & (publication.c.generation == draft.generation)
    conn.execute(publication.update().where(row).values(sign_job=job))


def _find(conn: Connection, draft: Draft) -> Publication:
    query = sa.select(publication).where(
        publication.c.suite == draft.suite, publication.c.generation == draft.generation
    )
    found = _read(conn, query)
    assert found is not None  # publications are never removed
    return found
