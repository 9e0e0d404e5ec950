"""Who may upload with dput: a key that says whose an upload is, and a secret that lets files in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from deb_orchestrator.services.hub import Denied, Hub, LoginNeeded, NotFound, Principal, log_audit
from deb_orchestrator.services.people import hash_token
from deb_orchestrator.services.targets import find_target
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables_doors import target_distribution, uploader
from debcore.hub.doors import Distributions, Uploader, UploaderAsk
from debcore.openpgp.armor import dearmor
from debcore.openpgp.fingerprint import v4_fingerprint

_DAY_MS = 86_400_000


def add_uploader(hub: Hub, who: Principal, ask: UploaderAsk) -> Uploader:
    """The only time that the secret is seen. Errors: Failure if the key is none; NotFound (a target)."""
    fingerprint = v4_fingerprint(dearmor(ask.certificate))
    secret = secrets.token_urlsafe(24)
    with hub.db.write() as db:
        for name in ask.targets:
            find_target(db, name)
        time = now(db)
        values: dict[str, Any] = {
            "certificate": ask.certificate, "fingerprint": fingerprint, "targets": list(ask.targets),
            "secret_hash": hash_token(secret), "created_at": time, "expires_at": time + ask.days * _DAY_MS,
            "revoked_at": None,
        }  # fmt: skip
        known = update(uploader).where(uploader.c.name == ask.name).values(**values)
        if db.execute(known.returning(uploader.c.name)).first() is None:
            db.execute(uploader.insert().values(name=ask.name, **values))
        log_audit(db, who, "uploader.add", ask.name, {"fingerprint": fingerprint, "targets": list(ask.targets)})
        row = db.execute(select(uploader).where(uploader.c.name == ask.name)).one()
    return _read(row).model_copy(update={"secret": secret})


def list_uploaders(hub: Hub) -> list[Uploader]:
    with hub.db.read() as db:
        return [_read(row) for row in db.execute(select(uploader).order_by(uploader.c.name))]


def revoke_uploader(hub: Hub, who: Principal, name: str) -> None:
    """At once. Errors: NotFound."""
    with hub.db.write() as db:
        query = update(uploader).where(uploader.c.name == name).values(revoked_at=now(db))
        if db.execute(query.returning(uploader.c.name)).first() is None:
            raise NotFound(f"there is no uploader {name[:64]}", hint="list them with: deb-orchestrator uploader list")
        log_audit(db, who, "uploader.revoke", name)


def find_uploader(db: Connection, secret: str, target: str) -> Row[Any]:
    """Whose *secret* is, if it is good for *target*. Errors: LoginNeeded, Denied, NotFound (the target)."""
    row = db.execute(select(uploader).where(uploader.c.secret_hash == hash_token(secret))).one_or_none()
    if row is None or row.revoked_at is not None or row.expires_at <= now(db):
        raise LoginNeeded(
            "the upload path is not known, has expired or was revoked", hint="ask the hub's admin for a new one"
        )
    find_target(db, target)
    if row.targets and target not in row.targets:
        raise Denied(f"{row.name} may not upload for {target}", hint=f"but for {', '.join(row.targets)}")
    return row


def get_distributions(hub: Hub, target: str) -> Distributions:
    """Errors: NotFound."""
    with hub.db.read() as db:
        find_target(db, target)
        return Distributions(names=tuple(sorted(_list_distributions(db, target))))


def set_distributions(hub: Hub, who: Principal, target: str, wanted: Distributions) -> Distributions:
    """Errors: NotFound."""
    names = sorted(set(wanted.names))
    with hub.db.write() as db:
        find_target(db, target)
        db.execute(target_distribution.delete().where(target_distribution.c.target == target))
        if names:
            rows = [{"target": target, "distribution": name} for name in names]
            db.execute(target_distribution.insert(), rows)
        log_audit(db, who, "target.distributions", target, {"names": names})
    return Distributions(names=tuple(names))


def find_distributions(db: Connection, target: str) -> tuple[str, ...]:
    """All that an upload for *target* may name. Errors: NotFound."""
    known = find_target(db, target)
    return tuple(dict.fromkeys([known.name, known.suite, *sorted(_list_distributions(db, target))]))


def _list_distributions(db: Connection, target: str) -> Sequence[str]:
    query = select(target_distribution.c.distribution).where(target_distribution.c.target == target)
    return db.execute(query).scalars().all()


def _read(row: Row[Any]) -> Uploader:
    return Uploader(
        name=row.name, fingerprint=row.fingerprint, targets=tuple(row.targets),
        expires_at=as_datetime(row.expires_at), revoked=row.revoked_at is not None,
    )  # fmt: skip
