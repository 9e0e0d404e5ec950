"""The event log and the hints, with real threads and real commits."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy import make_url

from deb_orchestrator.dispatch.events import Event, NewEvent, append_events, last_event, read_events
from deb_orchestrator.dispatch.wake import ALL, PostgresWake, Wake, make_wake
from deb_orchestrator.store.engine import Database, hint, open_database
from tests.contract.orchestrator.postgres import Server
from tests.contract.orchestrator.world import World

WRITERS = 8
EACH = 40  # transactions of a writer


def test_events_come_back_as_they_were_stored(world: World) -> None:
    with world.database.write() as db:
        assert append_events(db, []) == 0
        new = NewEvent(type="build.requested", data={"a": [1]}, request="r", build=3, arch="amd64", attempt=2, job=9)
        assert append_events(db, [NewEvent(type="packages.needed", request="q"), new]) == 2
    with world.database.read() as db:
        assert last_event(db) == 2
        assert read_events(db, 1) == [
            Event(
                n=2, at=world.clock.at, type="build.requested", data={"a": [1]},
                request="r", build=3, arch="amd64", attempt=2, job=9,
            )
        ]  # fmt: skip
        assert [one.n for one in read_events(db, 0, 1)] == [1]
        assert [one.n for one in read_events(db, 0, request="r")] == [2]


def test_a_transaction_that_fails_takes_no_number(world: World) -> None:
    with contextlib.suppress(InterruptedError), world.database.write() as db:
        append_events(db, [NewEvent(type="lost")])
        raise InterruptedError
    with world.database.write() as db:
        assert append_events(db, [NewEvent(type="kept")]) == 1


def test_i15_once_n_was_seen_no_row_up_to_n_appears_or_changes(url: str) -> None:
    """Eight writers whose transactions overlap and sometimes fail, in two hubs where the database allows it."""
    with open_database(url) as database:
        others = [open_database(url)] if database.dialect == "postgresql" else []
        hubs = [database, *others]
        done = threading.Event()
        with ThreadPoolExecutor(WRITERS + 1) as pool:
            watching = pool.submit(watch, database, done)
            writing = [pool.submit(write_events, hubs[i % len(hubs)], i) for i in range(WRITERS)]
            written = sum(one.result() for one in writing)
            done.set()
            seen = watching.result()
        for other in others:
            other.close()
        with database.read() as db:
            final = read_events(db, 0, 10_000)
    assert [one.n for one in final] == list(range(1, written + 1))
    assert seen == final[: len(seen)]


def write_events(database: Database, writer: int) -> int:
    chance = random.Random(writer)
    written = 0
    for i in range(EACH):
        count = chance.randint(1, 4)
        try:
            with database.write() as db:
                append_events(db, [NewEvent(type="t", data={"writer": writer, "i": i})] * count)
                if chance.random() < 0.5:
                    time.sleep(chance.random() * 0.004)  # the commit of a higher number could overtake
                if chance.random() < 0.2:
                    raise InterruptedError
        except InterruptedError:
            continue
        written += count
    return written


def watch(database: Database, done: threading.Event) -> list[Event]:
    """All events as they were when they were first seen; checks at each look that none below came or changed."""
    seen: list[Event] = []
    while True:
        last_look = done.is_set()
        with database.read() as db:
            now = read_events(db, 0, 10_000)
        assert now[: len(seen)] == seen
        assert [one.n for one in now] == list(range(1, len(now) + 1))
        seen = now
        if last_look:
            return seen


def test_hints_are_heard_after_the_commit_only(database: Database) -> None:
    wake = make_wake(database)
    heard: list[frozenset[str]] = []
    wake.subscribe(heard.append)
    with database.write() as db:
        hint(db, "class:1")
        hint(db, "class:1")
        assert frozenset({"class:1"}) not in heard
    with contextlib.suppress(InterruptedError), database.write() as db:
        hint(db, "class:2")
        raise InterruptedError
    wake.close()
    heard = [one - {ALL} for one in heard if one != frozenset({ALL})]  # a new listener looks at everything once
    assert heard
    assert set(heard) == {frozenset({"class:1"})}


def test_a_broken_subscriber_keeps_no_hint_from_others(database: Database) -> None:
    wake, heard = make_wake(database), threading.Event()

    def broken(_topics: frozenset[str]) -> None:
        raise ValueError("broken on purpose")

    wake.subscribe(broken)
    end = wake.subscribe(lambda topics: heard.set())
    wake.send(frozenset({"x"}))
    assert heard.is_set()
    end()
    wake.close()


def test_statements_hint_at_the_class_and_at_the_agent(world: World) -> None:
    wake = make_wake(world.database)
    heard: set[str] = set()
    wake.subscribe(heard.update)
    job = world.enqueue()
    agent = world.add_agent()
    world.must_claim(agent)
    world.cancel(job)
    wake.close()
    assert {f"class:{world.job(job).class_id}", f"agent:{agent}"} <= heard


def wait_for(condition: Callable[[], bool], timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.01)


def test_hints_reach_the_other_hub_and_survive_a_lost_connection(postgres_url: str) -> None:
    with open_database(postgres_url) as one, open_database(postgres_url) as two:
        here, there = make_wake(one), make_wake(two)
        heard: list[str] = []
        there.subscribe(heard.extend)
        try:
            check_hint(one, there, heard, "class:7")
            with one.write() as db:
                db.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            wait_for(lambda: ALL in heard)
            check_hint(one, there, heard, "class:8")
            heard.clear()
            with one.write() as db:
                for i in range(3000):  # more than one notification holds
                    hint(db, f"class:{i}")
            wait_for(lambda: ALL in heard)
        finally:
            here.close()
            there.close()


def check_hint(database: Database, wake: Wake, heard: list[str], topic: str) -> None:
    """Hints may be lost while a connection is: they are repeated, as a poll would be."""

    def is_heard() -> bool:
        with database.write() as db:
            hint(db, topic)
        time.sleep(0.05)
        return topic in heard

    wait_for(is_heard)


def test_a_closed_database_leaves_no_connection_at_the_server(postgres: Server) -> None:
    url = postgres.make_database()
    with open_database(url) as database:
        wake = make_wake(database)
        assert isinstance(wake, PostgresWake)
        wait_for(wake.listening.is_set)
        assert count_connections(postgres, url) > 0
    wait_for(lambda: count_connections(postgres, url) == 0)


def count_connections(server: Server, url: str) -> int:
    with psycopg.connect(server.url("postgres")) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        row = connection.execute(asked, [make_url(url).database]).fetchone()
    assert row is not None
    return int(row[0])
