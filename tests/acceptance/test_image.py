"""From a manifest to an image that boots: the three programs, the five messages, on real packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from debcore.hub.model import Event
from tests.acceptance.world import ROOT, Hub, Tool

pytestmark = pytest.mark.root

BETWEEN = ["build.requested", "environment.ready", "build.complete"]


def test_the_example_becomes_an_image_that_boots(hub: Hub, tool: Tool, tmp_path: Path) -> None:
    with hub.client() as client:
        before = max((event.n for event in client.events(limit=500)), default=0)
    options: list[str | Path] = ["--hub", hub.url, "--token-file", hub.token_file, "--target", tmp_path, "--json"]
    summary = json.loads(tool("deb-bootc-compose", "build", ROOT / "examples/server", *options))
    assert summary["status"] == "FINISHED"
    compose = Path(summary["path"])
    assert (compose / "STATUS").read_text().strip() == "FINISHED"

    boot = summary["outputs"]["boot.server.amd64"]
    assert boot["packages"] == {"debootc-motd": "1.0", "hostname": "3.25+debootc1"}
    assert boot["state"] == "running"

    assert summary["outputs"]["update.server.amd64"] == {
        "applicable": False, "reason": "not applicable: first compose",
    }  # fmt: skip

    with hub.client() as client:
        events = client.events(before, limit=500)
    check_messages(events, sources={"debootc-motd", "hostname"})

    debs = json.loads((compose / "compose/metadata/debs.json").read_text())
    assert "3.25+debootc1" in json.dumps(debs)
    assert (compose / "lock.json").stat().st_size > 0
    assert tool("deb-bootc-compose", "status", compose, "--json")


def check_messages(events: list[Event], *, sources: set[str]) -> None:
    """1 first, 5 last, and 2, 3, 4 in order for each build between them."""
    (needed,) = [event for event in events if event.type == "packages.needed"]
    (ready,) = [event for event in events if event.type == "packages.ready"]
    assert {package["source"] for package in needed.data["packages"]} == sources
    mine = [event for event in events if event.request == needed.request]
    assert mine[0].n == needed.n
    assert mine[-1].n == ready.n
    builds = {event.build for event in mine if event.build is not None}
    assert len(builds) == len(sources)
    for build in builds:
        messages = [event for event in mine if event.build == build and event.type in BETWEEN]
        assert [event.type for event in messages] == BETWEEN
        assert {(event.arch, event.attempt) for event in messages} == {("amd64", 1)}
