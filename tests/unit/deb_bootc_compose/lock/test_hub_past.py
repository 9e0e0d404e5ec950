"""The hub's suite as of an event: by the manifest, and by the name that a lock has for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from deb_bootc_compose import hub_past, past
from deb_bootc_compose.compose import Options
from deb_bootc_compose.embedded import HubAddress
from deb_bootc_compose.manifest import Manifest, load_manifest
from deb_bootc_compose.plan import make_nodes
from debcore.errors import ConfigError, Failure, HostFailed
from debcore.http import HttpFailure
from debcore.hub import repo_client
from debcore.hub.model import Suite
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import Snapshot, SnapshotAsk

URL = "http://127.0.0.1:1"
TOP = """\
schema: deb-bootc-compose/1
release: {name: Example, short: Example, version: "13"}
suite: trixie
variants: {server: {arches: [amd64], ref: example/server}}
"""


class FakeHub(RepoClient):
    """A hub whose suite changed last at event 7; its signer is as fast as *looks* says."""

    looks = 0

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def suite(self, name: str) -> Suite:
        assert name == "site"
        return Suite(name=name, apt_uri=f"{URL}/apt", key="key", event=9, generation=3, arches=("amd64",))

    def _snapshot(self, *, live: bool) -> Snapshot:
        when = datetime(2026, 11, 1, tzinfo=UTC)
        return Snapshot(name="site@7", suite="site", event=7, at=when, live=live, apt_uri=f"{URL}/apt")

    def make_snapshot(self, suite: str, ask: SnapshotAsk) -> Snapshot:
        assert suite == "site"
        if ask.event is None or ask.event < 7:
            raise HttpFailure(404, "suite site held nothing then")
        return self._snapshot(live=not self.looks)

    def snapshots(self, suite: str) -> list[Snapshot]:
        type(self).looks -= 1
        return [self._snapshot(live=not self.looks)]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> HubAddress:
    monkeypatch.setattr(hub_past, "RepoClient", FakeHub)
    monkeypatch.setattr(repo_client, "LOOK", 0.0)
    monkeypatch.setattr(FakeHub, "looks", 0)
    return HubAddress(URL, None, None)


def test_as_it_is_and_as_it_was(hub: HubAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_past.find_suite(hub, "site").name == "site"
    found = hub_past.find_suite(hub, "site", 8)
    assert (found.name, found.event, found.key, found.apt_uri) == ("site@7", 7, "key", f"{URL}/apt")
    assert hub_past.find_suite(hub, "site@7") == found, "a lock names it so"
    monkeypatch.setattr(FakeHub, "looks", 3)
    assert hub_past.find_suite(hub, "site", 8) == found


def test_what_the_hub_does_not_have(hub: HubAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="the hub has no site as of event 3: suite site held nothing then") as caught:
        hub_past.find_suite(hub, "site", 3)
    assert "suite history site" in caught.value.hint
    monkeypatch.setattr(repo_client, "SIGNED_WITHIN", 0.0)
    monkeypatch.setattr(FakeHub, "looks", 3)
    with pytest.raises(HostFailed, match="site@7 was not signed"):
        hub_past.find_suite(hub, "site", 8)


def load(directory: Path, text: str) -> Manifest:
    (directory / "compose.yaml").write_text(TOP + text)
    return load_manifest(directory)


def test_an_event_is_of_a_suite_and_of_the_past(tmp_path: Path) -> None:
    told = load(tmp_path, "hub: {target: site, event: 8}\n")
    past.check(told)
    (lock,) = make_nodes(told, Options(until="lock"), {})
    assert (lock.params["suite_name"], lock.params["hub_event"]) == ("site", 8)
    (lock,) = make_nodes(load(tmp_path, "hub: {target: site}\n"), Options(until="lock"), {})
    assert "hub_event" not in lock.params
    with pytest.raises(ConfigError, match=r"compose\.yaml:5.*event 8, and no `target` names a suite"):
        past.check(load(tmp_path, "hub: {event: 8}\n"))
    built = "hub: {target: site, event: 8}\nbuilds: [{archive: hello, suffix: +x1}]\n"
    with pytest.raises(ConfigError, match=r"compose\.yaml:5.*event 8, and `builds` are of later ones"):
        past.check(load(tmp_path, built))
    with pytest.raises(ConfigError, match=r"compose\.yaml:5.*hub\.event"):
        load(tmp_path, "hub: {target: site, event: newest}\n")
