"""Sends the event log to a JetStream stream, from where the stream ends: nothing of it is kept in the database.

Any number of hubs may do it at once. Each reads what the stream's last message is and sends what follows; the server
takes only the very next one, so a hub that was too late looks again.
A server that lost its store gets all from event 1.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import dataclass
from typing import Any

from deb_orchestrator.bus.jetstream import Message, Overtaken, Session, Target, Unreachable
from deb_orchestrator.dispatch.events import TOPIC as EVENTS
from deb_orchestrator.dispatch.events import last_event, read_events
from deb_orchestrator.dispatch.wake import ALL
from deb_orchestrator.services.delivering import make_body
from deb_orchestrator.services.hub import Hub
from debcore.errors import Failure

log = logging.getLogger(__name__)

#: Events that are on their way at once, and bytes of them.
BATCH = 200
BATCH_BYTES = 4 * 1024 * 1024
#: Seconds until we look although nothing was hinted at, and until we try again.
LOOK_S = 10.0
RETRY_S = 1.0
#: Seconds until we look again at a stream that cannot be ours: a person must act.
REFUSED_S = 30.0


@dataclass(frozen=True)
class Place:
    """Where a stream is: its last event, and the source that its messages name; None if it holds none."""

    after: int
    source: str | None


class Streamer:
    """Keeps *target* filled. *source*: the hub's URL, which an empty stream's first message names; later ones agree."""

    def __init__(self, hub: Hub, target: Target, source: str) -> None:
        self._hub = hub
        self._target = target
        self._source = source
        self._wake = threading.Event()
        self._said = ""
        hub.wake.subscribe(self._hear)

    def run(self, stop: threading.Event) -> None:
        """Until *stop*. A server that is away is waited for; the hub goes on meanwhile."""
        while not stop.is_set():
            pause = RETRY_S
            try:
                with asyncio.Runner() as runner:
                    self._stream(runner, stop)
            except Unreachable as failure:
                self._say(str(failure))
            except Failure as failure:
                self._say(f"{failure} ({failure.hint})" if failure.hint else str(failure))
                pause = REFUSED_S
            except Exception:
                log.exception("the stream of events broke; trying again in %g s", RETRY_S)
            stop.wait(pause)

    def wake(self) -> None:
        self._wake.set()

    def _stream(self, runner: asyncio.Runner, stop: threading.Event) -> None:
        session = runner.run(Session.open(self._target))
        try:
            while not stop.is_set():
                place = self._find_place(runner, session)
                if self._said:
                    log.info("events go to %s again, from %d", self._target.url, place.after + 1)
                self._said = ""
                try:
                    self._send(runner, session, place, stop)
                except Overtaken as lost:
                    log.debug("%s", lost)
        finally:
            runner.run(session.close())

    def _send(self, runner: asyncio.Runner, session: Session, place: Place, stop: threading.Event) -> None:
        """Until *stop*, or until the place must be found anew."""
        after = place.after
        while not stop.is_set():
            self._wake.clear()
            messages = self._read(after, place.source or self._source, limit=BATCH if place.source else 1)
            if messages:
                runner.run(session.send(messages))
                after = messages[-1].n
                if place.source is None:
                    return  # it has a source now: ours
            elif not self._wake.wait(LOOK_S):
                runner.run(session.check())

    def _find_place(self, runner: asyncio.Runner, session: Session) -> Place:
        """Errors: Failure if what the stream has is not from this database."""
        last = runner.run(session.find_last())
        found = runner.run(session.read(last)) if last else None
        if found is None:
            with self._hub.db.read() as db:
                known = last_event(db)
            if last > known:
                raise self._foreign(f"it is at message {last}, the event log at {known}")
            return Place(last, None)
        id_, body = found
        there = _parse(body)
        source = str(there.get("source"))
        ours = self._read(last - 1, source, limit=1)
        here = _parse(ours[0].body) if ours else {}
        if id_ != str(last) or any(there.get(name) != here.get(name) for name in ("id", "type", "time")):
            raise self._foreign(f"its message {last} is not event {last}")
        return Place(last, source)

    def _foreign(self, why: str) -> Failure:
        return Failure(
            f"the stream {self._target.stream} is not of this hub's event log: {why}",
            hint="give another --nats-stream; after a restore of the database, delete the stream: it is filled anew",
        )

    def _read(self, after: int, source: str, limit: int = BATCH) -> list[Message]:
        with self._hub.db.read() as db:
            events = read_events(db, after, limit)
        messages: list[Message] = []
        size = 0
        for event in events:
            message = Message(event.n, f"deb-orchestrator.{event.type}", make_body(event, source))
            size += len(message.body)
            if messages and size > BATCH_BYTES:
                break
            messages.append(message)
        return messages

    def _say(self, text: str) -> None:
        """Once for each thing that is wrong, not once a second."""
        log.log(logging.DEBUG if text == self._said else logging.WARNING, "events wait for their stream: %s", text)
        self._said = text

    def _hear(self, topics: frozenset[str]) -> None:
        if topics & {EVENTS, ALL}:
            self._wake.set()


def _parse(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
