"""From the signer's answer to the live generation. The hub believes no answer: it verifies each signature itself."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.domain.jobs import Outcome, State
from deb_orchestrator.services.keeping import hold_blobs
from deb_orchestrator.services.publish_keys import forget_key, keep_key, list_keys, name_key
from deb_orchestrator.services.publish_settings import request_followers, request_publications
from deb_orchestrator.signer.model import SignAnswer, SignSpec
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import publication, suite
from debcore.aptrepo.paths import base_of
from debcore.blobs import BlobStore
from debcore.errors import Failure
from debcore.openpgp import verify_detached, verify_inline

log = logging.getLogger(__name__)


def sign_outcome(result: dict[str, Any]) -> tuple[Outcome, str]:
    """How a `sign` job ends by what the signer reports, and why: a refusal is final, nonsense goes elsewhere."""
    try:
        answer = SignAnswer.model_validate(result)
    except ValidationError as error:
        return Outcome.HOST, f"the signer's answer cannot be read: {error.error_count()} faults"
    return (Outcome.SUCCEEDED, "") if answer.status == "signed" else (Outcome.INVALID, answer.reason)


def accept_answer(db: Database, blobs: BlobStore, job_id: int) -> None:
    """Act on a `sign` job that has ended: keep the suite's key, or make the generation live or refused.

    Safe to repeat. Jobs of other kinds and ones that have not ended are left alone.
    """
    with db.read() as conn:
        row = conn.execute(sa.select(job).where(job.c.id == job_id, job.c.kind == "sign")).first()
    if row is None or not State(row.state).is_terminal:
        return
    spec = SignSpec.model_validate(row.spec)
    if row.state != State.SUCCEEDED:
        reason = row.reason or f"the signer's job {row.id} ended {row.state}"
        _refuse(db, spec, reason)
        return
    answer = SignAnswer.model_validate(row.result)
    if spec.kind == "public-key":
        _keep_key(db, spec, answer)
    elif spec.kind == "apt-release":
        make_live(db, blobs, spec.suite, spec.generation, answer, keys={spec.key, *spec.also})


def _keep_key(db: Database, spec: SignSpec, answer: SignAnswer) -> None:
    """From the second key on all is signed anew, by the new one too."""
    number = _number_of(spec.key)
    with db.write() as conn:
        if keep_key(conn, spec.suite, number, answer.public_key) and number > 1:
            request_publications(conn, spec.suite)


def _number_of(key: str) -> int:
    return int(key.partition("@")[2] or 1)


def make_live(
    db: Database, blobs: BlobStore, suite_name: str, generation: int, answer: SignAnswer, *,
    keys: Collection[str] | None = None,
) -> str:  # fmt: skip
    """Verify the signatures, then serve the generation unless a newer one is live. Returns its state now.

    *keys*: those that were to sign, by the signer's names; None: at least one.
    """
    row = (publication.c.suite == suite_name) & (publication.c.generation == generation)
    with db.read() as conn:
        found = conn.execute(sa.select(publication).where(row)).first()
        held = list_keys(conn, suite_name, state="signing")
    if found is None or found.state != "signing":
        return found.state if found else "refused"
    try:
        wanted = {k.fingerprint for k in held if keys is not None and name_key(base_of(suite_name), k.number) in keys}
        _check_signatures(blobs.read(found.release_sha256), answer, [k.public_key for k in held], wanted)
    except Failure as failure:
        spec = SignSpec(kind="apt-release", key=base_of(suite_name), suite=suite_name, generation=generation)
        _refuse(db, spec, str(failure))
        return "refused"
    texts = (answer.inline.encode(), answer.detached.encode())
    with db.write() as conn:
        hold_blobs(conn, [blobs.name_of(text) for text in texts])
    inrelease = blobs.put(answer.inline.encode())
    release_gpg = blobs.put(answer.detached.encode())
    with db.write() as conn:
        signed = {"inrelease_sha256": inrelease.sha256, "release_gpg_sha256": release_gpg.sha256}
        conn.execute(sa.select(suite.c.live).where(suite.c.name == suite_name).with_for_update())
        waiting = conn.execute(sa.select(publication.c.state).where(row)).scalar_one()
        if waiting != "signing":  # another hub was quicker with the same answer
            return str(waiting)
        # The compare-and-set: `live` only ever moves upwards.
        moved = conn.execute(
            suite.update().where(suite.c.name == suite_name, suite.c.live < generation).values(live=generation)
        ).rowcount
        if not moved:
            conn.execute(publication.update().where(row).values(state="superseded", **signed))
            return "superseded"
        before = (publication.c.suite == suite_name) & (publication.c.state == "live")
        conn.execute(publication.update().where(before).values(state="superseded"))
        conn.execute(publication.update().where(row).values(state="live", live_at=now(conn), **signed))
        data = {"suite": suite_name, "generation": generation, "event": found.event}
        request_followers(conn, suite_name)
        append_events(conn, [NewEvent(type="suite.published", data=data, job=found.sign_job)])
    return "live"


def _check_signatures(release: bytes, answer: SignAnswer, certificates: list[str], wanted: set[str]) -> None:
    """Good ones of every fingerprint *wanted*, and none by a key that is not in *certificates*."""
    where = "the signer's answer"
    if not certificates:
        raise Failure(f"{where}: the suite has no key yet")
    inline = verify_inline(answer.inline.encode(), certificates, where=where)
    if inline.payload != release:
        raise Failure(f"{where}: another text than the one sent was signed")
    detached = verify_detached(release, answer.detached.encode(), certificates, where=where)
    for found in (inline, detached):
        if missing := wanted - set(found.fingerprints):
            raise Failure(f"{where}: no signature by {', '.join(sorted(missing))}")


def _refuse(db: Database, spec: SignSpec, reason: str) -> None:
    suite_name, generation = spec.suite, spec.generation
    if spec.kind == "public-key":  # the publications that depend on its job are refused by themselves
        log.error("suite %s gets no key %s: %s", suite_name, spec.key, reason)
        with db.write() as conn:
            forget_key(conn, suite_name, _number_of(spec.key), reason)
        return
    row = (publication.c.suite == suite_name) & (publication.c.generation == generation)
    with db.write() as conn:
        changed = conn.execute(
            publication.update().where(row, publication.c.state == "signing").values(state="refused", reason=reason)
        ).rowcount
        if changed:
            data = {"suite": suite_name, "generation": generation, "reason": reason}
            append_events(conn, [NewEvent(type="suite.refused", data=data)])
    log.error("generation %d of suite %s is not published: %s", generation, suite_name, reason)
