"""The keys of a suite: its first, and those that follow when one is replaced. Clients hold them as one file."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.dispatch.statements import enqueue
from deb_orchestrator.domain.jobs import NewJob, Requirement
from deb_orchestrator.signer.model import SignSpec
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables_publish import suite, suite_key, suite_snapshot
from debcore.aptrepo.paths import base_of
from debcore.openpgp.armor import dearmor, join_certificates
from debcore.openpgp.fingerprint import v4_fingerprint

log = logging.getLogger(__name__)

#: Only agents of this pool, which are signers, may claim `sign` jobs.
SIGN_POOL = "sign"


def make_sign_job(spec: SignSpec, *, key: str, needs: tuple[int, ...] = ()) -> NewJob:
    # A signature is cheap and a signer has no builder's faults: one that dies often is asked again for long.
    return NewJob(
        kind="sign", spec=spec.model_dump(mode="json"), requires=Requirement(pool=SIGN_POOL), key=key,
        depends_on=needs, priority=100, max_attempts=20,
    )  # fmt: skip


def name_key(suite_name: str, number: int) -> str:
    """What the signer calls it."""
    return suite_name if number == 1 else f"{suite_name}@{number}"


def list_keys(conn: Connection, suite_name: str, *, state: str | None = None) -> list[sa.Row[Any]]:
    """By number; of a snapshot, those of its suite."""
    query = sa.select(suite_key).where(suite_key.c.suite == base_of(suite_name))
    query = query if state is None else query.where(suite_key.c.state == state)
    return list(conn.execute(query.order_by(suite_key.c.number)))


def ask_key(conn: Connection, suite_name: str, number: int) -> int:
    """The job by which the signer makes the key."""
    spec = SignSpec(kind="public-key", key=name_key(suite_name, number), suite=suite_name)
    return enqueue(conn, make_sign_job(spec, key=f"sign-key:{suite_name}:{number}:{now(conn)}"))


def keep_key(conn: Connection, suite_name: str, number: int, public_key: str) -> bool:
    """The signer's answer: the key signs from now on. What it first said under a number is the key for good.

    True if something changed. The caller appends no event before.
    """
    fingerprint = v4_fingerprint(dearmor(public_key))
    row = (suite_key.c.suite == suite_name) & (suite_key.c.number == number)
    known = {"suite": suite_name, "number": number, "state": "asked", "created_at": now(conn)}
    conn.execute(sa.select(suite.c.name).where(suite.c.name == suite_name).with_for_update())
    if number == 1:  # nobody asked for it in so many words
        conn.execute(insert_new(conn, suite_key).values(known))
    values = {"state": "signing", "public_key": public_key, "fingerprint": fingerprint}
    if not conn.execute(suite_key.update().where(row, suite_key.c.state == "asked").values(values)).rowcount:
        kept = conn.execute(sa.select(suite_key.c.fingerprint).where(row)).scalar()
        if kept != fingerprint:
            log.error("suite %s has the key %s; the signer's other key %s is not taken", suite_name, kept, fingerprint)
        return False
    spread_keys(conn, suite_name)
    if number > 1:  # the first is no news: nothing was published before it
        _tell(conn, suite_name, fingerprint, "signing")
    return True


def retire_key(conn: Connection, suite_name: str, fingerprint: str) -> None:
    """It signs nothing more, and leaves what clients are given."""
    row = (suite_key.c.suite == suite_name) & (suite_key.c.fingerprint == fingerprint)
    conn.execute(suite_key.update().where(row).values(state="retired", retired_at=now(conn)))
    spread_keys(conn, suite_name)
    _tell(conn, suite_name, fingerprint, "retired")


def forget_key(conn: Connection, suite_name: str, number: int, reason: str) -> None:
    """The signer will not make it: it may be asked for again."""
    asked = (suite_key.c.suite == suite_name) & (suite_key.c.number == number) & (suite_key.c.state == "asked")
    if conn.execute(suite_key.delete().where(asked)).rowcount:
        _tell(conn, suite_name, "", "refused", reason)


def list_snapshots_of(conn: Connection, suite_name: str) -> list[str]:
    query = sa.select(suite_snapshot.c.suite).where(suite_snapshot.c.base == suite_name)
    return list(conn.execute(query.order_by(suite_snapshot.c.suite)).scalars())


def spread_keys(conn: Connection, suite_name: str) -> None:
    """What clients are given follows from the keys that sign."""
    rows = list_keys(conn, suite_name, state="signing")
    values = {"public_key": join_certificates(row.public_key for row in rows), "fingerprint": rows[-1].fingerprint}
    every = [suite_name, *list_snapshots_of(conn, suite_name)]
    conn.execute(suite.update().where(suite.c.name.in_(every)).values(values))


def _tell(conn: Connection, suite_name: str, fingerprint: str, state: str, reason: str = "") -> None:
    data = {"suite": suite_name, "fingerprint": fingerprint, "state": state}
    append_events(conn, [NewEvent(type="suite.key", data=data | ({"reason": reason} if reason else {}))])
