"""A whole compose with a hub, a signer and a builder as processes, whose builder also makes the tree.

Builder and compose have stores of their own, so that what one makes is not there for the other. The same lock composed
without the farm gives the same bytes, and the hub lists the compose with links to its builds.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.lock import load_lock
from debcore.command import spawn
from debcore.hub.client import AdminClient
from debcore.hub.compose_client import ComposeClient
from debcore.hub.credential import load_token
from debcore.hub.record_client import RecordClient
from debroot.store import Store
from tests.acceptance.world import BIN, ROOT, Hub, write_package
from tests.integration.compose.world import MANIFEST, Composer, copy_base
from tests.integration.orchestrator.stack import wait_for

pytestmark = pytest.mark.root

BUILDS = """\
builds:
  - {source: compose-agent}
packages: [compose-agent]
"""
KEY = "server.amd64"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Hub]:
    """`deb-orchestrator up`: hub, signer and builder, each a process."""
    state = tmp_path / "farm"
    state.mkdir()
    ready, tell = os.pipe()
    life, hold = os.pipe()
    argv: list[str | Path] = [BIN / "deb-orchestrator", "up", "--state", state, "--port", "0"]
    argv += ["--ready-fd", str(tell), "--lifetime-fd", str(life)]
    with (state / "up.log").open("wb") as log:
        store = {"DEBOOTC_STORE": str(tmp_path / "store")}
        process = spawn(argv, stdout=log, stderr=log, pass_fds=(tell, life), extra_env=store)
    os.close(tell)
    os.close(life)
    with os.fdopen(ready) as lines:
        told = json.loads(lines.readline() or "{}")
    assert told, (state / "up.log").read_text()
    yield Hub(told["url"], Path(told["token_file"]), state, process.pid)
    os.close(hold)
    assert process.wait(timeout=300) in (0, 143), (state / "up.log").read_text()
    for entry in Store.open(tmp_path / "store").list():
        assert not entry.in_use, entry


def outputs_of(compose: ComposeDirectory) -> tuple[str, str, str]:
    """Commit, digest of the container image, hash of the raw disk."""
    results = read_results(compose.journal_path)
    (image,) = results[f"image.{KEY}"]["images"]
    return results[f"commit.{KEY}"]["commit"], results[f"container.{KEY}"]["digest"], image["sha256"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_whole_compose_on_a_farm(farm: Hub, tmp_path: Path, store_dir: Path) -> None:
    manifest = tmp_path / "manifest"
    manifest.mkdir()
    copy_base(manifest)
    (manifest / "motd").write_text(f"{secrets.token_hex(8)}\n")  # no store has this tree
    (manifest / "compose.yaml").write_text(MANIFEST + BUILDS)
    write_package(manifest, "compose-agent")
    composer = Composer(manifest, {"XDG_STATE_HOME": str(tmp_path / "state")}, patience=3000)
    words = ("--hub", farm.url, "--token-file", farm.token_file, "--json")
    done = composer.call("build", manifest, "--target", tmp_path / "out", "--farm", "amd64", *words)
    compose = ComposeDirectory(Path(json.loads(done.stdout)["path"]))
    assert compose.status() is Status.FINISHED
    token = load_token(farm.token_file)
    with RecordClient(farm.url, token) as records:
        (task,) = records.tasks(kind="task")
    assert (task.state, task.arch) == ("succeeded", "amd64")
    tree = read_results(compose.journal_path)[f"tree.{KEY}"]["id"]
    there, here = Store.open(tmp_path / "store"), Store.open(store_dir)
    assert there.find(f"tree-{tree[:24]}") is not None, "the builder made it"
    check_told(farm, token, compose)

    there.release()
    here.remove(f"tree-{tree[:24]}")
    again = composer.call(
        "build", manifest, "--target", tmp_path / "again", "--locked", compose.lock_path, *words
    )  # fmt: skip
    made_here = ComposeDirectory(Path(json.loads(again.stdout)["path"]))
    assert read_results(made_here.journal_path)[f"tree.{KEY}"]["id"] == tree
    assert outputs_of(made_here) == outputs_of(compose), "a tree of the farm is the tree that is made here"
    with RecordClient(farm.url, token) as records:
        assert len(records.tasks(kind="task")) == 1


def check_told(farm: Hub, token: str, compose: ComposeDirectory) -> None:
    """The hub's API and its pages name the compose, its images and the build of its package."""
    commit, digest, disk = outputs_of(compose)
    (package,) = load_lock(compose.lock_path).variants[KEY].hub
    with ComposeClient(farm.url, token) as client:
        (line,) = client.composes()
        assert (line.id, line.status, line.builds) == (compose.id, "FINISHED", 1)
        shown = client.compose(compose.id)
        login = client.make_login_link().url
    (image,) = shown.images
    assert (image.commit, image.digest, [one.sha256 for one in image.disks]) == (commit, digest, [disk])
    (built,) = [one for one in image.packages if one.build is not None]
    assert (built.name, built.sha256) == ("compose-agent", package.sha256)
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.post(login).status_code == 200
        listed = browser.get(urljoin(farm.url, "/composes")).text
        assert f'href="/composes/{compose.id}"' in listed
        page = browser.get(urljoin(farm.url, f"/composes/{compose.id}")).text
        assert f'href="/builds/{built.build}"' in page
        assert commit in page
        assert f'href="/composes/{compose.id}"' in browser.get(urljoin(farm.url, f"/builds/{built.build}")).text


