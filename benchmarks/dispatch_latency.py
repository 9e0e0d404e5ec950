#!/usr/bin/env python3
"""Enqueue → claim on an idle hub, at the level of the statements, on both databases; and what each statement costs.

dispatch_latency.py [COUNT=200] [QUEUED=15000]

A waiting claimant is woken by the hint after the enqueueing commit, as a parked poll of a hub is. PostgreSQL: the
enqueuing and the claiming side are two hubs, so the hint travels by NOTIFY; the server runs with fsync off.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import print_table, spread
from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.classes import find_classes
from deb_orchestrator.dispatch.wake import PostgresWake, make_wake
from deb_orchestrator.domain.jobs import Claimed, NewJob, Offer, Outcome, Requirement
from deb_orchestrator.store import tables as t
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from tests.contract.orchestrator.postgres import running_server

AGENT = 1
OFFER = Offer()


def main() -> None:
    count, queued = (int(word) for word in (*sys.argv[1:], "200", "15000")[:2])
    rows: list[tuple[str, str, str]] = []
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(running_server())
        for url in (str(Path(directory, "hub.db")), server.make_database()):
            one = stack.enter_context(open_database(url))
            two = stack.enter_context(open_database(url)) if one.dialect == "postgresql" else one
            migrate(one)
            with one.write() as db:
                db.execute(t.agent.insert().values(id=AGENT, name="bench", state="approved", created_at=0))
            for what, figures in measure(one, two, count, queued):
                rows.append((one.dialect, what, spread(sorted(figures), scale=1000)))
                rows[-1] = (*rows[-1][:2], f"{rows[-1][2]}, p99 {percentile(figures, 99) * 1000:.1f}")
    header = ("database", "what", "ms, median (min–max)")
    print_table(
        f"Dispatch at statement level, {count} times",
        header,
        rows,
        ["Promise over HTTP: p50 below 50 ms, p99 below 1 s."],
    )


def measure(one: Database, two: Database, count: int, queued: int) -> Iterator[tuple[str, list[float]]]:
    yield "enqueue to claimed, claimant woken", measure_latency(one, two, count)
    claims: list[Claimed] = []
    yield "enqueue", [seconds(lambda: enqueue(one)) for _ in range(count)]
    yield "claim", [seconds(lambda: claims.append(claim(one))) for _ in range(count)]
    yield "beat", [seconds(lambda c=one_claim: beat(one, c)) for one_claim in claims]  # type: ignore[misc]
    yield "finish", [seconds(lambda c=one_claim: finish(one, c)) for one_claim in claims]  # type: ignore[misc]
    fill(one, queued)
    yield f"claim beside {queued} jobs of another class", measure_beside(one, count)
    yield f"claim that finds nothing beside {queued} jobs", [seconds(lambda: try_claim(one)) for _ in range(count)]


def measure_latency(one: Database, two: Database, count: int) -> list[float]:
    """From before the enqueueing transaction to after the claiming one."""
    wakes = [make_wake(database) for database in dict.fromkeys((one, two))]
    woken, figures = threading.Event(), []
    wakes[-1].subscribe(lambda _topics: woken.set())
    for wake in wakes:
        if isinstance(wake, PostgresWake):
            wake.listening.wait(10)
    for _ in range(count):
        time.sleep(0.02)  # idle
        woken.clear()
        start = time.perf_counter()
        enqueue(one)
        claimed = None
        while claimed is None:
            woken.wait(1)
            woken.clear()
            claimed = try_claim(two)
        figures.append(time.perf_counter() - start)
        finish(one, claimed)
    for wake in wakes:
        wake.close()
    return figures


def measure_beside(database: Database, count: int) -> list[float]:
    figures = []
    for _ in range(count):
        enqueue(database)
        figures.append(seconds(lambda: claim(database)))
    return figures


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def percentile(figures: list[float], percent: int) -> float:
    return sorted(figures)[min(len(figures) - 1, len(figures) * percent // 100)]


def enqueue(database: Database) -> None:
    with database.write() as db:
        statements.enqueue(db, NewJob(kind="build", spec={"dsc": "hello_2.10-3.dsc"}))


def try_claim(database: Database) -> Claimed | None:
    with database.write() as db:
        return statements.claim(db, AGENT, secrets.token_hex(16), find_classes(db, OFFER), "boot")


def claim(database: Database) -> Claimed:
    claimed = try_claim(database)
    assert claimed is not None
    return claimed


def beat(database: Database, claimed: Claimed) -> None:
    with database.write() as db:
        statements.beat(db, claimed.job, claimed.attempt, claimed.grant)


def finish(database: Database, claimed: Claimed) -> None:
    with database.write() as db:
        statements.finish(db, claimed.job, claimed.attempt, claimed.grant, Outcome.SUCCEEDED, {}, "hash")


def fill(database: Database, queued: int) -> None:
    with database.write() as db:
        for _ in range(queued):
            statements.enqueue(db, NewJob(kind="build", spec={}, requires=Requirement(arch="riscv64")))


if __name__ == "__main__":
    main()
