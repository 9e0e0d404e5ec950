"""Webhooks as an administrator sets them, and what became of their deliveries."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, delete, func, insert, select, update

from deb_orchestrator.dispatch.events import last_event
from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.engine import hint
from deb_orchestrator.store.tables_doors import delivery, webhook
from debcore.errors import Failure
from debcore.http import is_loopback
from debcore.hub.doors import Delivery, DeliveryState, ReplayAsk, Webhook, WebhookAsk

#: Hinted at when there is something to deliver.
TOPIC = "webhook"


def add_webhook(hub: Hub, who: Principal, ask: WebhookAsk, *, source: str) -> Webhook:
    """The only time that the secret is seen. *source*: the hub's URL. Errors: Conflict if the name is taken."""
    parts = urlsplit(ask.url)
    if not parts.hostname or parts.username is not None:
        raise Failure(f"{ask.url[:80]} is no URL to send to", hint="such as https://ci.example.org/hook")
    if parts.scheme != "https" and not is_loopback(ask.url):
        raise Failure("events go to other hosts over https only", hint="or to a relay on this host")
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    with hub.db.write() as db:
        if db.execute(select(webhook.c.name).where(webhook.c.name == ask.name)).first():
            raise Conflict(f"there is a webhook {ask.name}", hint="remove it first, or choose another name")
        after = last_event(db) if ask.after is None else ask.after
        values = {"name": ask.name, "url": ask.url, "types": list(ask.types), "after": after, "source": source}
        db.execute(insert(webhook).values(**values, secret=secret, created_at=now(db)))
        log_audit(db, who, "webhook.add", ask.name, {"url": ask.url, "types": list(ask.types)})
        hint(db, TOPIC)
    return Webhook(name=ask.name, url=ask.url, types=ask.types, secret=secret)


def remove_webhook(hub: Hub, who: Principal, name: str) -> None:
    """With its deliveries. Errors: NotFound."""
    with hub.db.write() as db:
        if db.execute(select(webhook.c.name).where(webhook.c.name == name).with_for_update()).first() is None:
            raise _unknown(name)
        db.execute(delete(delivery).where(delivery.c.webhook == name))
        db.execute(delete(webhook).where(webhook.c.name == name))
        log_audit(db, who, "webhook.remove", name)


def list_webhooks(hub: Hub) -> list[Webhook]:
    count = select(delivery.c.webhook, delivery.c.state, func.count().label("n")).group_by(
        delivery.c.webhook, delivery.c.state
    )
    with hub.db.read() as db:
        counts = {(row.webhook, row.state): row.n for row in db.execute(count)}
        rows = db.execute(select(webhook).order_by(webhook.c.name)).all()
    return [
        Webhook(
            name=row.name, url=row.url, types=tuple(row.types), pending=counts.get((row.name, "pending"), 0),
            dead=counts.get((row.name, "dead"), 0),
        )
        for row in rows
    ]  # fmt: skip


def list_deliveries(
    hub: Hub, name: str, *, state: DeliveryState | None = None, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """Newest first; *before* is a delivery's id. Errors: NotFound."""
    query = select(delivery).where(delivery.c.webhook == name).order_by(delivery.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(delivery.c.state == state.value)
    if before is not None:
        query = query.where(delivery.c.id < before)
    with hub.db.read() as db:
        if db.execute(select(webhook.c.name).where(webhook.c.name == name)).first() is None:
            raise _unknown(name)
        return [_read(row) for row in db.execute(query)]


def replay(hub: Hub, who: Principal, name: str, ask: ReplayAsk) -> int:
    """How many are sent again: one delivery, whatever its state, or all that are dead. Errors: NotFound."""
    mine = delivery.c.webhook == name
    chosen = delivery.c.state == "dead" if ask.delivery is None else delivery.c.id == ask.delivery
    with hub.db.write() as db:
        if db.execute(select(webhook.c.name).where(webhook.c.name == name)).first() is None:
            raise _unknown(name)
        values: dict[str, Any] = {"state": "pending", "tries": 0, "next_at": now(db), "ended_at": None}
        found = db.execute(update(delivery).where(mine, chosen).values(**values).returning(delivery.c.id)).all()
        if ask.delivery is not None and not found:
            raise NotFound(f"webhook {name} has no delivery {ask.delivery}")
        log_audit(db, who, "webhook.replay", name, {"deliveries": len(found)})
        hint(db, TOPIC)
    return len(found)


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no webhook {name[:64]}", hint="list them with: deb-orchestrator webhook list")


def _read(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id, webhook=row.webhook, event=row.event, state=row.state, tries=row.tries, status=row.status,
        error=row.error, next_at=as_datetime(row.next_at),
    )  # fmt: skip
