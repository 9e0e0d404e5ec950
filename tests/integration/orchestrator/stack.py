"""Hubs, agents and signers as processes, as people start them."""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from debcore.command import Process, run, spawn
from debcore.errors import Failure
from debcore.hub.client import AdminClient, HubClient
from debcore.hub.credential import load_token
from debcore.hub.model import NeededPackage, PackagesNeeded, Request, SourceFile
from tests.unit.orchestrator.services.farm import SUITE, make_dsc

PROGRAM = (sys.executable, "-m", "deb_orchestrator")
FAKE = Path(__file__).with_name("fake_deb_mock.py")


@dataclass
class Started:
    """A process of ours with its log."""

    process: Process
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 120) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(timeout)

    @property
    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")


@dataclass
class Stack:
    """Starts processes in *directory*; what is left at the end is killed."""

    directory: Path
    started: list[Started] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """`SOURCE ATTEMPT PID` of each run of the fake deb-mock."""
        path = self.directory / "runs"
        return path.read_text().splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        fake = self.directory / "deb-mock"
        if not fake.exists():
            fake.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
            fake.chmod(0o755)
        return {
            "RUNS": str(self.directory / "runs"), "DEBOOTC_DEB_MOCK": str(fake), "HOME": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
        }  # fmt: skip

    def start(
        self, *words: str | Path, pass_fds: Sequence[int] = (), prefix: Sequence[str] = (), real: bool = False,
        program: Sequence[str] = PROGRAM,
    ) -> Started:  # fmt: skip
        log = self.directory / f"{words[0]}-{len(self.started)}.log"
        with log.open("wb") as output:
            process = spawn(
                [*prefix, *program, *words], stdout=output, stderr=output, pass_fds=pass_fds, new_session=True,
                extra_env={} if real else self.environment(),
            )  # fmt: skip
        started = Started(process, log)
        self.started.append(started)
        return started

    def start_ready(
        self, *words: str | Path, real: bool = False, timeout: float = 180, program: Sequence[str] = PROGRAM
    ) -> tuple[Started, dict[str, str]]:
        """With --ready-fd; its document."""
        reader, writer = os.pipe()
        try:
            started = self.start(*words, "--ready-fd", str(writer), pass_fds=(writer,), real=real, program=program)
        finally:
            os.close(writer)
        with os.fdopen(reader) as pipe:
            if not select.select([pipe], [], [], timeout)[0]:
                pytest.fail(f"not ready after {timeout} s:\n{started.text}")
            line = pipe.readline()
        if not line:
            started.process.wait(60)
            pytest.fail(f"it did not start:\n{started.text}")
        document: dict[str, str] = json.loads(line)
        return started, document

    def end(self) -> None:
        for one in reversed(self.started):
            if one.process.poll() is None:
                one.process.terminate()
        for one in self.started:
            try:
                one.process.wait(20)
            except Exception:
                one.kill()


@contextmanager
def client_of(document: dict[str, str], *, ca: Path | None = None) -> Iterator[HubClient]:
    with HubClient(document["url"], load_token(Path(document["token_file"])), ca=ca) as client:
        yield client


@contextmanager
def admin_of(document: dict[str, str], *, ca: Path | None = None) -> Iterator[AdminClient]:
    with AdminClient(document["url"], load_token(Path(document["token_file"])), ca=ca) as client:
        yield client


def ask(client: HubClient, directory: Path, *names: str, depends: dict[str, str] | None = None) -> Request:
    """Sources that make one package of their own name each."""
    packages = []
    for name in names:
        tarball = name.encode()
        dsc = make_dsc(name, "1.0", binaries=[name], depends=(depends or {}).get(name, ""), tarball=tarball)
        files = []
        for file_name, data in ((f"{name}_1.0.dsc", dsc), (f"{name}_1.0.tar.xz", tarball)):
            path = directory / file_name
            path.write_bytes(data)
            files.append(SourceFile(name=file_name, sha256=client.put_blob(path), size=len(data)))
        packages.append(NeededPackage(source=name, version="1.0", dsc_sha256=files[0].sha256, files=tuple(files)))
    return client.need_packages(PackagesNeeded(target=SUITE, arches=("amd64",), packages=tuple(packages)))


def wait_for(what: Callable[[], bool], *, timeout: float = 180, why: str = "it") -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            if what():
                return
        except Failure:
            pass
        if time.monotonic() > end:
            pytest.fail(f"{why} did not happen within {timeout} s")
        time.sleep(0.1)


def pick_port() -> str:
    """A free port at which a hub can come back after a kill.

    It is below those that the kernel gives away: another program may get one of these meanwhile, and a client that
    tries again and again to reach one where nobody listens may at last connect to itself and hold it.
    """
    for _ in range(100):
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return str(port)
    pytest.fail("no free port below 30000")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended just now
        return False


def processes_of(state: Path) -> list[int]:
    """Processes whose command line names *state*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(state).encode() in words and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def make_certificate(directory: Path, address: str) -> tuple[Path, Path]:
    """A self-signed certificate for an IP address, and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", cert]
    )  # fmt: skip
    return cert, key
