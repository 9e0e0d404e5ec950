"""Composes published into a repository that lasts, and a client that updates from it over HTTP."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.ostree import Repository, find_ref, fsck, init_repo, sign_commit, sign_summary
from deb_bootc_compose.publish.outputs import CommitOutput, load_outputs
from deb_bootc_compose.publish.repository import Published, deltas, finish, opened, publish_commit, versions
from debcore.errors import Failure
from debcore.openpgp import Signer, generate_key
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store

pytestmark = pytest.mark.root

REF = "server/trixie/amd64"
COMMIT = """set -e; mkdir -p /run/t/usr; printf "$2" > /run/t/usr/version; yes "$1" | head -n 50000 > /run/t/usr/big
exec ostree --repo=/repo commit --branch="$3" --timestamp=@"$1" --owner-uid=0 --owner-gid=0 --tree=dir=/run/t
"""


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return generate_key(tmp_path_factory.mktemp("key") / "key.asc", "tests")


@pytest.fixture
def made(store: Store, tools: Layer, signer: Signer, tmp_path: Path) -> dict[str, CommitOutput]:
    """Three versions, each in the repository of a compose of its own."""
    return {
        version: make_commit(store, tools, signer, tmp_path / version, version, 1_760_000_000 + number)
        for number, version in enumerate(("13.1", "13.2", "13.10"))
    }


def make_commit(store: Store, tools: Layer, signer: Signer, place: Path, version: str, time: int) -> CommitOutput:
    place.mkdir()
    repository = init_repo(store, place / "repo", suite="trixie", tools=tools)
    box = Sandbox(lowers=tools.lowers(), binds=(Bind(source=repository.path, target="/repo", readonly=False),))
    argv = ["sh", "-c", COMMIT, "sh", str(time), version, REF]
    checksum = run_in(box, argv, idmap=store.idmap, capture=True).text.strip()
    sign_commit(repository, checksum, signer)
    repository.run("refs", "--delete", REF)
    return CommitOutput("server.amd64", checksum, REF, version, repository.path, signer.fingerprint)


def publish(
    store: Store, repo: Path, signer: Signer, made: CommitOutput, *, keep: int = 5, allow_older: bool = False
) -> Published:
    with opened(store, repo, suite="trixie") as repository:
        done = publish_commit(repository, made, keep=keep, delta=True, allow_older=allow_older, say=lambda _: None)
        finish(repository, signer)
        return done


@contextmanager
def served(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            # What is published twice within one second would be told to be unchanged: HTTP dates count in seconds.
            del self.headers["If-Modified-Since"]
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


CLIENT = """set -e
[ -e /client/config ] || { ostree --repo=/client init --mode=bare-user-only
ostree --repo=/client remote add --set=gpg-verify=true --set=gpg-verify-summary=true --gpg-import=/run/key o "$1" >&2; }
ostree --repo=/client config set 'remote "o".url' "$1"
ostree --repo=/client pull $3 o "$2" >&2
ostree --repo=/client cat "$2" /usr/version
"""


def update(store: Store, tools: Layer, client: Path, key: Path, url: str, *options: str) -> str:
    """What the client has after a pull, with every signature demanded."""
    binds = (Bind(source=client, target="/client", readonly=False), Bind(source=key, target="/run/key"))
    box = Sandbox(lowers=tools.lowers(), binds=binds, network="host")
    return run_in(box, ["sh", "-c", CLIENT, "sh", url, REF, *options], idmap=store.idmap, capture=True).text


def test_clients_update_from_what_is_published(
    store: Store, tools: Layer, signer: Signer, made: dict[str, CommitOutput], tmp_path: Path
) -> None:
    repo = tmp_path / "www" / "repo"
    key = tmp_path / "key.asc"
    key.write_text(signer.public_key())
    first = publish(store, repo, signer, made["13.1"])
    assert (first.before, first.delta) == (None, None)
    with store.workplace("client") as place, served(repo) as (url, asked):
        assert update(store, tools, place / "client", key, url) == "13.1"
        second = publish(store, repo, signer, made["13.2"])
        assert second.before == made["13.1"].commit
        assert second.delta
        asked.clear()
        assert update(store, tools, place / "client", key, url, "--require-static-deltas") == "13.2"
        assert any("/deltas/" in path for path in asked)
        assert not any(path.endswith(".filez") for path in asked)


def test_versions_are_kept_and_dropped(
    store: Store, tools: Layer, signer: Signer, made: dict[str, CommitOutput], tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    publish(store, repo, signer, made["13.1"], keep=2)
    publish(store, repo, signer, made["13.2"], keep=2)
    again = publish(store, repo, signer, made["13.2"], keep=2)
    assert (again.before, again.delta, again.dropped) == (made["13.2"].commit, None, ())
    third = publish(store, repo, signer, made["13.10"], keep=2)
    assert third.dropped == ("13.1",)
    repository = Repository(store, tools, repo)
    assert versions(repository, REF) == ["13.2", "13.10"]
    assert deltas(repository) == [f"{made['13.2'].commit}-{made['13.10'].commit}"]
    fsck(repository)
    assert not repository.object_path(made["13.1"].commit, "commit").exists()
    with pytest.raises(Failure, match="older than what is published"):
        publish(store, repo, signer, made["13.2"])
    assert find_ref(repository, REF) == made["13.10"].commit
    back = publish(store, repo, signer, made["13.2"], keep=1, allow_older=True)
    assert find_ref(repository, REF) == made["13.2"].commit
    assert back.dropped == (), "the newest version is kept, and what the ref names"


def test_a_publication_that_was_killed_is_ended_by_the_next(
    store: Store, tools: Layer, signer: Signer, made: dict[str, CommitOutput], tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    publish(store, repo, signer, made["13.1"])
    with opened(store, repo, suite="trixie") as repository:
        publish_commit(repository, made["13.2"], keep=1, delta=False, allow_older=False, say=lambda _: None)
    # Killed before the summary: clients that go by the summary still see the old commit, which must still be there.
    assert repository.object_path(made["13.1"].commit, "commit").exists()
    publish(store, repo, signer, made["13.2"], keep=1)
    fsck(repository)
    assert find_ref(repository, REF) == made["13.2"].commit
    assert not repository.object_path(made["13.1"].commit, "commit").exists(), "what the killed one dropped is gone"


def test_damage_and_two_at_once(
    store: Store, tools: Layer, signer: Signer, made: dict[str, CommitOutput], tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    publish(store, repo, signer, made["13.1"])
    with opened(store, repo, suite="trixie"), pytest.raises(Failure, match="another process publishes"):
        publish(store, repo, signer, made["13.2"])
    big = max(made["13.2"].repo.glob("objects/*/*.filez"), key=lambda path: path.stat().st_size)
    data = bytearray(big.read_bytes())
    data[len(data) // 2] ^= 0xFF
    big.write_bytes(data)
    with pytest.raises(Failure, match="is damaged"):
        publish(store, repo, signer, made["13.2"])
    assert find_ref(Repository(store, tools, repo), REF) == made["13.1"].commit
    sign_summary(Repository(store, tools, repo), signer)


@pytest.mark.parametrize(
    ("status", "match"),
    [("FINISHED_INCOMPLETE", "left out a gate"), ("DOOMED", "is DOOMED"), ("STARTED", "is STARTED")],
)
def test_what_did_not_pass_its_gates_is_not_published(tmp_path: Path, status: str, match: str) -> None:
    compose = make_compose(tmp_path, status)
    with pytest.raises(Failure, match=match):
        load_outputs(compose)


def test_a_status_is_not_believed_without_the_results_of_the_gates(tmp_path: Path) -> None:
    compose = make_compose(tmp_path, "FINISHED")
    spec = {"name": "server", "arch": "amd64", "variant": {"tests": ["lint", "rollback"]}}
    document = json.loads(compose.manifest_path.read_text())
    document["manifest"]["specs"] = [spec]
    compose.manifest_path.write_text(json.dumps(document))
    with pytest.raises(Failure, match=r"no result of lint\.server\.amd64, update\.server\.amd64"):
        load_outputs(compose)
    assert load_outputs(compose, incomplete=True).commits


def test_outputs_of_a_compose(tmp_path: Path) -> None:
    compose = make_compose(tmp_path, "FINISHED_INCOMPLETE")
    found = load_outputs(compose, incomplete=True)
    assert [(one.variant, one.commit, one.version) for one in found.commits] == [("server.amd64", "b" * 64, "13.2")]
    assert [(one.variant, one.tags) for one in found.images] == [("server.amd64", ("13.2",))]


def make_compose(tmp_path: Path, status: str) -> ComposeDirectory:
    compose = ComposeDirectory(tmp_path / "server-13-20261127.0")
    for name in ("logs", "compose/server/amd64/oci"):
        (compose.path / name).mkdir(parents=True)
    (compose.path / "COMPOSE_ID").write_text("server-13-20261127.0\n")
    (compose.path / "STATUS").write_text(f"{status}\n")
    compose.manifest_path.write_text(json.dumps({"manifest": {"compose": {"suite": "trixie"}}}))
    where = "compose/server/amd64"
    index = {"manifests": [{"digest": "sha256:0", "annotations": {"org.opencontainers.image.ref.name": "13.2"}}]}
    (compose.path / where / "oci/index.json").write_text(json.dumps(index))
    commit = {"commit": "b" * 64, "ref": REF, "version": "13.2", "repo": f"{where}/ostree/repo", "key": None}
    values = [("commit.server.amd64", commit | {"commit": "a" * 64}), ("commit.server.amd64", commit)]
    values.append(("container.server.amd64", {"digest": "sha256:0", "path": f"{where}/oci"}))
    lines = [
        {"n": n, "at": "x", "type": "task.finished", "task": task, "identity": "i", "seconds": 1, "files": [],
         "result": {"value": value}}
        for n, (task, value) in enumerate(values, start=1)
    ]  # fmt: skip
    compose.journal_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return compose
