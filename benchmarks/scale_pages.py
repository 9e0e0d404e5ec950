#!/usr/bin/env python3
"""The web pages of a hub that holds an archive: from the request to the last byte over loopback, one reader at a time.

    scale_pages.py [SIZE…=1000 10000 60000] [--on sqlite|postgresql] [--json]

SIZE packages stand in a suite and in one that inherits from it; each of their sources was built once for amd64 (one in
20 failed, one in 20 waits, a thousand are queued or run), with its artifacts and events; 1,000 builders are enrolled.
The hub is started as always, with its threads; nothing else is asked of it meanwhile.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa
from sqlalchemy import Connection

from benchmarks.archive import ARCH, changed, load_packages, new_binaries, new_sources
from benchmarks.measure import cpu_seconds, print_table, say_row, say_start, split_words
from deb_orchestrator.dispatch.classes import intern_class
from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.domain.jobs import Requirement
from deb_orchestrator.hub import OPERATOR, HubServer, Listen
from deb_orchestrator.services import people
from deb_orchestrator.services.publish import add_to_suite, publish_with
from deb_orchestrator.services.publish_import import source_of
from deb_orchestrator.services.repos import set_settings
from deb_orchestrator.services.suites import make_suite, set_parents
from deb_orchestrator.services.targets import ensure_target
from deb_orchestrator.store import tables as t
from deb_orchestrator.store import tables_domain as d
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database
from debcore.blobs import BlobStore
from debcore.deb822 import Stanza
from debcore.hub.model import Target
from debcore.hub.repos import SuiteSettings
from debcore.hub.suites import SuiteAsk
from debcore.openpgp import generate_key
from tests.contract.orchestrator.postgres import running_server
from tests.contract.statements import count_statements

SUITE, HEIR = "trixie-local", "trixie-heir"
AGENTS = 1000
TIMES = 10
PROMISE_MS = 200
LOG = b"a line of a log\n" * 500
Row = tuple[str, int, str, int, int, int, int, int]


HEADER = ("database", "packages", "page", "p50, ms", "p95, ms", "CPU, ms", "statements", "KiB")


def main() -> None:
    words, databases = split_words(sys.argv[1:])
    sizes = [int(word) for word in words] or [1000, 10000, 60000]
    title = f"Pages, ms to the last byte, {TIMES} times each"
    say_start(title)
    rows: list[Row] = []
    with running_server() as postgres:
        assert postgres.process is not None
        for kind in databases:
            for size in sizes:
                with tempfile.TemporaryDirectory(prefix="scale-") as scratch:
                    url = f"sqlite:///{scratch}/hub.sqlite" if kind == "sqlite" else postgres.make_database()
                    server = HubServer(Path(scratch), Listen(), database=url)
                    try:
                        fill(server, size)
                        server.start()
                        for row in measure(server, None if kind == "sqlite" else postgres.process.pid):
                            rows.append((kind, size, *row))
                            say_row(title, HEADER, rows[-1])
                    finally:
                        server.stop()
    slow = [f"{page} on {kind}" for kind, size, page, _, p95, *_ in rows if size == sizes[-1] and p95 > PROMISE_MS]
    notes = [f"Promise: {PROMISE_MS} ms. Above it at the largest size: {', '.join(slow) or 'none'}."]
    print_table(title, HEADER, rows, notes, said=True)


def measure(server: HubServer, postmaster: int | None) -> Iterator[tuple[str, int, int, int, int, int]]:
    """Of each page: name, median and 95th percentile, CPU time and statements of one, and its size."""
    url = urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=600)
    secret = people.make_login_link(server.hub, OPERATOR)[0]
    connection.request("POST", f"/login/{secret}")
    answer = connection.getresponse()
    answer.read()
    headers = {"Cookie": (answer.getheader("Set-Cookie") or "").partition(";")[0]}

    def get(path: str) -> bytes:
        connection.request("GET", path, headers=headers)
        got = connection.getresponse()
        body = got.read()
        if got.status not in (200, 303):
            raise SystemExit(f"{path}: {got.status}\n{body.decode()[:2000]}")
        return body

    for name, path in list_pages(server.hub.db).items():
        with count_statements(server.hub.db) as statements:  # the first is slower, for templates and plans are made
            body = get(path)
        took, spent = [], cpu_seconds(postmaster)
        for _ in range(TIMES):
            start = time.perf_counter()
            get(path)
            took.append((time.perf_counter() - start) * 1000)
        spent = 1000 * (cpu_seconds(postmaster) - spent) / TIMES
        took.sort()
        p50, p95 = took[len(took) // 2], took[len(took) * 95 // 100]
        yield name, round(p50), round(p95), round(spent), len(statements), len(body) // 1024


def list_pages(db: Database) -> dict[str, str]:
    with db.read() as conn:
        middle = conn.execute(sa.select(sa.func.max(d.build.c.id))).scalar_one() // 2
        name = conn.execute(sa.select(d.source.c.name).where(d.source.c.id == middle)).scalar_one()
        last = conn.execute(sa.select(sa.func.max(t.event.c.n))).scalar_one()
    return {
        "dashboard": "/", "builds": "/builds", "builds of a source": "/builds?" + urlencode({"source": name}),
        "builds that failed": "/builds?state=failed", "builds that wait": "/builds?state=dep-wait",
        "a build": f"/builds/{middle}", "matrix": "/packages", "matrix, what is bad": "/packages?show=bad",
        "matrix, part of a name": "/packages?" + urlencode({"part": name[:4]}), "a source": f"/packages/{name}",
        "hosts": "/hosts", "hosts, far on": "/hosts?after=agent-5", "hosts that are busy": "/hosts?state=busy",
        "a host": "/hosts/agent-7", "queue": "/queue", "queue, running": "/queue?state=running",
        "events": "/events", "search, a word": "/search?" + urlencode({"q": name[:4]}),
        "search, nothing": "/search?q=zzqx",
        "suites": "/suites", "suite": f"/suites/{SUITE}", "suite's packages": f"/suites/{SUITE}/packages",
        "suite's packages, part": f"/suites/{SUITE}/packages?" + urlencode({"part": name[:4]}),
        "suite's packages, far on": f"/suites/{SUITE}/packages?" + urlencode({"after": f"{name} source 0 {SUITE}"}),
        "suite that inherits": f"/suites/{HEIR}", "its packages": f"/suites/{HEIR}/packages",
        "suite's history": f"/suites/{SUITE}/history", "suite's last change": f"/suites/{SUITE}/diff?old={last - 1}",
        "audit": "/audit",
    }  # fmt: skip


# what is in the hub


def fill(server: HubServer, size: int) -> None:
    hub, packages = server.hub, load_packages(size)
    make_suite(hub, OPERATOR, SUITE, SuiteAsk(components=("main",), arches=(ARCH,), valid_s=None))
    make_suite(hub, OPERATOR, HEIR, SuiteAsk(components=("main",), arches=(ARCH,), valid_s=None))
    set_parents(hub, OPERATOR, HEIR, [SUITE])
    ensure_target(hub, OPERATOR, Target(name=SUITE, preset="debian-trixie", suite=SUITE, arches=(ARCH,)))
    with hub.db.write() as conn:
        n = add_to_suite(
            conn, SUITE, sources=list(new_sources(packages.sources)), binaries=list(new_binaries(packages.binaries))
        )
    with hub.db.write() as conn:
        add_builds(conn, packages.sources, packages.binaries, n, hub.blobs.put(LOG).sha256)
    with hub.db.write() as conn:  # an ordinary change on top
        add_to_suite(conn, SUITE, binaries=list(new_binaries(changed(packages.binaries, 10, 1))))
        ended = [
            NewEvent(type="build.complete", data={"source": s["Package"], "status": "built"}) for s in packages.sources
        ]
        append_events(conn, ended)
    for name in (SUITE, HEIR):  # there are no .debs to look into
        set_settings(hub, OPERATOR, name, SuiteSettings(contents=False, translation=False))
    signer = generate_key(hub.state / "bench.key", "bench")
    assert isinstance(hub.blobs, BlobStore)
    for name in (SUITE, HEIR):
        publish_with(hub.db, hub.blobs, name, signer)


def add_builds(conn: Connection, sources: Sequence[Stanza], binaries: Sequence[Stanza], n: int, log: str) -> None:
    """A build for each source, as if all had come the usual way. Most succeeded, some are open."""
    at = now(conn)
    class_id = intern_class(conn, Requirement(arch=ARCH))
    put(
        conn, t.agent,
        [{"id": 1000 + k, "name": f"agent-{k}", "token_hash": f"{k}", "state": "approved", "pools": ["default"],
          "arches": [ARCH], "created_at": at, "seen_at": at} for k in range(AGENTS)],
    )  # fmt: skip
    put(conn, d.blob, [{"sha256": log, "size": len(LOG), "created_at": at}])
    content = {"target": SUITE, "arches": [ARCH], "packages": []}
    put(conn, d.request, [{"id": "bench", "target": SUITE, "content": content, "state": "open", "principal": "bench",
                           "created_at": at}])  # fmt: skip
    put(conn, t.job_turn, [{"class_id": class_id, "owner": "bench", "served_at": at}])
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        table: []
        for table in (d.source, t.job, t.job_attempt, d.build, d.request_build, d.build_arch, d.artifact, t.job_wait)
    }
    of_source: dict[str, list[Stanza]] = {}
    for one in binaries:
        of_source.setdefault(source_of(one)[0], []).append(one)
    for k, one in enumerate(sources, start=1):
        agent = 1000 + k % AGENTS
        state = find_state(k, len(sources))
        done, ran = state in ("succeeded", "failed"), state not in ("queued", "blocked")
        outcome = {"failed": "failed", "succeeded": "succeeded", "blocked": "deps"}.get(state)
        job_id = 100_000 + k
        fields = {name.lower(): value for name, value in one.items()}
        rows[d.source].append({"id": k, "name": one["Package"], "version": one["Version"], "dsc_sha256": f"{k:064}",
                               "fields": fields, "created_at": at})  # fmt: skip
        rows[t.job].append({
            "id": job_id, "kind": "build", "state": state, "class_id": class_id, "spec": {}, "max_attempts": 3,
            "attempt": int(ran), "agent_id": agent if ran else None,
            "lease_until": at + 10**8 if state == "running" else None,
            "outcome": outcome, "reason": "tests failed" if state == "failed" else None, "build_id": k, "arch": ARCH,
            "created_at": at, "changed_at": at, "ended_at": at if done else None, "owner": "bench", "rank": at + k,
        })  # fmt: skip
        if ran:
            rows[t.job_attempt].append({
                "job_id": job_id, "attempt": 1, "agent_id": agent, "boot_id": "b", "claim_hash": f"{k}",
                "grant_salt": "s", "grant_hash": "g", "claimed_at": at, "ended_at": at if done else None,
                "outcome": outcome if done else None,
            })  # fmt: skip
        if state == "blocked":
            rows[t.job_wait].append({"job_id": job_id, "token": f"suite:{SUITE}@{n}:absent-{k % 50}"})
        built = state == "succeeded"
        rows[d.build].append({"id": k, "source_id": k, "target": SUITE, "suite": SUITE, "request": "bench",
                              "cancelled": False, "added_event": n if built else None, "created_at": at})  # fmt: skip
        rows[d.request_build].append({"request": "bench", "build_id": k, "reused": False})
        rows[d.build_arch].append({"id": k, "build_id": k, "arch": ARCH, "mode": "full", "job_id": job_id,
                                   "imported": built, "log_sha256": log if done else None})  # fmt: skip
        for binary in of_source.get(one["Package"], ()) if built else ():
            rows[d.artifact].append({
                "build_arch_id": k, "name": f"{binary['Package']}_{binary['Version']}_{ARCH}.deb", "kind": "deb",
                "sha256": log, "size": 1000, "package": binary["Package"], "version": binary["Version"], "arch": ARCH,
            })  # fmt: skip
    for table, its in rows.items():
        put(conn, table, its)


def find_state(k: int, count: int) -> str:
    """Of the build of the k-th source: the last ones are open."""
    open_ = min(1000, count // 10)
    if k > count - open_:
        return "running" if k % 4 == 0 else "queued"
    return {0: "failed", 1: "blocked"}.get(k % 20, "succeeded")


def put(conn: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(table.insert(), list(rows))


if __name__ == "__main__":
    main()
