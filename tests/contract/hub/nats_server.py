"""A real nats-server from Debian with JetStream in a directory of its own, and a subscriber of its streams."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
from nats.js.errors import NotFoundError

from debcore.command import STDOUT, Process, spawn
from tests.integration.orchestrator.stack import pick_port

START_S = 120


@dataclass
class NatsServer:
    """Comes back at the same address, so its port is none that the kernel could give to somebody else meanwhile."""

    directory: Path
    arguments: tuple[str, ...] = ()
    port: str = field(default_factory=pick_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = ["nats-server", "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", str(self.directory), *self.arguments]
        self.directory.mkdir(exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = spawn(["setpriv", "--pdeathsig=KILL", "--", *argv], stdout=log, stderr=STDOUT)
        end = time.monotonic() + START_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", int(self.port)), 5) as one:
                    assert one.recv(5) == b"INFO "
            except OSError:
                assert self.process.poll() is None, (self.directory / "log").read_text()
                assert time.monotonic() < end, (self.directory / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def running_nats(directory: Path, *arguments: str) -> Iterator[NatsServer]:
    server = NatsServer(directory, arguments)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass(frozen=True)
class Heard:
    """One message as a subscriber has it."""

    n: int  #: its sequence in the stream
    id: str | None
    subject: str
    body: bytes


def read_stream(url: str, stream: str = "deb-orchestrator", **options: Any) -> list[Heard]:
    """All of it, in order, as somebody who knows nothing of the hub reads it: by a consumer of his own."""

    async def read() -> list[Heard]:
        client = await nats.connect(url, **options)
        try:
            streams = client.jetstream()
            count = (await streams.stream_info(stream)).state.messages
            consumer = await streams.pull_subscribe(f"{stream}.>", stream=stream)
            heard: list[Heard] = []
            while len(heard) < count:
                for one in await consumer.fetch(min(count - len(heard), 200), timeout=60):
                    await one.ack()
                    id_ = (one.headers or {}).get("Nats-Msg-Id")
                    heard.append(Heard(one.metadata.sequence.stream, id_, one.subject, one.data))
            return heard
        finally:
            await client.close()

    return asyncio.run(read())


def count_stream(url: str, stream: str = "deb-orchestrator", **options: Any) -> int:
    """How many messages it holds; 0 if there is none."""

    async def ask() -> int:
        client = await nats.connect(url, **options)
        try:
            return int((await client.jetstream().stream_info(stream)).state.messages)
        except NotFoundError:
            return 0
        finally:
            await client.close()

    return asyncio.run(ask())
