"""A hub as a place where rebuild finds packages: a real one with its signer, whose suite has moved on since."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deb_mock.hub import HubPlace, fetch_hub_source
from deb_mock.source import ArchiveSource
from debcore.hub.credential import load_token
from debcore.hub.suite_client import SuiteClient
from debcore.job import load_lock
from debroot.store import Package, Store
from tests.integration.orchestrator.stack import Stack, ask, client_of, wait_for
from tests.unit.orchestrator.services.farm import SUITE

from .conftest import Built, Tool, make_native
from .test_mock_rebuild import forget, rebuild

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Moved:
    """A build against a suite of the hub that has lost the package since."""

    told: dict[str, str]  #: what the hub said when it was ready
    built: Built
    helper: Package
    store: Store

    @property
    def env(self) -> dict[str, str]:
        return {"DEBOOTC_TOKEN_FILE": self.told["token_file"]}


def forget_address(store: Store, package: Package) -> None:
    """As another host that never built with it: a hub's pool still has the file, at an address that this one knows."""
    forget(store, package)
    for note in (store.path / "resolved").iterdir():
        if note.is_file() and package.sha256.encode() in note.read_bytes():
            note.unlink()


@pytest.fixture
def moved(tool: Tool, store_dir: Path, tmp_path: Path) -> Iterator[Moved]:
    (tmp_path / "farm").mkdir()
    stack = Stack(tmp_path / "farm")
    name = f"helper{secrets.token_hex(6)}"  # no other run's: a .buildinfo knows names and versions alone
    store = Store.open(store_dir)
    try:
        _, told = stack.start_ready("up", "--state", tmp_path / "farm/state")
        with client_of(told) as client:
            ready = client.wait_request(ask(client, tmp_path, name).id, 120)
            assert ready.state == "ready", ready.failures
            suite = client.suite(SUITE)
        (tmp_path / "suite.asc").write_text(suite.key)
        extra = f'[{{uris=["{suite.apt_uri}"], suites=["{SUITE}"], signed_by="{tmp_path}/suite.asc"}}]'
        tree = make_native(tmp_path, name="dependent", build=f"dpkg -s {name}", fields=[f"Build-Depends: {name}"])
        built = tool.build(tree, tmp_path / "first", "--build=full", "--set", f"archive.extra={extra}")
        assert built.status == 0, built.said + built.log[-2000:]
        assert f"{name} (= 1.0)" in next(built.directory.glob("*.buildinfo")).read_text()
        locked = next(p for p in load_lock(built.directory / "lock.json").packages if p.name == name)
        helper = Package(name=name, version="1.0", arch=locked.arch, sha256=locked.sha256, size=locked.size)
        with SuiteClient(told["url"], load_token(Path(told["token_file"]))) as client:
            event = client.remove_package(SUITE, name)
            wait_for(lambda: client.suite(SUITE).event >= event, timeout=120, why="the suite without the package")
        forget_address(store, helper)
        yield Moved(told, built, helper, store)
        forget_address(store, helper)
    finally:
        stack.end()


@pytest.mark.slow  # hub, signer and agent as processes, three builds
def test_a_hub_gives_what_its_suite_held(
    tool: Tool, moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not without being asked; then signed, from the suite as it was; then for a lock, by hash; and the source."""
    status, said, report = rebuild(tool, moved.built, tmp_path / "nowhere")
    assert (status, report) == (5, {}), said
    assert f"{moved.helper.name} 1.0" in said
    buildinfo = next(moved.built.directory.glob("*.buildinfo"))
    place = f"hub+{moved.told['url']}"
    words = ("--snapshot", place, "--set", "archive.max_age=1h")
    done = tool.run("rebuild", buildinfo, "--resultdir", tmp_path / "again", *words, env=moved.env)
    assert done.status == 0, done.stderr.decode()
    report = json.loads((tmp_path / "again/rebuild.json").read_text())
    assert set(report["artifacts"].values()) == {"equal"}
    places = [where for where in report["root"] if where.startswith(f"hub {moved.told['url']}, {SUITE}@")]
    assert [report["root"][where] for where in places] == [1]
    assert places[0].endswith("(signed)")
    forget_address(moved.store, moved.helper)
    lock = ("--locked", str(moved.built.directory / "lock.json"), "--set", f"archive.snapshots={place}#{SUITE}")
    dsc = next(moved.built.directory.glob("*.dsc"))
    locked = tool.build(dsc, tmp_path / "locked", *lock, env=moved.env)
    assert locked.status == 0, locked.said
    assert locked.debs() == {name: moved.built.debs()[name] for name in locked.debs()} != {}
    monkeypatch.setenv("DEBOOTC_HUB", moved.told["url"])
    monkeypatch.setenv("DEBOOTC_TOKEN_FILE", moved.told["token_file"])
    (tmp_path / "source").mkdir()
    wanted = ArchiveSource(moved.helper.name, "1.0")
    dsc = fetch_hub_source(moved.store, HubPlace(None, SUITE), wanted, tmp_path / "source")
    assert dsc.read_bytes() == (tmp_path / dsc.name).read_bytes()  # what was sent to the hub
    assert (tmp_path / "source" / f"{moved.helper.name}_1.0.tar.xz").read_bytes() == moved.helper.name.encode()
