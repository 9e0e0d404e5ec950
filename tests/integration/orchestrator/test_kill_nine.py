"""Hubs and agents killed at random while a queue is worked off: each build has one accepted result, nothing is lost."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from debcore.hub.model import BuildState
from tests.integration.orchestrator.stack import Stack, Started, admin_of, ask, client_of, pick_port, wait_for
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

SOURCES = [f"slow{n}" for n in range(8)]
KILLS = 6


def test_a_queue_is_worked_off_whatever_dies(stack: Stack, tmp_path: Path) -> None:
    chance = random.Random(20261122)
    place = tmp_path / "hub"
    port = pick_port()
    hub, told = stack.start_ready("hub", "--state", place, "--port", port)

    def start_agent(name: str) -> Started:
        words = ("agent", "--hub", told["url"], "--state", tmp_path / name, "--name", name, "--slots", "2")
        return stack.start(*words)

    running = {name: start_agent(name) for name in ("one", "two")}
    stack.start("signer", "--hub", told["url"], "--state", tmp_path / "pen", "--name", "pen")
    with admin_of(told) as admin:
        wait_for(lambda: len(admin.agents()) == 3, why="enrolment")
        for name in ("one", "two", "pen"):
            admin.approve(name)
    with client_of(told) as client:
        client.ensure_target(SUITE, "debian-trixie")
        asked = ask(client, tmp_path, *SOURCES)
    for _ in range(KILLS):
        time.sleep(chance.uniform(1, 4))
        victim = chance.choice(["hub", "one", "two"])
        if victim == "hub":
            hub.kill()
            time.sleep(chance.uniform(0, 3))
            hub, told = stack.start_ready("hub", "--state", place, "--port", port)
        else:
            running[victim].kill()
            running[victim] = start_agent(victim)
    with client_of(told) as client:
        ready = client.wait_request(asked.id, 300)
        assert ready.state == "ready", ready.failures
        builds = [client.build(id_) for id_ in ready.builds]
        events = client.events(request=asked.id, limit=1000)
    assert {build.state for build in builds} == {BuildState.INSTALLED}
    for build in builds:
        told_of = [event for event in events if event.build == build.id]
        accepted = [event for event in told_of if event.type == "build.complete" and not event.superseded]
        assert len(accepted) == 1
        last = [event.type for event in told_of if event.attempt == accepted[0].attempt]
        assert last == ["build.requested", "environment.ready", "build.complete"]
    ledger = {tuple(line.split()[:2]) for line in stack.runs}
    assert {(build.source, str(build.arches[0].attempt)) for build in builds} <= ledger, "only what was run is accepted"