@contextmanager
def emulating_builder(farm: Hub, state: Path, store: Path) -> Iterator[str]:
    """One more builder, whose host is amd64 and runs arm64's programs in QEMU; it is named."""
    state.mkdir()
    argv: list[str | Path] = [BIN / "deb-orchestrator", "agent", "--hub", farm.url, "--name", "emulator"]
    argv += ["--emulate", "arm64", "--no-idle-updates", "--state", state]
    with (state / "agent.log").open("wb") as log:
        process = spawn(argv, stdout=log, stderr=log, extra_env={"DEBOOTC_STORE": str(store)})
    try:
        with AdminClient(farm.url, load_token(farm.token_file)) as admin:
            wait_for(lambda: any(one.name == "emulator" for one in admin.agents()), why="the builder at the hub")
            admin.approve("emulator")
        yield "emulator"
    finally:
        process.terminate()
        assert process.wait(timeout=300) in (0, 143), (state / "agent.log").read_text()


def images_of(compose: ComposeDirectory) -> dict[str, tuple[str, str, str]]:
    """Architecture → tree, commit and digest of the container image."""
    told = read_results(compose.journal_path)
    return {
        arch: (
            told[f"tree.minimal.{arch}"]["id"], told[f"commit.minimal.{arch}"]["commit"],
            told[f"container.minimal.{arch}"]["digest"],
        )
        for arch in ("amd64", "arm64")
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_tree_of_arm64_is_made_by_a_builder_that_emulates_it(farm: Hub, tmp_path: Path, store_dir: Path) -> None:
    """amd64's tree is made here, arm64's through the hub; then both here, by the same lock, with the same bytes."""
    manifest = tmp_path / "minimal"
    shutil.copytree(ROOT / "examples/minimal", manifest)
    text = (manifest / "compose.yaml").read_text().replace("arches: [amd64]", "arches: [amd64, arm64]")
    (manifest / "compose.yaml").write_text(text)
    with (manifest / "files/80-ether.network").open("a") as file:
        file.write(f"# {secrets.token_hex(8)}\n")  # no store has these trees
    composer = Composer(manifest, {"XDG_STATE_HOME": str(tmp_path / "state")}, patience=7000)
    words = ("--hub", farm.url, "--token-file", farm.token_file, "--until", "container", "--json")
    own = {"DEBOOTC_STORE": str(tmp_path / "own")}
    with emulating_builder(farm, tmp_path / "agent", store_dir) as name:
        done = composer.call(
            "build", manifest, "--target", tmp_path / "out", "--farm", "arm64", *words, env=own
        )  # fmt: skip
    compose = ComposeDirectory(Path(json.loads(done.stdout)["path"]))
    with RecordClient(farm.url, load_token(farm.token_file)) as records:
        (task,) = records.tasks(kind="task")
    assert (task.state, task.arch, task.agent) == ("succeeded", "arm64", name)
    made = images_of(compose)
    here = Store.open(store_dir)
    assert here.find(f"tree-{made['amd64'][0][:24]}") is None, "the builder made arm64's alone"
    here.remove(f"tree-{made['arm64'][0][:24]}")
    again = composer.call("build", manifest, "--target", tmp_path / "again", "--locked", compose.lock_path, *words)
    assert images_of(ComposeDirectory(Path(json.loads(again.stdout)["path"]))) == made
    with RecordClient(farm.url, load_token(farm.token_file)) as records:
        assert len(records.tasks(kind="task")) == 1
    for tree, _, _ in made.values():
        here.remove(f"tree-{tree[:24]}")
