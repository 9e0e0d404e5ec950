"""A small archive over HTTP that can lie, break off, and change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from debcore.command import run
from debcore.job import AptSource

#: Size of what the package holds: enough that a transfer can break off in the middle.
PAYLOAD = 300_000


@dataclass
class Archive:
    """`change` publishes; `faults` says, by end of path, what the server does instead of serving."""

    directory: Path
    port: int = 0
    faults: dict[str, str] = field(default_factory=dict)  #: lie, break, refuse or vanish
    asked: list[str] = field(default_factory=list)

    @property
    def source(self) -> AptSource:
        return AptSource(uris=(f"http://127.0.0.1:{self.port}",), suites=("test",), trusted=True)

    def change(self, version: str, *, date: str = "Thu, 01 Jan 2026 00:00:00 UTC", until: str = "") -> None:
        """Publish tiny *version*; *date* alone changes the Release file and nothing else."""
        deb = self._make_deb(version)
        content = (self.directory / deb).read_bytes()
        control = run(["dpkg-deb", "--field", self.directory / deb]).text
        packages = f"{control}Filename: {deb}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        index = self.directory / "dists/test/main/binary-amd64/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_text(packages)
        digest = hashlib.sha256(packages.encode()).hexdigest()
        (self.directory / "dists/test/Release").write_text(
            f"Origin: Test\nSuite: test\nCodename: test\nDate: {date}\n"
            + (f"Valid-Until: {until}\n" if until else "")
            + "Architectures: amd64\nComponents: main\n"
            + f"SHA256:\n {digest} {len(packages)} main/binary-amd64/Packages\n"
        )

    def _make_deb(self, version: str) -> str:
        tree = self.directory / "build" / version
        name = f"pool/tiny_{version}_all.deb"
        if not (self.directory / name).exists():
            (tree / "DEBIAN").mkdir(parents=True)
            (tree / "usr/share/tiny").mkdir(parents=True)
            (tree / "usr/share/tiny/payload").write_bytes(os.urandom(PAYLOAD))
            (tree / "usr/share/tiny/version").write_text(version)
            (tree / "DEBIAN/control").write_text(
                f"Package: tiny\nVersion: {version}\nArchitecture: all\nMaintainer: A Tester <t@example.org>\n"
                "Description: made by a test\n"
            )
            (self.directory / "pool").mkdir(exist_ok=True)
            run(["dpkg-deb", "--root-owner-group", "--build", tree, self.directory / name])
        return name


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, *words: object, archive: Archive) -> None:
        self.archive = archive
        super().__init__(*words, directory=str(archive.directory))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.archive.asked.append(self.path)
        fault = next((what for end, what in self.archive.faults.items() if self.path.endswith(end)), None)
        if fault is None:
            super().do_GET()
            return
        if fault == "vanish":  # as a host that has gone: not one byte of an answer
            self.close_connection = True
            return
        path = self.archive.directory / self.path.lstrip("/")
        content = path.read_bytes() if path.is_file() else b""
        if fault == "refuse" or not content:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        rest = b"" if fault == "break" else bytes([content[half] ^ 1]) + content[half + 1 :]
        self.wfile.write(content[:half] + rest)
        self.close_connection = True

    def log_message(self, format: str, *words: object) -> None:
        """Quiet."""


@contextmanager
def serving(directory: Path) -> Iterator[Archive]:
    archive = Archive(directory)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, archive=archive))
    archive.port = server.server_address[1]
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
