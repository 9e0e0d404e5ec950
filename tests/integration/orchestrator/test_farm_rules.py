"""The farm's rules through hub, agent and verbs, as processes; only deb-mock is a stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from debcore.hub.model import BuildState
from tests.integration.orchestrator.stack import Stack, ask, client_of, wait_for
from tests.integration.orchestrator.test_farm_checks import Verb, told, verb
from tests.unit.orchestrator.services.farm import SUITE

__all__ = ["told", "verb"]
pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


def hosts(verb: Verb) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(verb("list-hosts", "--json"))}


def test_hosts_are_listed_disabled_and_enabled(told: dict[str, str], verb: Verb, tmp_path: Path) -> None:
    local = hosts(verb)["local"]
    assert local["memory_mb"] > 100
    assert local["disk_mb"] > 0
    assert (local["slots"], local["disabled"]) == (1, None)
    assert verb("disable-host", "local", "--reason", "new disk") == "local is disabled\n"
    assert "\nlocal  disabled" in f"\n{verb('list-hosts', '--disabled')}"
    with client_of(told) as client:
        asked = ask(client, tmp_path, "hello")
        (build,) = asked.builds
        assert "local is disabled: new disk" in verb("why", str(build))
        assert verb("host", "maintenance", "on", "--reason", "kernels") == "maintenance: kernels\n"
        assert verb("enable-host", "local") == "local is enabled\n"
        assert "the farm is under maintenance: kernels" in verb("why", str(build))
        assert verb("host", "trust", "default", "5") == "maintenance: kernels\npool default: trust 5\n"
        assert "trust 5" in verb("host", "show", "local")
        assert verb("host", "maintenance", "off").startswith("no maintenance\n")
        assert client.wait_request(asked.id, 180).state == "ready"
        verb("target", "requires", SUITE, "--memory", "999999999")
        other = ask(client, tmp_path, "world")
        assert "of memory, and 999999999 MB are needed" in verb("why", str(other.builds[0]))
        verb("cancel", str(other.builds[0]))
    assert "memory_mb" in verb("target", "requires", SUITE)


@pytest.mark.slow
def test_a_mass_rebuild_gives_its_builder_to_one_build(
    told: dict[str, str], verb: Verb, stack: Stack, tmp_path: Path
) -> None:
    """One slot, and eleven builds of five minutes each. No time is asserted here: the rows say what it took."""
    with client_of(told) as client:
        mass = ask(client, tmp_path, *(f"sleepy{n}" for n in range(11)))
        wait_for(lambda: len(stack.runs) == 1, why="the first of the mass rebuild")
        (build,) = ask(client, tmp_path, "hello").builds
        wait_for(lambda: client.build(build).state == BuildState.INSTALLED, timeout=240, why="the interactive build")
        first = stack.runs[0].split()[0]
        given_back = next(one for one in map(client.build, mass.builds) if one.source == first)
        said = verb("why", str(given_back.id))
        assert "which is more urgent, waits for a builder" in said
        assert "given-back: it makes room for a more urgent job" in said
        assert [line.split()[0] for line in stack.runs][:2] == [first, "hello"]
        client.cancel_request(mass.id)
