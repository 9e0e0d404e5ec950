"""Sources in git and by URL: real repositories in git-buildpackage's layouts, friendly and hostile ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deb_mock.git.export import PROGRAMS
from deb_mock.workspace import open_workspace
from debcore.command import run
from debroot.bootstrap import tools_root
from debroot.store import Store
from tests.integration.deb_mock.conftest import PRESET, make_native

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

#: Nothing of the developer's own configuration.
QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z"}
QUIET |= {"GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
WHO = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")


def git(tree: Path, *words: str | Path, **env: str) -> str:
    return run(["git", "-C", tree, *WHO, *words], extra_env={**QUIET, **env}).text.strip()


def commit_all(tree: Path, message: str, *words: str, **env: str) -> None:
    git(tree, "add", "--all", "--force")
    git(tree, "commit", "--quiet", *words, "--message", message, **env)


def start_repository(tree: Path) -> Path:
    git(tree, "init", "--quiet", "--initial-branch=debian/latest")
    commit_all(tree, "First")
    return tree


def make_quilt(tree: Path) -> Path:
    """A repository with upstream's tree in a tag of its own, and the packaging on top of it."""
    tree.mkdir()
    (tree / "README").write_text("upstream\n")
    git(tree, "init", "--quiet", "--initial-branch=upstream")
    commit_all(tree, "Upstream 1.0")
    git(tree, "tag", "upstream/1.0")
    git(tree, "switch", "--quiet", "--create", "debian/latest")
    native = make_native(tree.parent / "template")
    shutil.copytree(native / "debian", tree / "debian")
    (tree / "debian" / "source" / "format").write_text("3.0 (quilt)\n")
    changelog = tree / "debian" / "changelog"
    changelog.write_text(changelog.read_text().replace("(1.0)", "(1.0-1)"))
    commit_all(tree, "Packaging")
    return tree


@pytest.fixture
def make(tool: Any, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """make(WHAT, option…): `deb-mock source`; its answer, or what it said and its status."""

    def call(what: str, *words: str | Path, **env: str) -> dict[str, Any]:
        out = tmp_path / "made"
        shutil.rmtree(out, ignore_errors=True)
        fresh = ("--set", "archive.max_age=1h", "--resultdir", out, "--json")
        done = tool.run("source", what, "-r", PRESET, *fresh, *words, env=env or None)
        said = done.stderr.decode()
        if done.status:
            assert not list(out.glob("*.dsc")), said
            return {"status": done.status, "said": said}
        return {"status": 0, "said": said, **json.loads(done.stdout)}

    return call


def content(answer: dict[str, Any]) -> dict[str, bytes]:
    """Plain files of the tarball that the .dsc names first."""
    with tarfile.open(next(f["path"] for f in answer["files"] if ".tar." in f["path"])) as tar:
        found = {member.name: tar.extractfile(member) for member in tar if member.isreg()}
        return {name: file.read() for name, file in found.items() if file is not None}


def test_a_commit_is_built_and_the_working_tree_does_not_matter(tool: Any, tmp_path: Path) -> None:
    tree = start_repository(make_native(tmp_path, suite="trixie"))
    (tree / "debian" / "rules").write_text("not committed\n")
    done = tool.run("build", f"{tree}#HEAD", "--resultdir", tmp_path / "out", "--set", "archive.max_age=1h")
    log = (tmp_path / "out" / "build.log").read_text()
    assert done.status == 0, done.stderr.decode() + log
    assert f"HEAD is commit {git(tree, 'rev-parse', 'HEAD')}" in log
    assert (tmp_path / "out" / "tiny_1.0_all.deb").is_file()


def test_a_hostile_repository_does_nothing_on_this_host(make: Any, tmp_path: Path) -> None:
    tree = make_native(tmp_path / "hostile")
    mark = tmp_path / "mark"
    stored = b"one\r\n$Format:%H$ $Id$\r\n"
    (tree / "file").write_bytes(stored)
    (tree / ".gitattributes").write_text(
        "file filter=evil diff=evil eol=lf text ident export-subst\nhidden export-ignore\n"
    )
    (tree / "hidden").write_text("still there\n")
    (tree / "name\nwith newline").write_text("odd\n")
    (tree / "link").symlink_to("/etc/passwd")
    start_repository(tree)
    blob = git(tree, "-c", "core.autocrlf=false", "hash-object", "-w", "--no-filters", "file")
    git(tree, "update-index", "--cacheinfo", f"100644,{blob},file")
    git(tree, "commit", "--quiet", "--message", "Bytes as they are")
    evil = f"#!/bin/sh\ntouch {mark}\n"
    for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "fsmonitor"):
        path = tree / ".git" / "hooks" / hook
        path.write_text(evil)
        path.chmod(0o755)
    with (tree / ".git" / "config").open("a") as file:
        file.write(
            f"[core]\n fsmonitor = {tree}/.git/hooks/fsmonitor\n pager = touch {mark}\n sshCommand = touch {mark}\n"
        )
        file.write(f'[filter "evil"]\n smudge = touch {mark}\n clean = touch {mark}\n required = true\n')
        file.write(f"[alias]\n cat-file = !touch {mark}\n[tar]\n umask = 0\n")
    answer = make(f"{tree}#HEAD")
    assert answer["status"] == 0, answer["said"]
    files = {name.partition("/")[2]: data for name, data in content(answer).items()}
    assert (files["file"], files["hidden"]) == (stored, b"still there\n")
    assert "link" not in files  # a link, as it was, and not what it points to
    assert not mark.exists()


