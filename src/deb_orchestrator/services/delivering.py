"""Sends events to webhooks: each at least once, signed, again with growing pauses, and given up after a day.

Any number of hubs may do it at once: an event becomes deliveries in one transaction with the webhook's cursor, and a
delivery is claimed by moving its `next_at`. One that a killed hub had claimed is tried again when that time comes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, insert, select, update

from deb_orchestrator.dispatch.events import TOPIC as EVENTS
from deb_orchestrator.dispatch.events import Event as StoredEvent
from deb_orchestrator.dispatch.events import last_event, read_events
from deb_orchestrator.dispatch.wake import ALL
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.webhooks import TOPIC
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables_doors import delivery, webhook
from debcore.errors import Failure
from debcore.http import Http, HttpFailure
from debcore.hub.envelope import MEDIA_TYPE, make_envelope
from debcore.hub.model import Event

log = logging.getLogger(__name__)

BATCH = 500
#: Seconds after the first try, the second and so on; after the last it is dead. Together a day.
PAUSES_S = (10, 40, 160, 640, 2560, 10_000, 20_000, 50_000)
#: Seconds for which a claim holds; a receiver has TIMEOUT_S for each step of its answer.
CLAIM_S = 120
TIMEOUT_S = 10
LOOK_S = 10.0
THREADS = 4
#: Milliseconds that ended deliveries are kept.
KEPT_MS = 30 * 86_400_000
#: Bytes of an answer that are read.
MAX_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Sending:
    """A claimed delivery."""

    id: int
    tries: int
    name: str
    url: str
    secret: str
    body: bytes
    event: int


def sign(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature. Source: Standard Webhooks 1.0, signature scheme (symmetric)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def is_wanted(type_: str, types: list[str]) -> bool:
    """*types* []: all; one that ends in a dot stands for all that begin so."""
    return not types or any(type_ == one or (one.endswith(".") and type_.startswith(one)) for one in types)


def make_deliveries(hub: Hub) -> bool:
    """One step for each webhook that lags behind the event log; True if one of them still does."""
    more = False
    with hub.db.write() as db:
        last = last_event(db)
        lagging = select(webhook).where(webhook.c.after < last).order_by(webhook.c.name)
        for row in db.execute(lagging.with_for_update(skip_locked=True)).all():
            events = read_events(db, row.after, BATCH)
            time = now(db)
            values = [
                {"webhook": row.name, "event": one.n, "state": "pending", "next_at": time, "created_at": time}
                for one in events
                if is_wanted(one.type, row.types)
            ]
            db.execute(insert(delivery), values) if values else None
            done = events[-1].n if events else last
            db.execute(update(webhook).where(webhook.c.name == row.name).values(after=done))
            more |= done < last
        db.execute(delete(delivery).where(delivery.c.ended_at < now(db) - KEPT_MS))
    return more


def claim_delivery(hub: Hub, busy: set[str]) -> Sending | None:
    """The oldest delivery that is due, of a webhook that is not *busy*; it is ours for CLAIM_S."""
    with hub.db.write() as db:
        time = now(db)
        due = select(delivery.c.id).where(delivery.c.state == "pending", delivery.c.next_at <= time)
        due = due.where(delivery.c.webhook.not_in(busy)).order_by(delivery.c.id).limit(1)
        found = db.execute(due.with_for_update(skip_locked=True)).scalar_one_or_none()
        if found is None:
            return None
        values = {"tries": delivery.c.tries + 1, "next_at": time + CLAIM_S * 1000}
        mine = db.execute(update(delivery).where(delivery.c.id == found).values(**values).returning(*delivery.c)).one()
        row = db.execute(select(webhook).where(webhook.c.name == mine.webhook)).one()
        body = make_body(read_events(db, mine.event - 1, 1)[0], row.source)
        return Sending(mine.id, mine.tries, row.name, row.url, row.secret, body, mine.event)


def make_body(one: StoredEvent, source: str) -> bytes:
    """The CloudEvent of a stored event. *source*: the hub's URL."""
    event = Event(
        n=one.n, at=as_datetime(one.at), type=one.type, request=one.request, build=one.build, arch=one.arch,
        attempt=one.attempt, job=one.job, data=one.data,
    )  # fmt: skip
    envelope = make_envelope(event, source).model_dump(mode="json", exclude_none=True)
    return json.dumps(envelope, separators=(",", ":")).encode()


