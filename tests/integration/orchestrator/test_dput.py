"""Debian's own dput and dput-ng against a hub: what is accepted, and what a person sees of a rejection."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from debcore.command import Completed, run
from debcore.hub.credential import load_token
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import UploadState
from debcore.openpgp.gnupg import make_secret_key
from tests.contract.hub.dputting import Sent
from tests.integration.orchestrator.stack import PROGRAM, Stack
from tests.unit.orchestrator.services.farm import SUITE


@dataclass
class Uploading:
    """A hub, alice's home with her key and her dput.cf, and what she uploads."""

    home: Path
    url: str
    token_file: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "GNUPGHOME": str(self.home / "gnupg"), "LC_ALL": "C.UTF-8"}

    def verb(self, *words: str | Path) -> Completed:
        env = {**self.environment, "DEBOOTC_HUB": self.url, "DEBOOTC_TOKEN_FILE": str(self.token_file)}
        return run([*PROGRAM, *words], extra_env=env, check=False)

    def write(self, sent: Sent) -> Path:
        """Signed as debsign does: the .dsc first, then the .changes that lists it."""
        dsc = f"{sent.name}_{sent.version}.dsc"
        sent.files[dsc] = self.sign(sent.files[dsc])
        for name, data in sent.files.items():
            (self.home / name).write_bytes(data)
        changes = self.home / sent.changes
        changes.write_bytes(self.sign(sent.text()))
        return changes

    def sign(self, data: bytes) -> bytes:
        return run(["gpg", "--batch", "--clearsign"], stdin=data, extra_env=self.environment).stdout

    def dput(self, changes: Path, *options: str) -> Completed:
        return run(
            ["dput", "--config", self.home / ".dput.cf", "--force", *options, SUITE, changes],
            extra_env=self.environment, cwd=self.home, check=False,
        )  # fmt: skip

    def dput_ng(self, place: Path, changes: Path) -> Completed:
        env = {**self.environment, "PYTHONPATH": str(place / "usr/lib/python3/dist-packages")}
        argv: list[str | Path] = ["/usr/bin/python3", place / "usr/bin/dput", "--config", self.home / ".dput.cf"]
        argv += ["--force", SUITE, changes]
        return run(argv, extra_env=env, cwd=place, check=False)


@pytest.fixture(scope="session")
def dput_ng(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked, for it cannot be installed beside dput: `skel` in its working directory is one of its own places."""
    place = tmp_path_factory.mktemp("dput-ng")
    packages = place / "packages"
    packages.mkdir()
    lists = place / "lists"
    (lists / "partial").mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=root"]
    run([*apt, "update"])  # the host's own lists may be old, or missing
    run([*apt, "download", "dput-ng", "python3-dput"], cwd=packages)
    for package in packages.glob("*.deb"):
        run(["dpkg-deb", "-x", package, place])
    for part in ("usr/share/dput-ng", "etc/dput.d"):
        shutil.copytree(place / part, place / "skel", ignore=shutil.ignore_patterns("README"), dirs_exist_ok=True)
    return place


@pytest.fixture
def uploading(stack: Stack, tmp_path: Path) -> Iterator[Uploading]:
    _, up = stack.start_ready("hub", "--state", tmp_path / "state", "--port", "0")
    home = tmp_path / "alice"
    home.mkdir()
    (home / "gnupg").mkdir(mode=0o700)
    one = Uploading(home, up["url"], Path(up["token_file"]))
    key = make_secret_key("alice <alice@example.org>")
    run(["gpg", "--batch", "--import"], stdin=key, extra_env=one.environment)
    exported = run(["gpg", "--batch", "--armor", "--export"], extra_env=one.environment).stdout
    (home / "alice.asc").write_bytes(exported)
    with DoorClient(one.url, load_token(one.token_file)) as client:
        client.ensure_target(SUITE, "debian-trixie")
    added = one.verb("uploader", "add", "alice", home / "alice.asc")
    assert added.status == 0, added.stderr
    (home / ".dput.cf").write_bytes(added.stdout)
    yield one
    run(["gpgconf", "--kill", "all"], extra_env=one.environment)


def test_dput_uploads_and_shows_why_something_was_rejected(uploading: Uploading) -> None:
    done = uploading.dput(uploading.write(Sent.make()))
    assert done.status == 0, (done.text, done.stderr)
    assert "Successfully uploaded packages" in done.text
    bad = Sent.make(version="2.0")
    bad.fields = {"Distribution": "sid"}
    changes = uploading.write(bad)
    refused = uploading.dput(changes)
    assert refused.status != 0
    assert f"Upload failed: 422 hello 2.0 is for sid, and {SUITE} takes {SUITE}" in refused.text
    why = uploading.verb("why", changes.name)
    assert f"rejected: hello 2.0 is for sid, and {SUITE} takes {SUITE}" in why.text
    listed = json.loads(uploading.verb("list-uploads", "--json").stdout)
    assert [one["state"] for one in listed] == [UploadState.REJECTED, UploadState.ACCEPTED]
    assert uploading.verb("target", "accept", SUITE, "sid").status == 0
    assert uploading.dput(changes).status == 0, "what was put right on the other side is accepted"
    assert "request" in uploading.verb("why", changes.name).text


def test_dput_ng_uploads_by_the_same_profile_and_shows_why(uploading: Uploading, dput_ng: Path) -> None:
    done = uploading.dput_ng(dput_ng, uploading.write(Sent.make()))
    assert done.status == 0, (done.text, done.stderr)
    bad = Sent.make(version="2.0")
    bad.fields = {"Distribution": "sid"}
    refused = uploading.dput_ng(dput_ng, uploading.write(bad))
    assert refused.status != 0
    assert f"hello 2.0 is for sid, and {SUITE} takes {SUITE}" in refused.stderr.decode() + refused.text