def test_upstreams_tarball_is_made_of_its_tag(make: Any, tmp_path: Path) -> None:
    tree = make_quilt(tmp_path / "work")
    answers = [make(f"{tree}#debian/latest") for _ in range(2)]
    assert [a["status"] for a in answers] == [0, 0], answers[0]["said"]
    assert answers[0]["files"] == answers[1]["files"]
    assert content(answers[0]) == {"tiny-1.0/README": b"upstream\n"}
    assert "tiny_1.0.orig.tar.gz: made of refs/tags/upstream/1.0" in answers[0]["said"]
    git(tree, "tag", "--delete", "upstream/1.0")
    refused = make(f"{tree}#debian/latest")
    assert refused["status"] == 3
    assert "tag it upstream/1.0" in refused["said"]


def test_pristine_tar_gives_the_very_tarball(make: Any, tool: Any, tmp_path: Path) -> None:
    tree = make_quilt(tmp_path / "work")
    (tree / "debian" / "gbp.conf").write_text("[DEFAULT]\npristine-tar = True\n")
    commit_all(tree, "gbp.conf")
    missing = make(f"{tree}#debian/latest")
    assert missing["status"] == 3
    assert "pristine-tar commit" in missing["said"]
    store = Store.open(tool.store)
    script = """set -eu
git config --global user.name A; git config --global user.email a@example.org; git config --global safe.directory '*'
mkdir work; tar -C work -xf work.tar; cd work
mkdir -p ../up/odd-name; git archive upstream/1.0 | tar -C ../up/odd-name -x
tar -C ../up -cf - --mtime=@1000000000 --owner=7 odd-name | gzip -n -6 > ../tiny_1.0.orig.tar.gz
pristine-tar commit ../tiny_1.0.orig.tar.gz upstream/1.0
tar -cf ../work.tar .
"""
    with open_workspace(store, tools_root(store, packages=PROGRAMS)) as space:
        space.put(lambda stream: _tar_of(tree, stream))
        space.run(["sh", "-c", script], env={"HOME": "/build/reproducible-path"})
        space.get(["work.tar", "tiny_1.0.orig.tar.gz"], tmp_path)
    (tmp_path / "again").mkdir()
    run(["tar", "-C", tmp_path / "again", "--no-same-owner", "-xf", tmp_path / "work.tar"])
    answer = make(f"{tmp_path}/again#debian/latest")
    assert answer["status"] == 0, answer["said"]
    expected = hashlib.sha256((tmp_path / "tiny_1.0.orig.tar.gz").read_bytes()).hexdigest()
    assert expected in [file["sha256"] for file in answer["files"]]


