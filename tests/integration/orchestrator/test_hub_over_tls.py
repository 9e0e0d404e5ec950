"""A hub beyond loopback: TLS or nothing; an agent in another network builds through it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from debcore.command import run, spawn
from debcore.errors import Failure
from debcore.http import Http
from tests.integration.orchestrator.stack import (
    Stack,
    Started,
    admin_of,
    ask,
    client_of,
    make_certificate,
    wait_for,
)
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

Prefix = tuple[str, ...]
#: Of this run alone: another may be under way on the same machine.
MARK = os.getpid() % 250
HERE, THERE = f"10.77.{MARK}.1", f"10.77.{MARK}.2"


@pytest.fixture
def other_network() -> Iterator[Prefix]:
    """What to put before a command so that it runs in a network that sees this host at HERE and nothing else."""
    holder = spawn(["unshare", "--net", "sleep", "3600"])
    inside = ("nsenter", "--target", str(holder.pid), "--net")
    near, far = f"db-near-{os.getpid()}", f"db-far-{os.getpid()}"
    try:
        mine = Path("/proc/self/ns/net").readlink()
        wait_for(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != mine, why="a network namespace")
        run(["ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", str(holder.pid)])
        run(["ip", "addr", "add", f"{HERE}/30", "dev", near])
        run(["ip", "link", "set", near, "up"])
        run([*inside, "ip", "addr", "add", f"{THERE}/30", "dev", far])
        run([*inside, "ip", "link", "set", far, "up"])
        run([*inside, "ip", "link", "set", "lo", "up"])
        yield inside
    finally:
        holder.kill()
        holder.wait()
        run(["ip", "link", "del", near], check=False)


def test_an_agent_in_another_network_builds_over_tls(stack: Stack, other_network: Prefix, tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path, HERE)
    words = ("hub", "--state", tmp_path / "hub", "--listen", HERE, "--port", "0", "--tls-cert", cert, "--tls-key", key)
    _, told = stack.start_ready(*words)
    assert told["url"].startswith(f"https://{HERE}:")
    hub = ("--hub", told["url"], "--ca", cert)
    agent = stack.start("agent", *hub, "--state", tmp_path / "agent", "--name", "far", prefix=other_network)
    signer = stack.start("signer", *hub, "--state", tmp_path / "signer", "--name", "pen", prefix=other_network)
    with admin_of(told, ca=cert) as admin:
        wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
        for one in admin.agents():
            # They print it after the hub has heard of them, so that it may come a moment later.
            wait_for(partial(is_printed, one.fingerprint, agent, signer), why=f"the fingerprint of {one.name}")
            admin.approve(one.name)
    with client_of(told, ca=cert) as client:
        client.ensure_target(SUITE, "debian-trixie")
        wait_for(lambda: client.suite(SUITE).generation > 0, why="the first generation")
        asked = ask(client, tmp_path, "hello")
        ready = client.wait_request(asked.id, 180)
        assert ready.state == "ready", (ready.failures, agent.text)
        log, _ = client.log(ready.builds[0], "amd64")
    assert b"from http://127.0.0.1:" in log, "its apt reads through the agent, which trusts the hub's authority"


def is_printed(fingerprint: str, *programs: Started) -> bool:
    return any(fingerprint in program.text for program in programs)


def test_beyond_this_host_only_with_tls_or_a_declared_proxy(stack: Stack, tmp_path: Path) -> None:
    bare = stack.start("hub", "--state", tmp_path / "hub", "--listen", "0.0.0.0", "--port", "0")
    assert bare.process.wait(120) == 3
    assert "--tls-cert" in bare.text
    assert "--behind-proxy" in bare.text
    words = ("hub", "--state", tmp_path / "hub", "--listen", "0.0.0.0", "--port", "0", "--behind-proxy", "127.0.0.1")
    proxied, _ = stack.start_ready(*words)
    assert proxied.stop() == 143


def test_no_token_goes_over_plain_http_to_another_host() -> None:
    with pytest.raises(Failure, match="no token is sent"):
        Http("http://10.77.31.1:8000", token="secret")
    Http("http://127.0.0.1:8000", token="secret").close()
    Http("http://10.77.31.1:8000").close()
