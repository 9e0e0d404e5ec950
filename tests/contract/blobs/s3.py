"""A real S3 server (moto's) as a process on loopback, and a relay before it that can cut connections."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from debcore.command import STDOUT, Process, spawn

BUCKET = "artifacts"
PLACE = f"s3://{BUCKET}/farm"
#: What the server takes: any. It stands where AWS's own programs look.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test-access",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
START_S = 120.0


@dataclass
class S3Server:
    """What it holds is in its memory: a server that was killed comes back empty."""

    directory: Path
    port: int = 0
    process: Process | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self.directory / f"s3-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            argv = ["setpriv", "--pdeathsig=KILL", "--", sys.executable, "-m", "moto.server", "-H", "127.0.0.1"]
            env = {**CREDENTIALS, "PYTHONUNBUFFERED": "1"}
            self.process = spawn([*argv, "-p", str(self.port)], stdout=out, stderr=STDOUT, extra_env=env)
        end = time.monotonic() + START_S
        while (found := re.search(r"Running on http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        self.port = int(found[1])
        self.client().create_bucket(Bucket=BUCKET)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self) -> Any:
        """For what a test does behind the store's back."""
        return boto3.session.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        ).client("s3", endpoint_url=self.url)


@contextmanager
def running_s3(directory: Path) -> Iterator[S3Server]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(CREDENTIALS)
    server = S3Server(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Relay:
    """A port that passes all on to *port*, and cuts a connection after `limit` bytes from the client (None: never)."""

    def __init__(self, port: int) -> None:
        self._to, self.limit = port, None if port else 0
        self.cut = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    limit: int | None

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as server:
            threading.Thread(target=_pass, args=(server, client), daemon=True).start()
            passed = 0
            while data := client.recv(65536):
                passed += len(data)
                if self.limit is not None and passed > self.limit:
                    self.cut.set()
                    return
                server.sendall(data)


def _pass(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_RDWR)