def _tar_of(tree: Path, stream: Any) -> None:
    import io

    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        tar.add(tree, arcname=".")
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        member = tarfile.TarInfo("work.tar")
        member.size = len(inner.getvalue())
        inner.seek(0)
        tar.addfile(member, inner)


def test_submodules_and_unknown_names_are_refused(make: Any, tmp_path: Path) -> None:
    tree = start_repository(make_native(tmp_path))
    head = git(tree, "rev-parse", "HEAD")
    assert "its branches are debian/latest" in make(f"{tree}#other")["said"]
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{head},vendored/thing")
    git(tree, "commit", "--quiet", "--message", "A submodule")
    refused = make(f"{tree}#debian/latest")
    assert refused["status"] == 3
    assert "vendored/thing is a submodule" in refused["said"]


def test_a_tree_that_grows_when_it_is_unpacked_is_refused(make: Any, tmp_path: Path) -> None:
    tree = make_native(tmp_path)
    (tree / "zeros").write_bytes(bytes(32 << 20))
    start_repository(tree)
    refused = make(f"{tree}#HEAD", "--set", "source.max_size=8M")
    assert (refused["status"], "larger than source.max_size" in refused["said"]) == (3, True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with one signing key, and its public half as `keyring.gpg`."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--quiet"]
    run([*gpg, "--passphrase", "", "--quick-gen-key", "A Tester <tester@example.org>", "ed25519", "sign", "never"])
    run([*gpg, "--output", home / "keyring.gpg", "--export"])
    yield home
    run(["gpgconf", "--homedir", home, "--kill", "all"])


def test_plain_http_is_for_signed_commits_only(make: Any, served: str, key: Path, tmp_path: Path) -> None:
    tree = start_repository(make_native(tmp_path))
    (tree / "debian" / "README").write_text("signed\n")
    commit_all(tree, "Signed", "--gpg-sign", GNUPGHOME=str(key))
    git(tree, "clone", "--quiet", "--bare", str(tree), tmp_path / "www" / "tiny.git")
    git(tmp_path / "www" / "tiny.git", "update-server-info")
    url, demand = f"{served}/tiny.git", ("--require-signature", "--set", f'source.keyrings=["{key}/keyring.gpg"]')
    refused = make(url)
    assert (refused["status"], "plain http" in refused["said"]) == (3, True)
    unsigned = make(f"{url}#{git(tree, 'rev-parse', 'HEAD^')}", *demand)
    assert (unsigned["status"], "neither tag nor commit is signed" in unsigned["said"]) == (3, True)
    answer = make(url, *demand)
    assert answer["status"] == 0, answer["said"]
    assert "its signature is demanded" in answer["said"]
    assert make(f"{served}/nothing.git", *demand)["status"] in (3, 6)


def test_a_signed_dsc_by_url(make: Any, served: str, key: Path, tmp_path: Path) -> None:
    answer = make(str(make_native(tmp_path)))
    made = tmp_path / "made"
    run(["gpg", "--homedir", key, "--batch", "--output", made / "signed", "--clearsign", Path(answer["dsc"])])
    (made / "signed").replace(answer["dsc"])
    for path in made.iterdir():
        shutil.copy(path, tmp_path / "www")
    url, demand = f"{served}/tiny_1.0.dsc", ("--require-signature", "--set", f'source.keyrings=["{key}/keyring.gpg"]')
    assert "plain http" in make(url)["said"]
    fetched = make(url, *demand)
    assert fetched["status"] == 0, fetched["said"]
    assert fetched["files"][0]["sha256"] == answer["files"][0]["sha256"]
    (tmp_path / "www" / "tiny_1.0.tar.xz").write_bytes(b"x")
    assert make(url, *demand)["status"] == 3