def send(sending: Sending, timestamp: int) -> tuple[int | None, str]:
    """Status of the answer, and what went wrong: "" if it was taken. A redirect is not followed."""
    id_ = f"event-{sending.event}"
    headers = {
        "Content-Type": MEDIA_TYPE, "webhook-id": id_, "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(sending.secret, id_, timestamp, sending.body),
    }  # fmt: skip
    try:
        parts = urlsplit(sending.url)
        with Http(f"{parts.scheme}://{parts.netloc}", timeout=TIMEOUT_S, tries=1) as http:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            answer = http.call("POST", path, content=sending.body, headers=headers, max_size=MAX_ANSWER)
    except HttpFailure as failure:
        return failure.code, f"it answered {failure.code}"
    except Failure as failure:
        return None, str(failure)[:500]
    except (UnicodeError, ValueError) as error:  # a host name that no resolver takes
        return None, f"the URL cannot be called: {error}"[:500]
    return answer.code, "" if 200 <= answer.code < 300 else f"it answered {answer.code}"


def end_try(hub: Hub, sending: Sending, status: int | None, error: str) -> None:
    """Delivered, or to be tried again, or dead. A claim that was lost meanwhile is left alone."""
    with hub.db.write() as db:
        time = now(db)
        values: dict[str, Any] = {"status": status, "error": error}
        if not error:
            values |= {"state": "delivered", "ended_at": time}
        elif sending.tries > len(PAUSES_S) or status == 410:  # 410: nobody is there any more
            values |= {"state": "dead", "ended_at": time}
            log.warning("webhook %s: event %d is given up: %s", sending.name, sending.event, error)
        else:
            values["next_at"] = time + PAUSES_S[sending.tries - 1] * 1000
        ours = (delivery.c.id == sending.id) & (delivery.c.tries == sending.tries) & (delivery.c.state == "pending")
        db.execute(update(delivery).where(ours).values(**values))


class Deliverer:
    """Sends what is due, a few at once and of each webhook one at a time."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._wake = threading.Event()
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        hub.wake.subscribe(self._hear)

    def run(self, stop: threading.Event) -> None:
        """Until *stop*; what is being sent is finished first."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
            while not stop.is_set():
                self._wake.clear()
                try:
                    self.deliver(pool.submit)
                except Exception:
                    log.exception("webhooks: trying again in %g s", LOOK_S)
                self._wake.wait(LOOK_S)

    def deliver(self, start: Callable[..., Future[None] | None]) -> None:
        """Start to send all that is due, as far as there are threads."""
        with self._hub.db.read() as db:
            if db.execute(select(webhook.c.name).limit(1)).first() is None:
                return
        while make_deliveries(self._hub):
            pass
        while (sending := self._claim()) is not None:
            start(self._send, sending)

    def wake(self) -> None:
        self._wake.set()

    def _claim(self) -> Sending | None:
        with self._lock:
            if len(self._busy) >= THREADS:
                return None
            sending = claim_delivery(self._hub, self._busy)
            if sending is not None:
                self._busy.add(sending.name)
            return sending

    def _send(self, sending: Sending) -> None:
        try:
            with self._hub.db.read() as db:
                timestamp = now(db) // 1000
            end_try(self._hub, sending, *send(sending, timestamp))
        except Exception:
            log.exception("webhook %s: event %d", sending.name, sending.event)
        finally:
            with self._lock:
                self._busy.discard(sending.name)
            self._wake.set()

    def _hear(self, topics: frozenset[str]) -> None:
        if topics & {EVENTS, TOPIC, ALL}:
            self._wake.set()
