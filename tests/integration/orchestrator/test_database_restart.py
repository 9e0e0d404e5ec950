"""PostgreSQL is shut down at once while two hubs, an agent and a signer work, twice: all go on, each job ends once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from debcore.hub.model import BuildState
from tests.contract.orchestrator.postgres import running_server
from tests.integration.orchestrator.stack import Stack, admin_of, ask, client_of, wait_for
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

SOURCES = ("slow0", "slow1", "slow2", "hello")


def test_hubs_outlive_their_database(stack: Stack, tmp_path: Path) -> None:
    with running_server() as server:
        common = ("--database", server.make_database(), "--blobs", tmp_path / "blobs", "--port", "0")
        hubs = [stack.start_ready("hub", "--state", tmp_path / name, *common) for name in ("one", "two")]
        told = hubs[0][1]
        agent = stack.start(
            "agent", "--hub", hubs[1][1]["url"], "--state", tmp_path / "agent", "--name", "a", "--slots", "2"
        )
        signer = stack.start("signer", "--hub", told["url"], "--state", tmp_path / "pen", "--name", "pen")
        with admin_of(told) as admin:
            wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
            for name in ("a", "pen"):
                admin.approve(name)
        with client_of(told) as client:
            client.ensure_target(SUITE, "debian-trixie")
            asked = ask(client, tmp_path, *SOURCES)
            wait_for(lambda: bool(stack.runs), why="the first build's start")
            server.crash()
            server.start()
            wait_for(lambda: len(stack.runs) >= 3, why="more builds")
            server.crash()
            server.start()
            wait_for(lambda: client.request(asked.id).state != "open", why="the end of the request")
            ready = client.request(asked.id)
            assert ready.state == "ready", (ready.failures, agent.text)
            builds = [client.build(id_) for id_ in ready.builds]
            events = client.events(limit=1000)
        assert {build.state for build in builds} == {BuildState.INSTALLED}
        assert [event.n for event in events] == list(range(1, len(events) + 1))
        accepted = Counter(event.build for event in events if event.type == "build.complete" and not event.superseded)
        assert accepted == Counter(build.id for build in builds), "one accepted result of each"
        ledger = {tuple(line.split()[:2]) for line in stack.runs}
        assert {(build.source, str(build.arches[0].attempt)) for build in builds} <= ledger
        for one in (hubs[0][0], hubs[1][0], agent, signer):
            assert one.process.poll() is None, one.text
        stack.end()
