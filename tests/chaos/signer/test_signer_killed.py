"""The signer as a process, killed again and again while a suite is published: nothing is lost, doubled or unsigned."""

from __future__ import annotations

import hashlib
import random
import secrets
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from deb_orchestrator.hub import HubServer, Listen
from deb_orchestrator.services import agents, targets
from deb_orchestrator.services.publish import NewBinary, NewSuite, add_to_suite, ensure_suite, find_apt_file, find_live
from deb_orchestrator.signer.log import load_entries
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import publication
from debcore.command import Process, spawn
from debcore.deb822 import make_stanza
from debcore.hub.model import AgentState, Enrol
from debcore.openpgp import verify_inline
from debcore.path import write_file

SUITE = "chaos-local"
#: At least so many kills, and more until one has hit a signer at work: on a busy machine it may be done before.
KILLS, MOST = 4, 40
#: Seconds for each wait; a killed signer's job comes back with its next start, not with the lease.
PATIENCE = 120.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    server = HubServer(tmp_path / "hub", Listen())
    with server.hub.db.write() as conn:
        ensure_suite(conn, NewSuite(name=SUITE))
    server.start()
    yield server
    server.stop()


@contextmanager
def signer(server: HubServer, home: Path) -> Iterator[Process]:
    """Started; killed without a word at the end."""
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "deb_orchestrator",
        "signer",
        "--hub",
        server.url,
        "--state",
        home,
        "--name",
        "signer",
    ]
    with (home / "output").open("ab") as output:
        process = spawn(argv, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def add(server: HubServer, name: str) -> None:
    """A package comes in, and the suite is to be published."""
    control = make_stanza([("Package", name), ("Version", "1"), ("Architecture", "all"), ("Description", "x")])
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    with server.hub.db.write() as conn:
        targets.enqueue_publish(conn, SUITE)
        add_to_suite(conn, SUITE, binaries=[NewBinary(control=control, sha256=sha256, size=1)])


def is_settled(server: HubServer, packages: int) -> bool:
    """The live generation holds all *packages*, and none waits for the signer."""
    with server.hub.db.read() as conn:
        live = find_live(conn, SUITE)
        waiting = conn.execute(sa.select(publication.c.generation).where(publication.c.state == "signing")).first()
    if live is None or waiting is not None:
        return False
    file = find_apt_file(server.hub.db, server.hub.blobs, f"dists/{SUITE}/main/binary-amd64/Packages.gz")
    assert file is not None
    assert file.file is not None
    return zlib.decompress(file.file.read_bytes(), 31).count(b"Package: ") == packages


def claims(server: HubServer) -> int:
    """How often a signer took a job."""
    with server.hub.db.read() as conn:
        return int(conn.execute(sa.select(sa.func.sum(job.c.attempt)).where(job.c.kind == "sign")).scalar() or 0)


def count_lost(server: HubServer) -> int:
    """Jobs that a signer had in its hands when it was killed: they stay open, or were claimed again."""
    with server.hub.db.read() as conn:
        lost = (job.c.attempt > 1) | (job.c.state == "running")
        return int(conn.execute(sa.select(sa.func.count()).where(job.c.kind == "sign", lost)).scalar_one())


def has_more_claims(server: HubServer, before: int) -> bool:
    return claims(server) > before


def until(true: Callable[[], bool], home: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, (home / "output").read_text()[-2000:]
        time.sleep(0.002)


def test_a_signer_that_is_killed_costs_nothing(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "signer"
    home.mkdir(mode=0o700)
    token = secrets.token_urlsafe(32)
    write_file(home / "token", token + "\n", mode=0o600)
    agents.enrol(server.hub, Enrol(name="signer", token=token, arches=(), pool="sign"), state=AgentState.APPROVED)
    chance = random.Random(1)
    packages = 0
    while packages < KILLS or (count_lost(server) == 0 and packages < MOST):
        add(server, f"package{packages}")
        packages += 1
        with signer(server, home):  # killed with a job in its hands: before it signs, while, or after
            before = claims(server)
            until(partial(has_more_claims, server, before), home)
            time.sleep(chance.uniform(0, 0.08) if packages < KILLS else 0)  # a signature takes some 20 ms
    with signer(server, home):
        until(lambda: is_settled(server, packages), home)
    assert count_lost(server) > 0, "no kill hit a signer at work"

    signed = [entry for entry in load_entries(home / "log.jsonl") if entry.kind == "apt-release"]
    assert {entry.decision for entry in signed} == {"signed"}
    by_generation = {(entry.generation, entry.input_sha256) for entry in signed}
    assert len(by_generation) == len({generation for generation, _ in by_generation}), "one content each, ever"
    with server.hub.db.read() as conn:
        rows = conn.execute(sa.select(publication).order_by(publication.c.generation)).all()
    assert [row.generation for row in rows] == list(range(1, len(rows) + 1))
    assert {row.state for row in rows[:-1]} <= {"superseded"}
    assert rows[-1].state == "live"
    key = find_apt_file(server.hub.db, server.hub.blobs, f"keys/{SUITE}.asc")
    assert key is not None
    assert key.data is not None
    for row in rows:
        verify_inline(server.hub.blobs.read(row.inrelease_sha256), [key.data], where=f"generation {row.generation}")
        assert (row.generation, row.release_sha256) in by_generation
