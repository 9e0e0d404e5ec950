"""sbuild's options on real input: signatures, repositories with keys, the network, checks with tests, a cross build."""

from __future__ import annotations

import re
import secrets
import shutil
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run
from debcore.openpgp import generate_key
from debroot.store import Store
from tests.integration.deb_mock.archive import Archive, make_package

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


@pytest.fixture
def gnupg(tmp_path: Path) -> Iterator[Path]:
    """A home of GnuPG with the secret key of signer@example.org."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "")
    run([*gpg, "--quick-gen-key", "Signer <signer@example.org>", "ed25519", "sign", "never"])
    yield home
    run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def test_keyid_signs_with_the_users_own_gpg(sbuild: Any, native: Any, gnupg: Path, tmp_path: Path) -> None:
    words = ("-d", "trixie", "--source", "--build-dir", tmp_path, "--dpkg-source-opt=-Zgzip")
    done = sbuild(*words, "-k", "signer@example.org", native(), cwd=tmp_path, env={"GNUPGHOME": str(gnupg)})
    assert done.status == 0, done.text + done.stderr.decode()
    for name in ("tiny_1.0.dsc", "tiny_1.0_amd64.buildinfo", "tiny_1.0_amd64.changes"):
        seen = run(["gpg", "--homedir", gnupg, "--batch", "--verify", tmp_path / name], check=False)
        assert seen.status == 0, seen.stderr.decode()
        assert b"Good signature from" in seen.stderr
    assert (tmp_path / "tiny_1.0.tar.gz").exists()  # as dpkg-source was told
    done = sbuild(*words, "--keyid=nobody@example.org", "tiny_1.0.dsc", cwd=tmp_path, env={"GNUPGHOME": str(gnupg)})
    assert done.status == 1, done.text
    assert "No secret key" in done.stderr.decode()
    assert b"BEGIN PGP" not in (tmp_path / "tiny_1.0_amd64.changes").read_bytes()


def test_an_extra_repository_needs_its_key(sbuild: Any, native: Any, store_dir: Path, tmp_path: Path) -> None:
    store = Store.open(store_dir)
    root = store_dir.parent / f"extra-{secrets.token_hex(4)}"  # hard links to the pool: the same file system
    signer, other = (generate_key(tmp_path / name, f"{name} <{name}@example.org>") for name in ("mine", "other"))
    name = f"extra{secrets.token_hex(4)}"
    try:
        root.mkdir()
        Archive(root, store, signer).add_suite("stuff", [make_package(store, tmp_path, name, "3")])
        for who, path in ((signer, "mine.asc"), (other, "other.asc")):
            (tmp_path / path).write_text(who.public_key())
        tree = native(build=f"cat /usr/share/{name}/version", fields=[f"Build-Depends: {name} (>= 3)"])
        words = ("-d", "trixie", "-v", f"--extra-repository=deb file:{root}/debian stuff main")
        done = sbuild(*words, f"--extra-repository-key={tmp_path}/mine.asc", tree, cwd=tmp_path)
        assert done.status == 0, done.text + done.stderr.decode()
        assert "\n3\n" in done.text
        for key in ([], [f"--extra-repository-key={tmp_path}/other.asc"]):
            refused = sbuild(*words, *key, tree, cwd=tmp_path)
            assert refused.status in (1, 3), refused.text + refused.stderr.decode()
            assert re.search("not signed|NO_PUBKEY|signature|key", refused.text + refused.stderr.decode())
            assert "\n3\n" not in refused.text
    finally:
        shutil.rmtree(root)


class Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"answer from outside\n")


def test_the_network_is_there_when_asked_for_and_told(sbuild: Any, native: Any, tmp_path: Path) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_address[1]
            tree = native(build=f"bash -c 'cat < /dev/tcp/127.0.0.1/{port}'")
            done = sbuild("-d", "trixie", "--nolog", "--enable-network", tree, cwd=tmp_path)
            assert done.status == 0, done.text + done.stderr.decode()
            assert "\nanswer from outside\n" in done.text
            assert "W: this step has the network" in done.text
            refused = sbuild("-d", "trixie", "--nolog", tree, cwd=tmp_path)
            assert refused.status == 2
            assert "answer from outside" not in refused.text
        finally:
            server.shutdown()
            thread.join()


def add_tests(tree: Path, script: str) -> Path:
    """debian/tests with one test in shell, and what lintian and piuparts want of a package."""
    (tree / "debian/tests").mkdir()
    (tree / "debian/tests/control").write_text("Tests: smoke\nDepends: @\nRestrictions: allow-stderr\n")
    (tree / "debian/tests/smoke").write_text(f"#!/bin/sh\nset -e\n{script}\n")
    return tree


@pytest.mark.slow  # testbeds with apt, and copies of the root
@pytest.mark.parametrize(
    ("script", "checks", "words"),
    [
        ("grep data /usr/share/tiny/data", ("autopkgtest", "piuparts"), {"Autopkgtest": "pass", "Piuparts": "pass"}),
        ("grep nothing /usr/share/tiny/data", ("autopkgtest",), {"Autopkgtest": "fail"}),
    ],
    ids=["good", "bad"],
)
def test_checks_have_the_last_word_in_the_summary(
    sbuild: Any, native: Any, tmp_path: Path, script: str, checks: tuple[str, ...], words: dict[str, str]
) -> None:
    tree = add_tests(native(), script)
    asked = [f"--run-{check}" for check in checks]
    done = sbuild("-d", "trixie", "--nolog", "--source", *asked, tree, cwd=tmp_path)
    assert done.status == 0, done.text + done.stderr.decode()
    summary = done.text[done.text.rindex("| Summary") :]
    found = dict(re.findall(r"^(Autopkgtest|Piuparts|Status): (.*)$", summary, re.M))
    assert found == {"Status": "successful", **words}, done.text[-6000:]


@pytest.mark.slow  # cross compilers
def test_host_crosses(sbuild: Any, sources: Any, tmp_path: Path) -> None:
    done = sbuild("-d", "trixie", "--host=arm64", "--nolog", sources("hostname"), cwd=tmp_path)
    assert done.status == 0, done.text[-6000:] + done.stderr.decode()
    deb = next(tmp_path.glob("hostname_*_arm64.deb"))
    assert run(["dpkg-deb", "--field", deb, "Architecture"]).text == "arm64\n"
    summary = done.text[done.text.rindex("| Summary") :]
    found = dict(re.findall(r"^(\w+ Architecture): (.*)$", summary, re.M))
    assert (found["Host Architecture"], found["Build Architecture"]) == ("arm64", "amd64")
    assert next(tmp_path.glob("hostname_*_arm64.result.json")).exists()
