"""Hub, signer and agent as processes; only deb-mock is a stand-in. What is killed loses nothing and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from debcore.http import HttpFailure
from debcore.hub.client import HubClient, JobClient
from debcore.hub.credential import load_credential, load_token
from debcore.hub.model import BuildState, ClaimAsk, Event
from tests.integration.orchestrator.stack import (
    Stack,
    admin_of,
    alive,
    ask,
    client_of,
    pick_port,
    processes_of,
    wait_for,
)
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

MESSAGES = ("packages.needed", "build.requested", "environment.ready", "build.complete", "packages.ready")


def messages(client: HubClient, request: str) -> list[Event]:
    return [event for event in client.events(request=request) if event.type in MESSAGES]


def test_up_builds_in_order_publishes_and_stops_cleanly(stack: Stack, tmp_path: Path) -> None:
    state = tmp_path / "state"
    up, told = stack.start_ready("up", "--state", state)
    assert stat.S_IMODE(Path(told["token_file"]).stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "client.json").stat().st_mode) == 0o600
    assert load_credential(state / "client.json").url == told["url"]
    assert "/login/" in up.text
    with client_of(told) as client:
        asked = ask(client, tmp_path, "liba", "app", depends={"app": "liba"})
        ready = client.wait_request(asked.id, 180)
        assert ready.state == "ready", ready.failures
        builds = {build.source: build for build in map(client.build, ready.builds)}
        assert {build.state for build in builds.values()} == {BuildState.INSTALLED}
        assert [run.split()[0] for run in stack.runs] == ["liba", "app"]
        log, complete = client.log(builds["app"].id, "amd64")
        assert complete
        assert f"from {told['url']}/apt {SUITE}".encode() in log, "later builds see what earlier ones made"
        for build in builds.values():
            own = [e.type for e in messages(client, asked.id) if e.build == build.id]
            assert own == ["build.requested", "environment.ready", "build.complete"]
        assert messages(client, asked.id)[-1].n == ready.event
        with client.http.stream("GET", "/api/v1/events/stream?after=0") as chunks:
            assert next(chunks).startswith(b"id: 1\nevent: agent.enrolled\n")
        suite = client.suite(SUITE)
        packages = client.http.call("GET", f"/apt/dists/{SUITE}/main/binary-amd64/Packages.gz")
        assert (packages.code, suite.key[:27]) == (200, "-----BEGIN PGP PUBLIC KEY B")
    second = stack.start("up", "--state", state)
    assert second.process.wait(120) == 3
    assert "already" in second.text
    assert up.stop() == 143
    assert "Traceback" not in up.text
    wait_for(lambda: not processes_of(state), why="the end of all")


def test_what_is_built_stays_and_up_starts_again(stack: Stack, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first, told = stack.start_ready("up", "--state", state)
    with client_of(told) as client:
        asked = ask(client, tmp_path, "hello")
        assert client.wait_request(asked.id, 180).state == "ready"
    token = load_token(Path(told["token_file"]))
    first.stop()
    _, told = stack.start_ready("up", "--state", state)
    assert load_token(Path(told["token_file"])) == token, "second terminals keep working"
    with client_of(told) as client:
        assert ask(client, tmp_path, "hello").state == "ready"
        other = ask(client, tmp_path, "broken-one", "thief")
        failed = client.wait_request(other.id, 180)
        reasons = {one.source: (one.status, one.reason) for one in failed.failures}
        assert reasons["broken-one"] == ("failed", "main.c:1: error: no")
        assert reasons["thief"][0] == "refused"
        assert client.events(request=other.id)[-1].type == "packages.failed"


def test_killing_up_kills_all_it_started(stack: Stack, tmp_path: Path) -> None:
    state = tmp_path / "state"
    up, told = stack.start_ready("up", "--state", state)
    with client_of(told) as client:
        ask(client, tmp_path, "sleepy")
        wait_for(lambda: bool(stack.runs), why="the build's start")
    tree = processes_of(state)
    assert len(tree) >= 4, "up, signer, agent, build"
    up.kill()
    wait_for(lambda: not processes_of(state), why="the end of the tree")


def test_a_closed_lifetime_is_a_good_end(stack: Stack, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    ready, tell = os.pipe()
    words = ["up", "--state", str(tmp_path / "state"), "--lifetime-fd", str(reader), "--ready-fd", str(tell)]
    up = stack.start(*words, pass_fds=(reader, tell))
    os.close(reader)
    os.close(tell)
    with os.fdopen(ready) as pipe:
        assert json.loads(pipe.readline())["url"]
    os.close(writer)
    assert up.process.wait(120) == 0, up.text
    wait_for(lambda: not processes_of(tmp_path / "state"), why="the end of all")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_ended_agent_ends_its_build_and_the_next_attempt_succeeds(
    stack: Stack, tmp_path: Path, how: signal.Signals
) -> None:
    state = tmp_path / "state"
    _, told = stack.start_ready("up", "--state", state)
    with client_of(told) as client:
        asked = ask(client, tmp_path, "sleepy")
        wait_for(lambda: bool(stack.runs), why="the build's start")
        build = int(stack.runs[0].split()[2])
        (agent,) = [pid for pid in processes_of(state / "agent") if b"--slots" in cmdline(pid)]
        os.kill(agent, how)
        wait_for(lambda: not alive(build), why="the build's end")
        ready = client.wait_request(asked.id, 180)
        assert ready.state == "ready", ready.failures
        told_ready = [event for event in messages(client, asked.id) if event.type == "environment.ready"]
        assert [event.attempt for event in told_ready] == [2]
        assert [e.attempt for e in messages(client, asked.id) if e.type == "build.requested"] == [1, 2]
        first = next(e for e in messages(client, asked.id) if e.type == "build.requested")
        assert first.superseded


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_cancelled_build_is_stopped(stack: Stack, tmp_path: Path) -> None:
    _, told = stack.start_ready("up", "--state", tmp_path / "state")
    with client_of(told) as client:
        asked = ask(client, tmp_path, "sleepy")
        wait_for(lambda: bool(stack.runs), why="the build's start")
        pid = int(stack.runs[0].split()[2])
        assert client.cancel(asked.builds[0]).state is BuildState.CANCELLED
        assert client.wait_request(asked.id, 180).state == "failed"
        wait_for(lambda: not alive(pid), why="the build's end")
        wait_for(lambda: client.build(asked.builds[0]).arches[0].ended_at is not None, why="the agent's report")


def test_a_hub_and_an_agent_killed_while_a_result_waits_cost_nothing(stack: Stack, tmp_path: Path) -> None:
    place = tmp_path / "hub"
    port = pick_port()
    hub, told = stack.start_ready("hub", "--state", place, "--port", port)
    words = ("agent", "--hub", told["url"], "--state", tmp_path / "agent", "--name", "one")
    agent = stack.start(*words)
    signer = stack.start("signer", "--hub", told["url"], "--state", tmp_path / "signer", "--name", "pen")
    with admin_of(told) as admin:
        wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
        assert {one.state for one in admin.agents()} == {"pending"}
        for one in admin.agents():
            admin.approve(one.name)
    with client_of(told) as client:
        client.ensure_target(SUITE, "debian-trixie")
        asked = ask(client, tmp_path, "slow")
        wait_for(lambda: bool(stack.runs), why="the build's start")
    hub.kill()
    spool = tmp_path / "agent/spool"
    wait_for(lambda: bool(list(spool.glob("*/job/result.json"))), why="the result")
    agent.kill()
    hub, told = stack.start_ready("hub", "--state", place, "--port", port)
    agent = stack.start(*words)
    with client_of(told) as client:
        ready = client.wait_request(asked.id, 180)
        assert ready.state == "ready", (ready.failures, agent.text, signer.text)
        assert client.build(ready.builds[0]).arches[0].attempt == 1
    assert len(stack.runs) == 1, "built once"
    wait_for(lambda: not list(spool.iterdir()), why="an empty spool")
    assert agent.stop() == 143


def test_a_wrong_and_a_revoked_agent_are_shut_out(stack: Stack, tmp_path: Path) -> None:
    _, told = stack.start_ready("up", "--state", tmp_path / "state")
    with JobClient(told["url"], "x" * 43) as stranger, pytest.raises(HttpFailure) as refused:
        stranger.claim(ClaimAsk(claim_id="0123456789"))
    assert refused.value.code == 401
    agent = stack.start("agent", "--hub", told["url"], "--state", tmp_path / "other", "--name", "other")
    with admin_of(told) as admin:
        wait_for(lambda: any(one.name == "other" for one in admin.agents()), why="enrolment")
        admin.approve("other")
        wait_for(lambda: any(one.seen_at for one in admin.agents() if one.name == "other"), why="a claim")
        admin.revoke("other")
    assert agent.process.wait(180) == 3
    assert "revoked" in agent.text
