"""An archive made from rows, served over plain HTTP, and clean roots whose own apt reads it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from deb_orchestrator.services.publish import (
    NewBinary,
    NewSource,
    NewSuite,
    add_to_suite,
    ensure_suite,
    find_apt_file,
    publish_with,
)
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from debcore.aptrepo import PoolFile
from debcore.blobs import BlobStore
from debcore.command import Completed, run
from debcore.deb import load_control
from debcore.deb822 import parse_stanza
from debcore.openpgp import Signer, generate_key
from debroot.bootstrap import host_arch, open_root, tools_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import Layer, Store

SUITE = "trixie-local"


@dataclass
class Archive:
    """A hub's database and blobs with one suite, and its signer in this process."""

    db: Database
    blobs: BlobStore
    signer: Signer
    arch: str

    def add_deb(self, path: Path) -> None:
        self.blobs.put_file(path)
        data = path.read_bytes()
        new = NewBinary(control=load_control(path), sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        with self.db.write() as conn:
            add_to_suite(conn, SUITE, binaries=[new])

    def add_dsc(self, path: Path) -> None:
        data = path.read_bytes()
        dsc = parse_stanza(data, where=path.name)
        for line in dsc["Checksums-Sha256"].split("\n")[1:]:
            self.blobs.put_file(path.parent / line.split()[2], sha256=line.split()[0])
        self.blobs.put_file(path)
        md5 = hashlib.md5(data).hexdigest()
        own = PoolFile(name=path.name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), md5=md5)
        with self.db.write() as conn:
            add_to_suite(conn, SUITE, sources=[NewSource(dsc=dsc, dsc_file=own)])

    def publish(self) -> int:
        published = publish_with(self.db, self.blobs, SUITE, self.signer)
        assert published.state == "live"
        return published.generation


@dataclass
class Served:
    """The archive over HTTP. `tamper` may change what is sent; `asked` are the paths that were asked for."""

    url: str
    asked: list[str] = field(default_factory=list)
    tamper: Callable[[str, bytes], bytes] = lambda path, data: data


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with open_database(tmp_path / "hub.sqlite") as db:
        migrate(db)
        arch = host_arch()
        with db.write() as conn:
            ensure_suite(conn, NewSuite(name=SUITE, arches=(arch,)))
        signer = generate_key(tmp_path / "key", "Test archive")
        yield Archive(db, BlobStore(tmp_path / "blobs"), signer, arch)


@pytest.fixture
def served(archive: Archive) -> Iterator[Served]:
    with serving(archive) as server:
        yield server


@contextmanager
def serving(archive: Archive) -> Iterator[Served]:
    served: Served

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).removeprefix("/apt/")
            served.asked.append(path)
            found = find_apt_file(archive.db, archive.blobs, path)
            data = b"" if found is None else found.data or (found.file.read_bytes() if found.file else b"")
            data = served.tamper(path, data) if found else data
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{server.server_address[1]}/apt")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture(scope="session", params=["bookworm", "trixie", pytest.param("sid", marks=pytest.mark.slow)])
def root(request: pytest.FixtureRequest, store: Store) -> Layer:
    """A clean root with apt and what apt needs, of each release; sid's from a mirror that may stand still."""
    suite: str = request.param
    sources = find_host_sources(suite)
    if suite == "sid":
        sources = tuple(one.model_copy(update={"check_valid_until": False}) for one in sources)
    return open_root(store, sources=sources, suite=suite, arch=host_arch(), variant="apt")


@pytest.fixture(scope="session")
def ftparchive(store: Store) -> Layer:
    return tools_root(store, packages=["apt-utils"])


SETUP = """\
set -eu
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
mkdir -p /etc/apt/keyrings
cp /work/key.asc /etc/apt/keyrings/local.asc
echo "deb [signed-by=/etc/apt/keyrings/local.asc] $URL $SUITE main" >/etc/apt/sources.list.d/local.list
echo "deb-src [signed-by=/etc/apt/keyrings/local.asc] $URL $SUITE main" >>/etc/apt/sources.list.d/local.list
echo 'APT::Sandbox::User "root";' >/etc/apt/apt.conf.d/99test
"""


def run_apt(root: Layer, served: Served, key: str, script: str, work: Path, *, timeout: float = 300) -> Completed:
    """Run *script* in a throw-away copy of *root* that has the archive as its only source."""
    work.mkdir(exist_ok=True)
    (work / "key.asc").write_text(key)
    (work / "script").write_text(SETUP + script)
    sandbox = Sandbox(
        lowers=root.lowers(),
        binds=(Bind(source=work, target="/work"),),
        network="host",
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
            "URL": served.url, "SUITE": SUITE, "HOME": "/root",
        },
    )  # fmt: skip
    return run_in(sandbox, ["sh", "/work/script"], timeout=timeout, check=False, capture=True)


def make_deb(directory: Path, name: str, version: str, *, arch: str = "all", kind: str = "xz", **fields: str) -> Path:
    """A package with one file that tells its version."""
    tree = directory / f"{name}_{version}_{arch}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share" / name).mkdir(parents=True)
    (tree / "usr/share" / name / "version").write_text(version + "\n")
    control = {
        "Package": name, "Version": version, "Architecture": arch, "Maintainer": "Test <test@example.org>",
        "Section": "misc", "Priority": "optional", **{k.replace("_", "-"): v for k, v in fields.items()},
        "Description": "test package\n It tells its version.\n .\n Nothing else: üñí.",
    }  # fmt: skip
    (tree / "DEBIAN/control").write_text("".join(f"{k}: {v}\n" for k, v in control.items()))
    path = directory / f"{name}_{version}_{arch}.deb"
    run(["dpkg-deb", "--root-owner-group", f"-Z{kind}", "--build", tree, path])
    return path


def make_source(directory: Path, name: str, version: str) -> Path:
    """A native source package; the path of its .dsc."""
    tree = directory / f"{name}-{version}"
    (tree / "debian/source").mkdir(parents=True)
    (tree / "debian/source/format").write_text("3.0 (native)\n")
    (tree / "debian/changelog").write_text(
        f"{name} ({version}) unstable; urgency=low\n\n  * Test.\n\n"
        " -- Test <test@example.org>  Sat, 14 Mar 2026 12:00:00 +0000\n"
    )
    (tree / "debian/control").write_text(
        f"Source: {name}\nSection: misc\nPriority: optional\nMaintainer: Test <test@example.org>\n"
        "Build-Depends: debhelper-compat (= 13)\nStandards-Version: 4.7.0\n\n"
        f"Package: {name}\nArchitecture: all\nDescription: test\n"
    )
    (tree / "debian/rules").write_text("#!/usr/bin/make -f\n%:\n\tdh $@\n")
    (tree / "debian/rules").chmod(0o755)
    run(["dpkg-source", "--build", tree.name], cwd=directory)
    return directory / f"{name}_{version}.dsc"
