"""`deb-bootc-compose lock` of a manifest with a private suite of a hub: read with a password, which stays nowhere."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

import pytest

from deb_bootc_compose.lock import load_lock
from debcore.hub.credential import load_token
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import AptCredentialAsk
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SuiteSettings
from debroot.sources import find_host_sources
from tests.integration.compose.world import MANIFEST, Composer, copy_base
from tests.integration.deb_mock.test_mock_private import find_files_with
from tests.integration.orchestrator.stack import Stack, ask, client_of
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(1200)]


def write_sources(directory: Path, uri: str, key: str) -> str:
    """The manifest's `sources`: Debian's as this host has them, and the hub's suite."""
    listed = []
    for number, one in enumerate(find_host_sources("trixie", security=False, updates=False)):
        (directory / f"debian{number}.asc").write_text(one.signed_by or "")
        listed.append(
            {
                "name": f"debian{number}",
                "uris": one.uris,
                "suites": one.suites,
                "components": one.components,
                "signed-by": f"debian{number}.asc",
            }
        )
    (directory / "hub.asc").write_text(key)
    listed.append({"name": "hub", "uris": [uri], "suites": [SUITE], "components": ["main"], "signed-by": "hub.asc"})
    return "".join(f"  - {json.dumps(one)}\n" for one in listed)


def test_a_lock_of_a_private_suite(store_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "farm").mkdir()
    started = time.time() - 1
    stack, name = Stack(tmp_path / "farm"), f"private{secrets.token_hex(6)}"
    manifest = tmp_path / "manifest"
    manifest.mkdir()
    copy_base(manifest)
    (manifest / "motd").write_text("Made by a test.\n")
    composer = Composer(manifest, {"XDG_STATE_HOME": str(tmp_path / "compose-state")})
    try:
        _, told = stack.start_ready("up", "--state", tmp_path / "farm/state")
        token = load_token(Path(told["token_file"]))
        with client_of(told) as client, RepoClient(told["url"], token) as repo, DoorClient(told["url"], token) as door:
            repo.set_settings(SUITE, SuiteSettings(private=True))
            ready = client.wait_request(ask(client, tmp_path, name).id, 240)
            assert ready.state == "ready", ready.failures
            suite = client.suite(SUITE)
            secret = door.add_credential(SUITE, AptCredentialAsk(name="composer")).secret
        assert secret is not None
        (tmp_path / "auth.conf").write_text(f"machine {suite.apt_uri}/ login composer password {secret}\n")
        sources = write_sources(manifest, suite.apt_uri, suite.key)
        composer.write(f"{MANIFEST}security: none\nupdates: false\nsources:\n{sources}packages: [{name}]\n")
        refused = composer.refuse("lock", manifest, "-o", tmp_path / "lock.json")
        assert "DEBOOTC_APT_AUTH" in refused.output
        assert not (tmp_path / "lock.json").exists()
        env = {"DEBOOTC_APT_AUTH": str(tmp_path / "auth.conf")}
        composer.call("lock", manifest, "-o", tmp_path / "lock.json", env=env)
    finally:
        stack.end()
    variant = load_lock(tmp_path / "lock.json").variants["server.amd64"]
    (locked,) = (package for package in variant.installed.values() if package.name == name)
    assert locked.version == "1.0"
    assert len(variant.installed) > 100
    places = (tmp_path / "compose-state", manifest, store_dir)
    assert find_files_with(secret, *places, since=started) == []
    assert secret not in (tmp_path / "lock.json").read_text()
