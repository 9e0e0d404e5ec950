"""A publisher is stopped in the midst of its work, for two leases, while another publishes; then it goes on."""

from __future__ import annotations

import gzip
import hashlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deb_orchestrator.services.publish import find_live
from deb_orchestrator.services.targets import enqueue_publish
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.store.engine import Database
from debcore.aptrepo import parse_release
from debcore.blobs import BlobStore
from debcore.command import Process, spawn
from debcore.openpgp import verify_inline
from tests.chaos.publisher.publisher_process import LEASE_S
from tests.contract.hub.test_database_faults import running
from tests.contract.publish.conftest import HubJobs, blobs, db, desk, jobs, postgres_url
from tests.contract.publish.test_publishing import SUITE, add, fetch, live, states
from tests.integration.orchestrator.stack import wait_for

__all__ = ["blobs", "db", "desk", "jobs", "postgres_url"]

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[3]


@dataclass
class Publishers:
    url: str
    directory: Path
    running: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str) -> None:
        words = ["-m", "tests.chaos.publisher.publisher_process", self.url, str(self.directory), name]
        with (self.directory / f"{name}.log").open("wb") as log:
            self.running[name] = spawn(
                [sys.executable, *words], stdout=log, stderr=log, cwd=ROOT,
                extra_env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            )  # fmt: skip

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def find_storing(self) -> str | None:
        return next((name for name in self.running if (self.directory / f"{name}.storing").exists()), None)

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("db", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"], indirect=True)
def test_a_publisher_that_slept_publishes_nothing_old(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []  # generation, and the event whose content it has

    def watch(stop: threading.Event) -> None:
        while not stop.wait(0.02):
            with db.read() as conn:
                found = find_live(conn, SUITE)
            seen.append((found.generation, found.event) if found else (0, 0))

    def publish(name: str) -> None:
        add(db, name)
        with db.write() as conn:
            enqueue_publish(conn, SUITE)

    def goes_live(number: int) -> Callable[[], bool]:
        return lambda: jobs.work(desk) >= 0 and live(db) >= number

    publishers = Publishers(db.url.render_as_string(hide_password=False), tmp_path)
    try:
        publish("hello")
        for name in ("hub-one", "hub-two"):
            publishers.start(name)
        with running(watch):
            wait_for(lambda: publishers.find_storing() is not None, why="a publisher that stores")
            sleeper = publishers.find_storing()
            assert sleeper is not None
            process = publishers.running[sleeper]
            process.send_signal(signal.SIGSTOP)
            stopped_at = time.monotonic()
            wait_for(goes_live(1), why="the other's publication")
            publish("world")
            wait_for(goes_live(2), why="one more publication")
            wait_for(lambda: time.monotonic() - stopped_at > 2 * LEASE_S, why="two leases")
            process.send_signal(signal.SIGCONT)
            wait_for(lambda: "is not ours any more" in publishers.log(sleeper), why="the end of the old job")
            publish("again")
            names = [b"again", b"hello", b"world"]
            wait_for(lambda: jobs.work(desk) >= 0 and list_served(db, blobs) == names, why="all that was added")
        for name, process in publishers.running.items():
            assert process.poll() is None, publishers.log(name)
    finally:
        publishers.end()
    assert seen == sorted(seen), "the served generation went back"
    assert [event for _, event in seen] == sorted(event for _, event in seen), "older content came back"
    assert states(db)[-1] == "live"
    assert set(states(db)[:-1]) == {"superseded"}


def list_served(db: Database, blobs: BlobStore) -> list[bytes]:
    """The packages that the signed, served index has."""
    key = fetch(db, blobs, f"keys/{SUITE}.asc")
    signed = verify_inline(fetch(db, blobs, f"dists/{SUITE}/InRelease"), [key], where="InRelease")
    _, files = parse_release(signed.payload)
    (packages,) = [file for file in files if file.path == "main/binary-amd64/Packages.gz"]
    data = fetch(db, blobs, f"dists/{SUITE}/main/binary-amd64/by-hash/SHA256/{packages.sha256}")
    assert hashlib.sha256(data).hexdigest() == packages.sha256
    lines = gzip.decompress(data).splitlines()
    return [line.removeprefix(b"Package: ") for line in lines if line.startswith(b"Package: ")]
