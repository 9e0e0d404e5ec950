"""Hubs that stream their events, and nats-server, are killed with SIGKILL: the stream is the event log all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from debcore.hub.client import HubClient
from tests.contract.hub.nats_server import NatsServer, count_stream, read_stream, running_nats
from tests.contract.orchestrator.postgres import running_server
from tests.integration.orchestrator.stack import Stack, Started, client_of, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with running_nats(tmp_path / "nats") as server:
        yield server


@pytest.mark.parametrize("database", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def test_kill_nine_of_hubs_and_of_the_server(stack: Stack, server: NatsServer, tmp_path: Path, database: str) -> None:
    with ExitStack() as after:
        words: list[str | Path] = ["--port", "0", "--nats", server.url, "--nats-stream", "farm"]
        if database == "postgresql":
            url = after.enter_context(running_server()).make_database()
            words += ["--database", url, "--blobs", tmp_path / "blobs"]
        after.callback(stack.end)

        def start_hub(name: str) -> tuple[Started, HubClient]:
            started, told = stack.start_ready("hub", "--state", tmp_path / name, *words)
            return started, after.enter_context(client_of(told))

        one, client = start_hub("one")
        other = start_hub("two")[1] if database == "postgresql" else None
        made = 0
        for kill in ("nothing", "server", "hub"):
            for _ in range(5):
                client.ensure_target(f"t{made}", "debian-trixie")
                made += 1
            if "hub" in kill:
                one.kill()
            if "server" in kill:
                server.kill()
            if other is not None:
                other.ensure_target(f"t{made}", "debian-trixie")
                made += 1
            if "server" in kill:
                server.start()
            if "hub" in kill:
                one, client = start_hub("one")
            elif kill == "nothing":
                wait_for(lambda: count_stream(server.url, "farm") > 0, why="a stream")
        events = client.events(limit=1000)
        assert sum(event.type == "target.made" for event in events) == made
        wait_for(lambda: count_stream(server.url, "farm") == len(client.events(limit=1000)), why="the whole stream")
        heard = read_stream(server.url, "farm")
        events = client.events(limit=1000)
    bodies = [json.loads(one.body) for one in heard]
    assert [(one.n, one.id, body["id"]) for one, body in zip(heard, bodies, strict=True)] == [
        (event.n, str(event.n), str(event.n)) for event in events
    ]
    assert [body["data"]["details"] for body in bodies] == [event.data for event in events]
    assert [one.subject for one in heard] == [f"farm.deb-orchestrator.{event.type}" for event in events]
    assert len({body["source"] for body in bodies}) == 1, "though the hubs have URLs of their own"
