"""A mirror that changes while a compose asks it: the compose says so, and `resume` takes what the mirror has then."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.lock import load_lock
from debcore.command import run
from debroot.sources import find_host_sources
from debroot.store import Store
from tests.integration.compose.world import MANIFEST, Composer, copy_base

pytestmark = [pytest.mark.root, pytest.mark.slow]

SOURCE = """\
sources:
  - {{name: debian, uris: ["{debian}"], suites: [trixie], signed-by: /usr/share/keyrings/debian-archive-keyring.gpg}}
  - {{name: ours, uris: ["{url}"], suites: [stable], trusted: true}}
security: none
packages: [mirrored]
"""
INDEX = "dists/stable/main/binary-amd64/Packages"


class Mirror:
    """What it serves now; *wish* is called with each path before it is served, and may change that."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.wish: Callable[[str], None] = lambda _path: None
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                mirror.wish(path)
                content = mirror.files.get(path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def publish(self, place: Path, version: str, *, index: bool = True) -> str:
        """The package in *version*, and (with *index*) a Release of now; its SHA-256."""
        root = place / version
        (root / "DEBIAN").mkdir(parents=True)
        fields = {"Package": "mirrored", "Version": version, "Architecture": "all", "Maintainer": "A <a@example.org>",
                  "Description": "changes"}  # fmt: skip
        (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
        run(["dpkg-deb", "--root-owner-group", "-b", root, place / f"{version}.deb"])
        deb = (place / f"{version}.deb").read_bytes()
        digest = hashlib.sha256(deb).hexdigest()
        self.files["pool/mirrored.deb"] = deb
        if index:
            told = {**fields, "Filename": "pool/mirrored.deb", "Size": len(deb), "SHA256": digest}
            packages = "".join(f"{key}: {value}\n" for key, value in told.items()).encode()
            self.files[INDEX] = packages
            name = INDEX.removeprefix("dists/stable/")
            self.files["dists/stable/Release"] = (
                "Origin: ours\nSuite: stable\nCodename: stable\nArchitectures: all amd64\nComponents: main\n"
                "Date: Fri, 27 Nov 2026 10:00:00 UTC\nSHA256:\n"
                f" {hashlib.sha256(packages).hexdigest()} {len(packages)} {name}\n"
            ).encode()
        return digest


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def composer(tmp_path: Path, store_dir: Path, mirror: Mirror) -> Composer:
    del store_dir
    debian = find_host_sources("trixie")[0].uris[0]
    directory = tmp_path / "manifest"
    directory.mkdir()
    copy_base(directory)
    (directory / "motd").write_text("x\n")
    (directory / "compose.yaml").write_text(MANIFEST + SOURCE.format(url=mirror.url, debian=debian))
    return Composer(directory, {"XDG_STATE_HOME": str(tmp_path / "state")})


def damage_index(mirror: Mirror, place: Path) -> Callable[[str], None]:
    """After the Release was fetched, the index is another."""

    def wish(path: str) -> None:
        if path == INDEX or path.startswith(INDEX):
            mirror.publish(place / "index", "2.0")

    return wish


def replace_package(mirror: Mirror, place: Path) -> Callable[[str], None]:
    """The file that the index named has another content by then."""

    def wish(path: str) -> None:
        if path.startswith("pool/"):
            mirror.publish(place / "package", "2.0", index=False)

    return wish


def remove_package(mirror: Mirror, place: Path) -> Callable[[str], None]:
    """It is gone by then."""
    del place

    def wish(path: str) -> None:
        if path.startswith("pool/"):
            mirror.files.pop(path, None)

    return wish


@pytest.mark.parametrize(
    ("accident", "words"),
    [
        (damage_index, "the mirror changed while it was read"),
        (replace_package, "mirrored"),
        (remove_package, "mirrored"),
    ],
)
def test_a_mirror_that_changes_under_a_compose(
    composer: Composer,
    mirror: Mirror,
    tmp_path: Path,
    accident: Callable[[Mirror, Path], Callable[[str], None]],
    words: str,
) -> None:
    mirror.publish(tmp_path / "first", "1.0")
    wish = accident(mirror, tmp_path)
    changed = threading.Event()

    def once(path: str) -> None:
        """As long as the compose runs, for apt asks more than once."""
        if not changed.is_set():
            before = dict(mirror.files)
            wish(path)
            if mirror.files != before:
                changed.set()

    mirror.wish = once
    refusal = composer.refuse("build", composer.manifest, "--target", tmp_path / "out", "--until", "lock")
    assert changed.is_set(), refusal.output
    (path,) = (tmp_path / "out").glob("Test-13-*")
    compose = ComposeDirectory(path)
    assert refusal.exit_status in (3, 5, 6), refusal.output
    assert any(word in refusal.output.lower() for word in words.split("|")), refusal.output
    assert f"resume {path}" in refusal.output
    assert "Traceback" not in refusal.output
    assert compose.status() is Status.DOOMED
    assert not compose.lock_path.exists()

    mirror.wish = lambda _path: None
    digest = mirror.publish(tmp_path / "last", "3.0")
    composer.call("resume", path)
    variant = load_lock(compose.lock_path).variants["server.amd64"]
    (package,) = (one for one in variant.archive if one.name == "mirrored")
    assert (package.version, package.sha256) == ("3.0", digest)
    assert hashlib.sha256(Store.open().pool_path(digest).read_bytes()).hexdigest() == digest
