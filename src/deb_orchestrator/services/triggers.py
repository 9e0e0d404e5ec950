"""Branches that are built when they move. The hub says what is due; a runner looks at the repository and packs."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from deb_orchestrator.services.hub import Conflict, Hub, LoginNeeded, NotFound, Principal, log_audit
from deb_orchestrator.services.people import hash_token
from deb_orchestrator.services.sight import EVERYTHING, Sight, load_sight
from deb_orchestrator.services.targets import find_target
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables_doors import trigger
from debcore.errors import Failure
from debcore.hub.doors import Looked, Trigger, TriggerAsk

#: Hinted at when a repository's host has called.
TOPIC = "trigger"
#: Seconds after which a look that went wrong, or was never ended, is tried again.
RETRY_S = 3600
#: While a runner looks; it stays if the runner dies.
LOOKING = "a runner looks at it"


def add_trigger(hub: Hub, who: Principal, ask: TriggerAsk) -> Trigger:
    """The only time that the path of its hook is seen; it is due at once.

    Errors: NotFound (target), Conflict; Failure if the URL holds a password: every client sees it.
    """
    _check_url(ask.url)
    secret = secrets.token_urlsafe(24)
    with hub.db.write() as db:
        find_target(db, ask.target)
        if db.execute(select(trigger.c.name).where(trigger.c.name == ask.name)).first():
            raise Conflict(f"there is a trigger {ask.name}", hint="remove it first, or choose another name")
        time = now(db)
        values = {**ask.model_dump(), "secret_hash": hash_token(secret), "created_at": time, "asked_at": time}
        row = db.execute(insert(trigger).values(**values).returning(*trigger.c)).one()
        log_audit(db, who, "trigger.add", ask.name, {"url": ask.url, "branch": ask.branch, "target": ask.target})
        hint(db, TOPIC)
    return _read(row).model_copy(update={"hook": f"/hook/{secret}"})


def _check_url(url: str) -> None:
    try:
        at = urlsplit(url)
    except ValueError as error:
        raise Failure(f"{url[:200]} is no URL: {error}") from error
    if at.password is not None or (at.scheme in ("http", "https") and at.username is not None):
        raise Failure(
            "the URL holds a name or a password, which every client of the hub would see",
            hint="give the one who runs `trigger run` a git credential helper",
        )


def list_triggers(hub: Hub, *, sight: Sight = EVERYTHING) -> list[Trigger]:
    with hub.db.read() as db:
        query = select(trigger).where(sight.of_target(trigger.c.target)).order_by(trigger.c.name)
        return [_read(row) for row in db.execute(query)]


def remove_trigger(hub: Hub, who: Principal, name: str) -> None:
    """Errors: NotFound."""
    with hub.db.write() as db:
        if db.execute(delete(trigger).where(trigger.c.name == name).returning(trigger.c.name)).first() is None:
            raise _unknown(name)
        log_audit(db, who, "trigger.remove", name)


def call(hub: Hub, secret: str) -> None:
    """The repository's host says that something was pushed; what it says of it is not believed. Errors: LoginNeeded."""
    with hub.db.write() as db:
        mine = update(trigger).where(trigger.c.secret_hash == hash_token(secret)).values(asked_at=now(db))
        if db.execute(mine.returning(trigger.c.name)).first() is None:
            raise LoginNeeded("this hook is not known", hint="make a trigger anew: deb-orchestrator trigger add")
        hint(db, TOPIC)


def list_due(hub: Hub, *, sight: Sight = EVERYTHING) -> list[Trigger]:
    """Those that nobody has looked at since they were called, that are to be polled, or that are to be tried again."""
    with hub.db.read() as db:
        query = select(trigger).where(_is_due(now(db)), sight.of_target(trigger.c.target)).order_by(trigger.c.name)
        return [_read(row) for row in db.execute(query)]


def check_trigger(hub: Hub, who: Principal, name: str) -> None:
    """Errors: NotFound if there is none that *who* sees."""
    with hub.db.read() as db:
        seen = load_sight(db, who).of_target(trigger.c.target)
        if db.execute(select(trigger.c.name).where(trigger.c.name == name, seen)).first() is None:
            raise _unknown(name)


def take_look(hub: Hub, name: str) -> bool:
    """Before a runner looks: True if it is still due, and then this runner's to look at. Errors: NotFound."""
    with hub.db.write() as db:
        if db.execute(select(trigger.c.name).where(trigger.c.name == name).with_for_update()).first() is None:
            raise _unknown(name)
        time = now(db)
        mine = update(trigger).where(trigger.c.name == name, _is_due(time)).values(looked_at=time, error=LOOKING)
        return db.execute(mine.returning(trigger.c.name)).first() is not None


def _is_due(time: int) -> ColumnElement[bool]:
    """*time* in milliseconds."""
    called = trigger.c.asked_at > trigger.c.looked_at
    polled = trigger.c.looked_at + trigger.c.poll_s * 1000 <= time
    again = (trigger.c.error != "") & (trigger.c.looked_at + RETRY_S * 1000 <= time)
    return or_(trigger.c.looked_at.is_(None), called, polled, again)


def keep_look(hub: Hub, who: Principal, name: str, looked: Looked) -> Trigger:
    """What the runner found. What went wrong leaves the old commit, so that the next look tries again."""
    values: dict[str, Any] = {"error": looked.error}
    if not looked.error:
        values["head"] = looked.head
    if looked.request is not None:
        values["request"] = looked.request
    with hub.db.write() as db:
        row = db.execute(
            update(trigger).where(trigger.c.name == name).values(**values).returning(*trigger.c)
        ).one_or_none()
        if row is None:
            raise _unknown(name)
        if looked.request is not None:
            log_audit(db, who, "trigger.build", name, {"head": looked.head, "request": looked.request})
    return _read(row)


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no trigger {name[:64]}", hint="list them with: deb-orchestrator trigger list")


def _read(row: Row[Any]) -> Trigger:
    return Trigger(
        name=row.name, url=row.url, branch=row.branch, target=row.target, poll_s=row.poll_s, head=row.head,
        request=row.request, error=row.error, looked_at=as_datetime(row.looked_at) if row.looked_at else None,
    )  # fmt: skip
