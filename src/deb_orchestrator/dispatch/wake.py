"""Wake-ups: hints that it may be worth looking again. Losing one costs latency, never a job.

Topics are those that the statements give to `store.engine.hint`: `class:ID`, `agent:ID`, `event`. They are sent after
the commit, never in the transaction: NOTIFY there would take a lock that serialises all commits of the database.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

import psycopg
from sqlalchemy import URL

from deb_orchestrator.store.engine import Database

log = logging.getLogger(__name__)

#: Everything may have changed: sent where topics may have been lost.
ALL = "*"
CHANNEL = "debootc_wake"
#: Hints of this many seconds travel as one notification.
COALESCE_S = 0.01
#: PostgreSQL takes payloads below 8000 bytes.
PAYLOAD_BYTES = 7000

#: Called with the topics, in any thread. It must not block.
Subscriber = Callable[[frozenset[str]], None]


class Wake(Protocol):
    """Carries hints from whoever commits to whoever waits."""

    def send(self, topics: frozenset[str]) -> None:
        """Pass *topics* on; never blocks and never fails."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Hear all topics from now on; the returned function ends that."""

    def close(self) -> None:
        """Stop threads and close connections."""


class InprocWake:
    """Within one process: all that SQLite needs, since it has one hub."""

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()
        self._lock = threading.Lock()

    def send(self, topics: frozenset[str]) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(topics)
            except Exception:  # one broken listener must not keep hints from the others
                log.exception("a subscriber of wake-ups failed")

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)

        return unsubscribe

    def close(self) -> None:
        self._subscribers = ()


class PostgresWake:
    """Across hubs, by NOTIFY: one thread sends what gathered, one listens; each has a connection of its own.

    Our own topics reach our own subscribers at once; what comes back of them from the server is dropped.
    After a lost connection subscribers hear ALL.
    """

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._local = InprocWake()
        self._gathered: SimpleQueue[str] = SimpleQueue()
        self._stopping = threading.Event()
        self._sender: int | None = None  # the server's process for it
        self.listening = threading.Event()  #: set while notifications of other hubs reach us
        self._threads = [
            threading.Thread(target=self._keep_running, args=(work,), name=f"wake-{work.__name__}", daemon=True)
            for work in (self._send_gathered, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, topics: frozenset[str]) -> None:
        self._local.send(topics)
        for topic in topics:
            self._gathered.put(topic)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        return self._local.subscribe(subscriber)

    def close(self) -> None:
        self._stopping.set()
        self._gathered.put(ALL)  # wakes the sender, which wakes the listener
        for thread in self._threads:
            thread.join(timeout=5)
        self._local.close()

    def _keep_running(self, work: Callable[[psycopg.Connection], None]) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    work(connection)
            except psycopg.Error as err:
                log.debug("wake-ups are interrupted, trying again: %s", err)
                self._gathered.put(ALL)
                self._stopping.wait(1)

    def _send_gathered(self, connection: psycopg.Connection) -> None:
        self._sender = connection.info.backend_pid
        while not self._stopping.is_set():
            topics = {self._gathered.get()}
            self._stopping.wait(COALESCE_S)
            while not self._gathered.empty():
                topics.add(self._gathered.get())
            payload = " ".join(sorted(topics))
            payload = payload if len(payload) < PAYLOAD_BYTES else ALL
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    def _listen(self, connection: psycopg.Connection) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self.listening.set()
        try:
            self._local.send(frozenset({ALL}))
            while not self._stopping.is_set():
                for notification in connection.notifies(timeout=0.5):
                    if notification.pid != self._sender:
                        self._local.send(frozenset(notification.payload.split()))
                    if self._stopping.is_set():  # close() sent this one
                        break
        finally:
            self.listening.clear()


def make_wake(database: Database) -> Wake:
    """The port that fits *database*, already hearing its commits; it is closed with it."""
    wake: Wake = PostgresWake(database.url) if database.dialect == "postgresql" else InprocWake()
    database.on_commit(wake.send)
    database.on_close(wake.close)
    return wake
