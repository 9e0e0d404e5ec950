"""A private suite of a real hub: builds, roots and composes read it with a password, which stays nowhere."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import pytest

from deb_bootc_compose.lock import LockedPackage
from deb_bootc_compose.sources import archive_sources
from debcore.errors import CommandFailed
from debcore.hub.credential import load_token
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import AptCredentialAsk
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SuiteSettings
from debroot.resolve import fetch, resolve
from debroot.store import Store
from tests.integration.deb_mock.conftest import Tool, make_native
from tests.integration.orchestrator.stack import Stack, ask, client_of
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


def find_files_with(word: str, *places: Path, since: float) -> list[Path]:
    """Of those that were written *since* (seconds since the epoch): a store may be older than the test, and large."""
    found = []
    for place in places:
        for directory, _, names in os.walk(place):
            paths = [Path(directory, name) for name in names]
            new = [one for one in paths if one.is_file() and not one.is_symlink() and one.stat().st_ctime >= since]
            found += [one for one in new if word.encode() in one.read_bytes()]
    return found


@pytest.mark.slow  # hub, signer and agent as processes, and a build of deb-mock
def test_builds_roots_and_locks_read_a_private_suite(
    tool: Tool, store_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "farm").mkdir()
    started = time.time() - 1
    stack = Stack(tmp_path / "farm")
    name = f"helper{secrets.token_hex(6)}"
    try:
        _, told = stack.start_ready("up", "--state", tmp_path / "farm/state")
        token = load_token(Path(told["token_file"]))
        with client_of(told) as client, RepoClient(told["url"], token) as repo, DoorClient(told["url"], token) as door:
            repo.set_settings(SUITE, SuiteSettings(private=True))
            ready = client.wait_request(ask(client, tmp_path, name).id, 120)
            assert ready.state == "ready", ready.failures
            suite = client.suite(SUITE)
            secret = door.add_credential(SUITE, AptCredentialAsk(name="builder")).secret
        assert secret is not None
        (tmp_path / "auth.conf").write_text(f"machine {suite.apt_uri}/ login builder password {secret}\n")
        (tmp_path / "suite.asc").write_text(suite.key)
        env = {"DEBOOTC_APT_AUTH": str(tmp_path / "auth.conf")}
        extra = f'[{{uris=["{suite.apt_uri}"], suites=["{SUITE}"], signed_by="{tmp_path}/suite.asc"}}]'
        tree = make_native(tmp_path, name="dependent", build=f"dpkg -s {name}", fields=[f"Build-Depends: {name}"])
        refused = tool.build(tree, tmp_path / "refused", "--build=full", "--set", f"archive.extra={extra}")
        assert refused.status != 0
        assert "DEBOOTC_APT_AUTH" in refused.said
        built = tool.build(tree, tmp_path / "built", "--build=full", "--set", f"archive.extra={extra}", env=env)
        assert built.status == 0, built.said + built.log[-2000:]
        assert f"{name} (= 1.0)" in next(built.directory.glob("*.buildinfo")).read_text()
        source = {"uris": [suite.apt_uri], "suites": [SUITE], "components": ["main"], "pin": None, "trusted": False}
        asked = {"suite": "trixie", "security": "none", "updates": False}
        private = archive_sources({**asked, "sources": [{**source, "signed-by": str(tmp_path / "suite.asc")}]})
        store = Store.open(store_dir)
        with pytest.raises(CommandFailed) as unknown:
            resolve(store, sources=private, arch="amd64", install=[name])
        assert "DEBOOTC_APT_AUTH" in unknown.value.hint
        monkeypatch.setenv("DEBOOTC_APT_AUTH", env["DEBOOTC_APT_AUTH"])
        found = resolve(store, sources=private, arch="amd64", install=[name])
        store.drop_damaged(found.packages)
        fetch(store, found.packages)
        locked = [LockedPackage.of(package) for package in found.packages]
        assert [one.name for one in locked] == [name]
        assert secret not in repr(locked)
        left = find_files_with(secret, tmp_path / "built", tmp_path / "refused", store_dir, since=started)
        assert left == [], "the password is in no result, log, lock, list or layer"
    finally:
        stack.end()
