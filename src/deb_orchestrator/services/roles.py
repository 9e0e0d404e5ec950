"""Who is given what of a suite: roles of people and programs, and credentials of apt."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from deb_orchestrator.services.hub import Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.people import hash_token
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables_doors import apt_credential, suite_role
from debcore.hub.doors import AptCredential, AptCredentialAsk, SuiteRole

_DAY_MS = 86_400_000


def list_roles(hub: Hub, name: str) -> list[SuiteRole]:
    """Errors: NotFound."""
    with hub.db.read() as db:
        find_suite_row(db, name)
        query = sa.select(suite_role).where(suite_role.c.suite == name).order_by(suite_role.c.principal)
        return [SuiteRole(principal=row.principal, role=row.role) for row in db.execute(query)]


def set_role(hub: Hub, who: Principal, name: str, principal: str, role: str | None) -> list[SuiteRole]:
    """None takes it away. Errors: NotFound."""
    with hub.db.write() as db:
        find_suite_row(db, name, lock=True)
        mine = (suite_role.c.suite == name) & (suite_role.c.principal == principal)
        db.execute(suite_role.delete().where(mine))
        if role is not None:
            db.execute(suite_role.insert().values(suite=name, principal=principal, role=role))
        log_audit(db, who, "suite.role", name, {"principal": principal, "role": role})
    return list_roles(hub, name)


def add_credential(hub: Hub, who: Principal, suite: str, ask: AptCredentialAsk) -> AptCredential:
    """The only time that the password is seen; the same name again replaces it. Errors: NotFound."""
    secret = secrets.token_urlsafe(24)
    with hub.db.write() as db:
        find_suite_row(db, suite, lock=True)
        time = now(db)
        mine = (apt_credential.c.suite == suite) & (apt_credential.c.name == ask.name)
        db.execute(apt_credential.delete().where(mine))
        expires_at = time + ask.days * _DAY_MS
        values = {"suite": suite, "name": ask.name, "secret_hash": hash_token(secret)}
        db.execute(apt_credential.insert().values(**values, created_at=time, expires_at=expires_at))
        log_audit(db, who, "suite.credential.add", suite, {"name": ask.name, "days": ask.days})
    return AptCredential(suite=suite, name=ask.name, expires_at=as_datetime(expires_at), secret=secret)


def list_credentials(hub: Hub, suite: str) -> list[AptCredential]:
    """Errors: NotFound."""
    with hub.db.read() as db:
        find_suite_row(db, suite)
        query = sa.select(apt_credential).where(apt_credential.c.suite == suite).order_by(apt_credential.c.name)
        return [
            AptCredential(suite=suite, name=row.name, expires_at=as_datetime(row.expires_at))
            for row in db.execute(query)
        ]


def remove_credential(hub: Hub, who: Principal, suite: str, name: str) -> None:
    """At once. Errors: NotFound."""
    with hub.db.write() as db:
        mine = (apt_credential.c.suite == suite) & (apt_credential.c.name == name)
        if db.execute(apt_credential.delete().where(mine).returning(apt_credential.c.name)).first() is None:
            raise NotFound(f"suite {suite[:64]} has no credential {name[:64]}")
        log_audit(db, who, "suite.credential.remove", suite, {"name": name})
