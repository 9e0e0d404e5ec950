"""Tokens, one-time login links and browser sessions. Secrets are random, shown once, and kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping

from sqlalchemy import insert, select, update

from deb_orchestrator.services.hub import Denied, Hub, LoginNeeded, NotFound, Principal, log_audit
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables import agent
from deb_orchestrator.store.tables_domain import login_link, session, token
from debcore.hub.model import Scope, Token, TokenAsk

LINK_S = 15 * 60  #: seconds that a login link may be used
SESSION_S = 12 * 3600
_UNKNOWN = LoginNeeded("the token is not known, has expired or was revoked", hint="ask the hub's admin for a new one")


def hash_token(secret: str) -> str:
    """As stored. The secrets have 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find_principal(hub: Hub, secret: str) -> Principal:
    """Whose bearer token *secret* is. Errors: LoginNeeded; Denied for an agent that is not approved."""
    hashed = hash_token(secret)
    with hub.db.look() as db:
        row = db.execute(select(token).where(token.c.token_hash == hashed)).one_or_none()
        if row is not None:
            if row.revoked_at is not None or row.expires_at <= now(db):
                raise _UNKNOWN
            return Principal(name=row.name, scope=row.scope)
        row = db.execute(select(agent).where(agent.c.token_hash == hashed)).one_or_none()
    if row is None:
        raise _UNKNOWN
    if row.state != "approved":
        words = {"pending": "waits to be approved", "revoked": "was revoked"}
        raise Denied(
            f"agent {row.name} {words[row.state]}",
            hint=f"the admin approves with: deb-orchestrator agent approve {row.name}",
        )
    return Principal(name=row.name, scope="signer" if "sign" in row.pools else "agent", agent=row.id)


def make_token(hub: Hub, who: Principal, ask: TokenAsk) -> Token:
    """The only time that the secret is seen."""
    secret = secrets.token_urlsafe(32)
    with hub.db.write() as db:
        time = now(db)
        expires_at = time + ask.days * 86_400_000
        id_ = db.execute(
            insert(token)
            .values(
                name=ask.name, scope=ask.scope, token_hash=hash_token(secret), created_at=time, expires_at=expires_at
            )
            .returning(token.c.id)
        ).scalar_one()
        log_audit(db, who, "token.make", ask.name, {"scope": ask.scope, "days": ask.days})
    return Token(id=id_, name=ask.name, scope=ask.scope, expires_at=as_datetime(expires_at), secret=secret)


def list_tokens(hub: Hub) -> list[Token]:
    with hub.db.read() as db:
        rows = db.execute(select(token).order_by(token.c.id)).all()
    return [
        Token(
            id=row.id, name=row.name, scope=row.scope, expires_at=as_datetime(row.expires_at),
            revoked=row.revoked_at is not None,
        )
        for row in rows
    ]  # fmt: skip


def revoke_token(hub: Hub, who: Principal, id_: int) -> None:
    """At once. Errors: NotFound."""
    with hub.db.write() as db:
        name = db.execute(
            update(token).where(token.c.id == id_).values(revoked_at=now(db)).returning(token.c.name)
        ).scalar_one_or_none()
        if name is None:
            raise NotFound(f"there is no token {id_}", hint="list them with: deb-orchestrator token list")
        log_audit(db, who, "token.revoke", name)


def make_login_link(hub: Hub, who: Principal) -> tuple[str, int]:
    """A secret for /login/SECRET and when it expires (ms). It signs in one browser, once, with *who*'s scope."""
    secret = secrets.token_urlsafe(32)
    with hub.db.write() as db:
        expires_at = now(db) + LINK_S * 1000
        values = {"link_hash": hash_token(secret), "scope": who.scope, "principal": who.name, "expires_at": expires_at}
        db.execute(insert(login_link).values(**values))
        log_audit(db, who, "login-link.make", who.name)
    return secret, expires_at


def use_login_link(hub: Hub, secret: str) -> str:
    """Use the link up and return the secret of a new session. Errors: LoginNeeded if it was used or is too old."""
    hashed, new = hash_token(secret), secrets.token_urlsafe(32)
    with hub.db.write() as db:
        time = now(db)
        row = db.execute(
            update(login_link)
            .where(login_link.c.link_hash == hashed, login_link.c.used_at.is_(None), login_link.c.expires_at > time)
            .values(used_at=time)
            .returning(login_link.c.scope, login_link.c.principal)
        ).one_or_none()
        if row is None:
            raise LoginNeeded(
                "this login link was used already or is too old", hint="make a new one with: deb-orchestrator login"
            )
        values = {"session_hash": hash_token(new), "scope": row.scope, "principal": row.principal}
        times = {"created_at": time, "expires_at": time + SESSION_S * 1000}
        db.execute(insert(session).values(csrf=secrets.token_urlsafe(24), **values, **times))
        log_audit(db, Principal(name=row.principal, scope=row.scope), "session.begin", row.principal, {"by": "link"})
    return new


def start_session(hub: Hub, name: str, scope: Scope, data: Mapping[str, str]) -> str:
    """The secret of a new session of *name*, who has shown who that is; *data* says how, for the audit log."""
    new = secrets.token_urlsafe(32)
    with hub.db.write() as db:
        time = now(db)
        values = {"session_hash": hash_token(new), "scope": scope, "principal": name}
        times = {"created_at": time, "expires_at": time + SESSION_S * 1000}
        db.execute(insert(session).values(csrf=secrets.token_urlsafe(24), **values, **times))
        log_audit(db, Principal(name=name, scope=scope), "session.begin", name, {"scope": scope, **data})
    return new


def find_session(hub: Hub, secret: str) -> Principal | None:
    """Whose session cookie *secret* is; None if it is not known or is over."""
    with hub.db.read() as db:
        row = db.execute(
            select(session).where(session.c.session_hash == hash_token(secret), session.c.expires_at > now(db))
        ).one_or_none()
    return None if row is None else Principal(name=row.principal, scope=row.scope, csrf=row.csrf)


def end_session(hub: Hub, who: Principal, secret: str) -> None:
    """Of *who*, by its own secret."""
    with hub.db.write() as db:
        db.execute(session.delete().where(session.c.session_hash == hash_token(secret)))
        log_audit(db, who, "session.end", who.name)
