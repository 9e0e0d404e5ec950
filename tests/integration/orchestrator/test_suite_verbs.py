"""The verbs of suites against a real hub over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_orchestrator.cli import group
from deb_orchestrator.hub import HubServer, Listen
from tests.contract.hub.test_suites import put
from tests.unit.orchestrator.services.farm import Farm

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

Verb = Callable[..., str]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    server = HubServer(tmp_path / "hub", Listen())
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def verb(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Runs a verb of `suite` and gives what it prints; *status* is the one that it must end with."""
    monkeypatch.setenv("DEBOOTC_HUB", server.url)
    monkeypatch.setenv("DEBOOTC_TOKEN_FILE", str(server.write_credential(tmp_path / "client.json")))

    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(group, ["suite", *words])
        assert (done.exception is not None) == fails, done.output
        return done.output if not fails else str(done.exception)

    return run


def test_the_life_of_a_side_suite(server: HubServer, verb: Verb) -> None:
    farm = Farm.open(server.hub.db, server.hub.state)
    assert verb("make", "base") == "suite base\n"
    verb("make", "side", "--parent", "base")
    assert verb("inherit", "side") == "side → base\n"
    assert "suites cannot inherit in a loop: base → side → base" in verb("inherit", "base", "side", fails=True)
    first = put(farm, "base", "hello", "1")
    second = put(farm, "side", "hello", "2")
    rows = [line.split() for line in verb("content", "side").splitlines()]
    assert rows[1:] == [["hello", "2", "amd64", "hello", "side"], ["hello", "2", "source", "hello", "side"]]
    assert ["hello", "1", "source", "hello", "base"] in [
        line.split() for line in verb("content", "side", "--at", str(first)).splitlines()
    ]
    assert verb("diff", "side", str(first), str(second)) == "± hello amd64 1 → 2\n± hello source 1 → 2\n"
    assert verb("add", "base", "hello", "--from", "side").startswith("as of event ")
    verb("block", "side", "*")
    assert verb("rules", "side").splitlines()[1].split() == ["*", "blocked", "side"]
    assert verb("content", "side").splitlines()[1:] == []
    verb("allow", "side", "hello", "--owner", "me")
    assert json.loads(verb("rules", "side", "--json"))[0]["owner"] == "me"
    verb("unrule", "side", "*")
    assert "nothing is changed yet" in verb("revert", "base", str(first))
    verb("revert", "base", str(first), "--yes")
    assert verb("content", "base").splitlines()[1].split()[:2] == ["hello", "1"]
    assert verb("history", "base", "-n", "1").splitlines()[1:] == ["  ± hello amd64 2 → 1", "  ± hello source 2 → 1"]
    verb("remove", "side", "hello")
    verb("inherit", "side", "--nothing")
    assert verb("content", "side").splitlines()[1:] == []
