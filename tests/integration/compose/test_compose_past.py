"""An archive that was kept at two times: locks of both, what changed between them, and a time that nobody kept."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deb_bootc_compose.lock import load_lock
from debcore.command import run
from debcore.openpgp import Signer, generate_key
from debroot.sources import find_host_sources
from tests.integration.compose.world import MANIFEST, Composer, copy_base

pytestmark = [pytest.mark.root, pytest.mark.slow]

FIRST, SECOND = "20250101T000000Z", "20250601T120000Z"
SOURCES = """\
variables: {{at: "{first}"}}
snapshot: "${{at}}"
sources:
  - {{name: debian, uris: ["{debian}"], suites: [trixie], signed-by: /usr/share/keyrings/debian-archive-keyring.gpg,
     snapshot: null}}
  - {{name: ours, uris: ["{kept}/@SNAPSHOTID@"], suites: [trixie-ours], signed-by: {key}}}
security: none
packages: [kept]
"""


def keep(place: Path, at: str, version: str, signer: Signer) -> None:
    """The archive as of *at*: signed, and long expired."""
    root, archive = place / f"root-{version}", place / "kept" / at
    (root / "DEBIAN").mkdir(parents=True)
    index = archive / "dists/trixie-ours/main/binary-amd64/Packages"
    index.parent.mkdir(parents=True)
    fields = {"Package": "kept", "Version": version, "Architecture": "all", "Maintainer": "A <a@example.org>",
              "Description": "kept"}  # fmt: skip
    (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    run(["dpkg-deb", "--root-owner-group", "-b", root, archive / "kept.deb"])
    deb = (archive / "kept.deb").read_bytes()
    fields |= {"Filename": "kept.deb", "Size": str(len(deb)), "SHA256": hashlib.sha256(deb).hexdigest()}
    index.write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    release = (
        "Origin: ours\nSuite: trixie-ours\nCodename: trixie-ours\nArchitectures: all amd64\nComponents: main\n"
        "Date: Wed, 01 Jan 2025 10:00:00 UTC\nValid-Until: Wed, 08 Jan 2025 10:00:00 UTC\nSHA256:\n"
        f" {hashlib.sha256(index.read_bytes()).hexdigest()} {index.stat().st_size} main/binary-amd64/Packages\n"
    )
    (archive / "dists/trixie-ours/InRelease").write_bytes(signer.sign_inline(release.encode()))


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "kept")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def composer(tmp_path: Path, store_dir: Path, url: str) -> Composer:
    del store_dir
    signer = generate_key(tmp_path / "secret", "Kept archive")
    (tmp_path / "ours.asc").write_text(signer.public_key())
    keep(tmp_path, FIRST, "1.0", signer)
    keep(tmp_path, SECOND, "2.0", signer)
    directory = tmp_path / "manifest"
    directory.mkdir()
    copy_base(directory)
    (directory / "motd").write_text("x\n")
    (uri,) = find_host_sources("trixie")[0].uris
    sources = SOURCES.format(first=FIRST, debian=uri, kept=url, key=tmp_path / "ours.asc")
    (directory / "compose.yaml").write_text(MANIFEST + sources)
    return Composer(directory, {"XDG_STATE_HOME": str(tmp_path / "state")})


def version_of(path: Path) -> tuple[str, dict[str, str]]:
    lock = load_lock(path)
    return lock.variants["server.amd64"].installed["kept:all"].version, lock.snapshots


def test_locks_of_two_times(composer: Composer, tmp_path: Path) -> None:
    old, lock = tmp_path / "old.json", tmp_path / "lock.json"
    composer.call("lock", composer.manifest, "-o", old)
    assert version_of(old) == ("1.0", {"ours": FIRST})
    lock.write_bytes(old.read_bytes())
    composer.call("lock", "update", composer.manifest, "-o", lock, "--set", f"at={SECOND}", "--no-changelogs")
    assert version_of(lock) == ("2.0", {"ours": SECOND})

    told = composer.call("lock", "diff", old, lock, "--no-changelogs").text
    assert f"snapshot of ours: {FIRST} → {SECOND}" in told
    document = json.loads(composer.call("lock", "diff", old, lock, "--no-changelogs", "--json").stdout)
    assert document["snapshots"] == {"before": {"ours": FIRST}, "after": {"ours": SECOND}}

    refused = composer.refuse("build", composer.manifest, "--locked", lock, "--until", "lock")
    assert "the lock is of other snapshots" in refused.output
    held = composer.call(
        "build", composer.manifest, "--locked", lock, "--until", "lock", "--set", f"at={SECOND}", "--json"
    )
    assert version_of(Path(json.loads(held.stdout)["path"]) / "lock.json") == ("2.0", {"ours": SECOND})

    missing = composer.refuse("lock", composer.manifest, "-o", lock, "--set", "at=20240101T000000Z")
    assert "there is no snapshot 20240101T000000Z" in missing.output
    assert "snapshot-service" in missing.output
    assert version_of(lock)[0] == "2.0", "a lock that cannot be made anew stays"


def test_a_snapshot_is_signed_all_the_same(composer: Composer, tmp_path: Path) -> None:
    release = tmp_path / "kept" / FIRST / "dists/trixie-ours/InRelease"
    release.write_text(release.read_text().replace("Origin: ours", "Origin: mine"))
    refused = composer.refuse("lock", composer.manifest, "-o", tmp_path / "lock.json")
    assert "is not signed" in refused.output or "signature" in refused.output.lower()
    assert not (tmp_path / "lock.json").exists()
