"""Two hubs on one PostgreSQL: what one is asked, the other's agent builds; one dies and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from debcore.hub.model import Agent
from tests.contract.orchestrator.postgres import running_server
from tests.integration.orchestrator.stack import Stack, admin_of, ask, client_of, wait_for
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


def test_two_hubs_share_the_work_and_one_may_die(stack: Stack, tmp_path: Path) -> None:
    with running_server() as server:
        database = server.make_database()
        common = ("--database", database, "--blobs", tmp_path / "blobs", "--port", "0")
        one, told_one = stack.start_ready("hub", "--state", tmp_path / "one", *common)
        _, told_two = stack.start_ready("hub", "--state", tmp_path / "two", *common)
        agent = stack.start("agent", "--hub", told_two["url"], "--state", tmp_path / "agent", "--name", "a")
        stack.start("signer", "--hub", told_two["url"], "--state", tmp_path / "pen", "--name", "pen")
        with admin_of(told_one) as admin:
            wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
            for name in ("a", "pen"):
                admin.approve(name)
        with client_of(told_one) as client:
            client.ensure_target(SUITE, "debian-trixie")
            wait_for(lambda: client.suite(SUITE).generation > 0, why="the first generation")
            wait_for(lambda: any(a.seen_at for a in admin_agents(told_two) if a.name == "a"), why="a parked claim")
            asked = ask(client, tmp_path, "slow")
            wait_for(lambda: bool(stack.runs), why="the build's start")
        one.kill()
        with client_of(told_two) as client:
            ready = client.wait_request(asked.id, 180)
            assert ready.state == "ready", (ready.failures, agent.text)
            assert [event.n for event in client.events()] == list(range(1, len(client.events()) + 1))
        assert len(stack.runs) == 1
        stack.end()


def admin_agents(told: dict[str, str]) -> list[Agent]:
    with admin_of(told) as admin:
        return admin.agents()
