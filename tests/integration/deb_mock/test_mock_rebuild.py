"""rebuild: from a .buildinfo alone, bit for bit, also after the suite has moved on; and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from debcore.command import run
from debcore.job import load_lock
from debcore.openpgp import Signer, generate_key
from debroot.localrepo import make_repository
from debroot.resolve import fetch
from debroot.store import Package, Store

from .conftest import Built, make_native

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


def rebuild(tool: Any, built: Any, out: Path, *words: str | Path) -> tuple[int, str, dict[str, Any]]:
    """Status, what was said, and the report ({} if there is none)."""
    buildinfo = next(built.directory.glob("*.buildinfo"))
    done = tool.run("rebuild", buildinfo, "--resultdir", out, "--set", "archive.max_age=1h", *words)
    report = out / "rebuild.json"
    said = done.stdout.decode() + done.stderr.decode()
    return done.status, said, json.loads(report.read_text()) if report.is_file() else {}


@pytest.mark.parametrize("name", ["hostname", "cowsay"])
def test_a_real_build_is_rebuilt_bit_for_bit(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    status, said, report = rebuild(tool, builds(name), tmp_path / "out", "--source", sources(name))
    assert status == 0, said
    assert report["equal"] is True
    assert set(report["artifacts"]) == set(builds(name).debs())
    assert "all equal, bit for bit" in said


def test_a_binary_only_rebuild_is_rebuilt_with_its_entry(
    tool: Any, sources: Callable[[str], Path], tmp_path: Path
) -> None:
    words = ("--binNMU", "3", "--make-binNMU", "Rebuild for a test", "--maintainer", "A <a@example.org>")
    built = tool.build(sources("hostname"), tmp_path / "first", *words)
    assert built.status == 0, built.said
    status, said, report = rebuild(tool, built, tmp_path / "out", "--source", sources("hostname"))
    assert status == 0, said
    assert report["version"].endswith("+b3")
    assert set(report["artifacts"].values()) == {"equal"}


def test_another_byte_is_another_verdict(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path
) -> None:
    place = tmp_path / "claimed"
    place.mkdir()
    buildinfo = next(builds("hostname").directory.glob("*.buildinfo"))
    text = re.sub(r"^ [0-9a-f]{64} (\d+ hostname_)", rf" {'0' * 64} \1", buildinfo.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^ ([0-9a-f]{64} \d+) hostname-dbgsym_", r" \1 hostname-other_", text, flags=re.MULTILINE)
    (place / buildinfo.name).write_text(text)
    claimed = Built(0, "", place)
    status, said, report = rebuild(tool, claimed, tmp_path / "out", "--source", sources("hostname"))
    assert status == 4, said
    verdicts = {name.partition("_")[0]: verdict for name, verdict in report["artifacts"].items()}
    assert verdicts == {"hostname": "differs", "hostname-other": "missing", "hostname-dbgsym": "extra"}


def test_another_source_is_refused(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path
) -> None:
    status, said, _ = rebuild(tool, builds("hostname"), tmp_path / "out", "--source", sources("cowsay"))
    assert status == 3
    assert "is cowsay" in said
    assert not (tmp_path / "out").exists()


def test_a_buildinfo_is_under_the_policy(
    tool: Any, builds: Callable[..., Any], sources: Callable[[str], Path], tmp_path: Path
) -> None:
    built = builds("hostname")
    source = ("--source", sources("hostname"))
    status, said, _ = rebuild(tool, built, tmp_path / "out", *source, "--require-signature")
    assert status == 3
    assert "is not signed" in said
    status, said, _ = rebuild(tool, built, tmp_path / "out", *source, "--set", "source.signed=buildinfo")
    assert status == 3
    signer, stranger = (generate_key(tmp_path / name, f"{name} <x@example.org>") for name in ("signer", "stranger"))
    (tmp_path / "keyring").write_text(stranger.public_key())
    signed = tmp_path / "signed"
    signed.mkdir()
    buildinfo = next(built.directory.glob("*.buildinfo"))
    (signed / buildinfo.name).write_bytes(signer.sign_inline(buildinfo.read_bytes()))
    keyring = ("--keyring", tmp_path / "keyring")
    status, said, _ = rebuild(tool, Built(0, "", signed), tmp_path / "out", *source, *keyring)
    assert status == 3
    assert "unknown key" in said
    assert not (tmp_path / "out").exists()


@dataclass
class Archive:
    """A signed suite that moves, and a server that remembers: live/, archive/debian/TIME/, mr/, file/."""

    root: Path
    store: Store
    signer: Signer
    url: str = ""
    signed_snapshots: bool = True
    files: dict[str, Path] = field(default_factory=dict)  #: SHA-1 → file
    binaries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def publish(self, name: str, packages: Sequence[Package]) -> None:
        target = self.root / name
        shutil.rmtree(target, ignore_errors=True)
        fetch(self.store, packages)  # gc may have removed what roots were made of
        make_repository(self.store, packages, target, suite="trixie", arch="amd64")
        release = target / "dists" / "trixie" / "Release"
        text = f"Date: {formatdate(usegmt=True)}\n{release.read_text()}"
        release.unlink()
        (release.parent / "InRelease").write_bytes(self.signer.sign_inline(text.encode()))

    def remember(self, deb: Path, package: Package) -> None:
        digest = hashlib.sha1(deb.read_bytes()).hexdigest()
        self.files[digest] = deb
        answer = {"result": [{"architecture": package.arch, "hash": digest}]}
        self.binaries[f"/mr/binary/{package.name}/{package.version}/binfiles"] = answer

    def settings(self) -> tuple[str, ...]:
        (self.root / "key.asc").write_text(self.signer.public_key())
        values = {"mirror": f"{self.url}/live", "keyring": str(self.root / "key.asc"), "max_age": "none"}
        words = [f"archive.{key}={value}" for key, value in values.items()]
        words += ["archive.security=false", "archive.updates=false"]
        return tuple(word for setting in words for word in ("--set", setting))

    def answer(self, path: str) -> bytes | None:
        if path in self.binaries:
            return json.dumps(self.binaries[path]).encode()
        if path.startswith("/file/"):
            file = self.files.get(path.removeprefix("/file/"))
            return file.read_bytes() if file else None
        path = re.sub(r"^/archive/debian/\d{8}T\d{6}Z/", "/then/" if self.signed_snapshots else "/none/", path)
        file = self.root / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None


@pytest.fixture
def archive(tmp_path: Path, store_dir: Path) -> Iterator[Archive]:
    root = store_dir.parent / "rebuild-archive"  # hard links to the pool: the same file system
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    archive = Archive(root, Store.open(store_dir), generate_key(tmp_path / "key", "Archive <a@example.org>"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = archive.answer(unquote(urlsplit(self.path).path))
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        shutil.rmtree(root)


def make_helper(directory: Path, version: str) -> Path:
    tree = directory / f"helper-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr" / "share" / "helper").mkdir(parents=True)
    (tree / "usr" / "share" / "helper" / "data").write_text(f"{version} {directory}\n")
    (tree / "DEBIAN" / "control").write_text(
        f"Package: rebuild-helper\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\n"
        "Description: helps\n a build of a test\n"
    )
    path = directory / f"helper_{version}.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", tree, path])
    return path


def forget(store: Store, package: Package) -> None:
    """Remove every trace of *package*: the layers that have it, and the .deb."""
    for meta in list((store.path / "layers").glob("*/meta.json")):
        if package.sha256 in meta.read_text():
            store.remove(meta.parent.name)
    store.pool_path(package.sha256).unlink(missing_ok=True)


@dataclass
class Moved:
    """A build whose suite has moved on since."""

    archive: Archive
    built: Any
    helper: Package


@pytest.fixture
def moved(tool: Any, archive: Archive, tmp_path: Path) -> Iterator[Moved]:
    store = archive.store
    plain = tool.build(make_native(tmp_path / "plain"), tmp_path / "plain-out")
    assert plain.status == 0, plain.said
    lock = load_lock(plain.directory / "lock.json")
    base = [Package(name=p.name, version=p.version, arch=p.arch, sha256=p.sha256, size=p.size) for p in lock.packages]
    first = f"1.{secrets.randbits(48)}"  # no other run's: a .buildinfo knows names and versions alone
    old, new = make_helper(tmp_path, first), make_helper(tmp_path, "2.0")
    helper, newer = store.add_deb(old), store.add_deb(new)
    archive.publish("live", [*base, helper])
    archive.publish("then", [*base, helper])
    archive.remember(old, helper)
    place = "debian/tmp/usr/share/dependent"
    command = f"mkdir -p {place}; cp /usr/share/helper/data {place}/copied"
    tree = make_native(tmp_path, name="dependent", build=command, fields=["Build-Depends: rebuild-helper"])
    built = tool.build(tree, tmp_path / "first", "--build=full", *archive.settings())
    assert built.status == 0, built.said
    assert f"rebuild-helper (= {first})" in next(built.directory.glob("*.buildinfo")).read_text()
    archive.publish("live", [*base, newer])
    again = tool.build(tree, tmp_path / "second", *archive.settings())
    assert again.debs() != {name: built.debs()[name] for name in again.debs()}
    forget(store, newer)
    forget(store, helper)
    yield Moved(archive, built, helper)
    forget(store, helper)


def test_what_no_place_has_is_named(tool: Any, moved: Moved, tmp_path: Path) -> None:
    status, said, report = rebuild(tool, moved.built, tmp_path / "out", *moved.archive.settings())
    assert (status, report) == (5, {})
    assert f"rebuild-helper {moved.helper.version}" in said
    assert "--snapshot" in said
    assert not (tmp_path / "out").exists()


def test_a_snapshot_brings_back_what_the_suite_has_dropped(tool: Any, moved: Moved, tmp_path: Path) -> None:
    """From its signed archive at the time of the build, then from its files by address alone, then by a lock's hash."""
    words = (*moved.archive.settings(), "--snapshot", moved.archive.url)
    status, said, report = rebuild(tool, moved.built, tmp_path / "signed", *words)
    assert status == 0, said
    assert set(report["artifacts"].values()) == {"equal"}
    assert report["root"][f"{moved.archive.url} (signed)"] == 1
    forget(moved.archive.store, moved.helper)
    moved.archive.signed_snapshots = False
    status, said, report = rebuild(tool, moved.built, tmp_path / "plain", *words)
    assert status == 0, said
    assert report["equal"] is True
    assert any("by the snapshot's address alone" in note for note in report["notes"])
    forget(moved.archive.store, moved.helper)
    lock = ("--locked", str(moved.built.directory / "lock.json"))
    snapshots = ("--set", f"archive.snapshots={moved.archive.url}")
    dsc = next(moved.built.directory.glob("*.dsc"))
    locked = tool.build(dsc, tmp_path / "locked", *lock, *moved.archive.settings(), *snapshots)
    assert locked.status == 0, locked.said
    assert locked.debs() == moved.built.debs()


@pytest.mark.slow  # three builds and two rebuilds of what a unit test shows in parts
def test_a_snapshot_that_lies_is_not_believed(tool: Any, moved: Moved, tmp_path: Path) -> None:
    archive = moved.archive
    archive.signed_snapshots = False
    words = (*archive.settings(), "--snapshot", archive.url)
    honest = next(iter(archive.files))
    archive.files[honest] = make_helper(tmp_path / "other", "3.0")
    status, said, _ = rebuild(tool, moved.built, tmp_path / "hash", *words)
    assert status == 5
    assert "the content has SHA-1" in said
    archive.remember(archive.files[honest], moved.helper)
    status, said, _ = rebuild(tool, moved.built, tmp_path / "other-package", *words)
    assert status == 5
    assert "is rebuild-helper 3.0" in said
