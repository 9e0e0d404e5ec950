#!/usr/bin/env python3
"""A hub with 1,000 agents: from enqueueing to the start of a job, claims per second, CPU time and memory, over HTTP.

    scale_claims.py [AGENTS=1000] [SECONDS=20] [--on sqlite|postgresql] [--json]

The hub runs in this process as it always does (threads, web server, limits); jobs are enqueued by its own statement, as
requests do. The agents are coroutines of another process, each with a connection, a token and a claim that is parked,
and speak HTTP. `calm` and `idle`: two and twenty jobs a second come, all agents wait for them. `burst`: a thousand jobs
or more come at once, and each agent that has one ends it at once and asks again. `busy`: each agent has jobs of 40 s,
sends its beats, and as many come as end: what a hub with this many agents lives with.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import cpu_seconds, print_table, say_row, say_start, split_words
from deb_orchestrator.dispatch import statements
from deb_orchestrator.domain.jobs import NewJob, Requirement
from deb_orchestrator.hub import HubServer, Listen
from deb_orchestrator.services.people import hash_token
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import agent
from debcore.hub.model import PREFIX
from tests.contract.orchestrator.postgres import running_server

HEADER = ("database", "when", "jobs", "jobs/s", "enqueue → start, ms: p50", "p99", "CPU ms a job", "RSS, MiB")
PER_S = 20  #: jobs that come in a second while agents are idle
CALM_PER_S = 2.0  #: the same where a farm makes 170,000 builds a day
HELD_S = 40.0  #: of a job while all are busy, on average
BEAT_S = 15.0
WAIT_S = 50.0  #: that a claim is parked, as the shipped agent's


def main() -> None:
    words, databases = split_words(sys.argv[1:])
    count, seconds = int(words[0]) if words else 1000, float(words[1]) if len(words) > 1 else 20.0
    title, rows = f"A hub with {count} agents", []
    say_start(title)
    with tempfile.TemporaryDirectory(prefix="scale-") as scratch, running_server() as server:
        for kind in databases:
            place = Path(scratch, kind)
            url = f"sqlite:///{place}/hub.db" if kind == "sqlite" else server.make_database()
            assert server.process is not None
            for row in measure(url, place, count, seconds, None if kind == "sqlite" else server.process.pid):
                rows.append((kind, *row))
                say_row(title, HEADER, rows[-1])
    notes = ["Promise: p50 below 50 ms, p99 below 1 s (on an idle hub)."]
    print_table(title, HEADER, rows, notes, said=True)


def measure(url: str, state: Path, count: int, seconds: float, postmaster: int | None) -> Iterator[tuple[object, ...]]:
    """*postmaster*: of PostgreSQL, whose CPU time counts too."""
    state.mkdir()
    tokens = [secrets.token_urlsafe(24) for _ in range(count)]
    with open_database(url) as db:
        migrate(db)
        with db.write() as conn:
            rows = [
                {"name": f"agent-{n}", "token_hash": hash_token(token), "state": "approved", "pools": ["default"],
                 "arches": ["amd64"], "created_at": 0}
                for n, token in enumerate(tokens)
            ]  # fmt: skip
            conn.execute(agent.insert(), rows)
    server = HubServer(state, Listen(), database=url)
    server.start()
    try:
        hub = Bench(server, tokens, postmaster)
        with hub.agents(held=0) as agents:
            yield agents.measure("calm", int(CALM_PER_S * seconds), per_s=CALM_PER_S)
            yield agents.measure("idle", int(PER_S * seconds), per_s=PER_S)
            yield agents.measure("burst", max(1000, int(50 * seconds)), per_s=None)
        with hub.agents(held=HELD_S) as agents:
            agents.measure("full", count, per_s=None)  # all have one
            time.sleep(HELD_S / 2)
            yield agents.measure("busy", int(count / HELD_S * seconds), per_s=count / HELD_S)
    finally:
        server.stop()


class Bench:
    """The hub of this process, and crowds of agents for it."""

    def __init__(self, server: HubServer, tokens: list[str], postmaster: int | None) -> None:
        self.server, self.tokens, self.postmaster = server, tokens, postmaster

    @contextmanager
    def agents(self, *, held: float) -> Iterator[Agents]:
        port = self.server.url.rpartition(":")[2]
        argv = [sys.executable, __file__, "--agents", port, str(held)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(self.tokens) + "\n")
            process.stdin.flush()
            try:
                agents = Agents(self.server, process, self.postmaster)
                agents.wait_parked(len(self.tokens))
                yield agents
            finally:
                process.kill()


class Agents:
    """Those of one process; it prints the number of a job and when (monotonic) it got it."""

    def __init__(self, server: HubServer, process: subprocess.Popen[str], postmaster: int | None) -> None:
        self._server, self._process, self._postmaster = server, process, postmaster

    def wait_parked(self, count: int) -> None:
        end = time.monotonic() + 300
        while self._server._app.state.line.count < count:
            if time.monotonic() > end:
                raise SystemExit(f"only {self._server._app.state.line.count} agents wait for jobs")
            time.sleep(0.2)
        time.sleep(2)  # the last of them has looked

    def enqueue(self, number: int) -> dict[int, float]:
        with self._server.hub.db.write() as db:
            new = NewJob(kind="build", spec={}, requires=Requirement(arch="amd64"), owner="bench")
            ids = [statements.enqueue(db, new) for _ in range(number)]
        return dict.fromkeys(ids, time.monotonic())

    def measure(self, when: str, number: int, *, per_s: float | None) -> tuple[object, ...]:
        cpu, start = cpu_seconds(self._postmaster), time.monotonic()
        asked: dict[int, float] = {}
        if per_s is None:
            asked |= self.enqueue(number)
        else:
            for n in range(number):
                time.sleep(max(0.0, start + n / per_s - time.monotonic()))
                before = time.monotonic()
                asked |= dict.fromkeys(self.enqueue(1), before)
        got: dict[int, float] = {}
        assert self._process.stdout is not None
        while not asked.keys() <= got.keys():
            job, at = self._process.stdout.readline().split()
            got[int(job)] = float(at)
        took = max(got[id_] for id_ in asked) - start
        waits = sorted(1000 * (got[id_] - asked[id_]) for id_ in asked)
        spent = 1000 * (cpu_seconds(self._postmaster) - cpu) / number
        return (
            when, number, f"{number / took:.0f}", f"{waits[number // 2]:.0f}", f"{waits[number * 99 // 100]:.0f}",
            f"{spent:.0f}", f"{rss_mib():.0f}",
        )  # fmt: skip


def rss_mib() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


# the agents' process


async def run_agents(port: int, held: float) -> None:
    tokens = json.loads(sys.stdin.readline())
    await asyncio.gather(*(Agent(port, token, held).run() for token in tokens))


class Agent:
    """Speaks HTTP/1.1 by hand: a thousand clients of a real library would take more than the hub."""

    def __init__(self, port: int, token: str, held: float) -> None:
        self._port, self._token, self._held = port, token, held
        self._boot = secrets.token_hex(8)

    async def run(self) -> None:
        await asyncio.sleep(random.random() * 5)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            ask = {"claim_id": secrets.token_urlsafe(12), "boot_id": self._boot, "wait": WAIT_S}
            status, claimed = await self._post("/jobs/claim", ask)
            if status == 200:
                print(claimed["job"], time.monotonic(), flush=True)
                await self._work(claimed)
            elif status != 204:
                await asyncio.sleep(1)

    async def _work(self, claimed: dict[str, object]) -> None:
        where = f"/jobs/{claimed['job']}"
        grant = {"X-Grant": str(claimed["grant"]), "X-Attempt": str(claimed["attempt"])}
        left = self._held * random.uniform(0.1, 1.9)
        while left > BEAT_S:
            await asyncio.sleep(BEAT_S)
            left -= BEAT_S
            await self._post(f"{where}/beat", {"attempt": claimed["attempt"]}, grant)
        await asyncio.sleep(left)
        result = {"job": str(claimed["job"]), "attempt": claimed["attempt"], "status": "built"}
        hash_ = hashlib.sha256(json.dumps(result).encode()).hexdigest()
        status, said = await self._post(
            f"{where}/finish", {"attempt": claimed["attempt"], "result": result, "hash": hash_}, grant
        )
        if status != 200:
            raise SystemExit(f"a finish was answered with {status}: {said}")

    async def _post(
        self, path: str, body: object, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, object]]:
        data = json.dumps(body).encode()
        lines = [
            f"POST {PREFIX}{path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {self._token}",
            "Content-Type: application/json", f"Content-Length: {len(data)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]  # fmt: skip
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((int(line.split()[1]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        text = await self._reader.readexactly(length)
        return int(head.split()[1]), json.loads(text) if text else {}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--agents"]:
        asyncio.run(run_agents(int(sys.argv[2]), float(sys.argv[3])))
    else:
        main()
