"""The contract of the whole: five messages, in order, with their payloads, from the hub's event log."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from debcore.hub.client import HubClient
from debcore.hub.model import Event, RequestState
from tests.acceptance.world import Hub, Tool, pack_directory, write_package

pytestmark = pytest.mark.root

MESSAGES = ["packages.needed", "build.requested", "environment.ready", "build.complete", "packages.ready"]
TARGET = "trixie-local"
MINUTES = 60


def pack(tool: Tool, what: str | Path, out: Path, *options: str) -> Path:
    made = json.loads(
        tool("deb-mock", "source", what, "-r", "debian-trixie-amd64", "--resultdir", out, "--json", *options)
    )
    return Path(made["dsc"])


def of_request(hub: Hub, request: str) -> list[Event]:
    with hub.client() as client:
        return [event for event in client.events(limit=500, request=request) if event.request == request]


def test_the_five_messages_of_a_real_package(hub: Hub, tool: Tool, tmp_path: Path) -> None:
    dsc = pack(tool, "hostname", tmp_path, "--append-version=+accept1")
    with hub.client() as client:
        asked = client.submit(TARGET, [dsc], arches=["amd64"])
        request = client.wait_request(asked.id, timeout=15 * MINUTES)
        assert request.state is RequestState.READY, request.failures
        build = client.build(request.builds[0])
        suite = client.suite(request.suite)
        again = client.submit(TARGET, [dsc], arches=["amd64"])
    events = of_request(hub, request.id)
    messages = [event for event in events if event.type in MESSAGES]
    assert [event.type for event in messages] == MESSAGES
    assert [event.n for event in events] == sorted({event.n for event in events})
    needed, requested, ready, complete, done = messages

    (package,) = needed.data["packages"]
    assert (package["source"], package["version"]) == ("hostname", build.version)
    assert build.version.endswith("+accept1")
    for event in (requested, ready, complete):
        assert (event.build, event.arch, event.attempt) == (build.id, "amd64", 1)
    (arch,) = build.arches
    lock = next(artifact for artifact in arch.artifacts if artifact.kind == "lock")
    assert ready.data["lock_sha256"] == lock.sha256 == arch.lock_sha256
    outputs = {output["sha256"] for output in complete.data["outputs"]}
    assert complete.data["status"] == "built"
    assert {artifact.sha256 for artifact in arch.artifacts if artifact.kind == "deb"} <= outputs
    assert request.event == done.n
    assert suite.event <= done.n
    assert suite.generation >= 1
    assert again.id == request.id, "asking twice is one request"
    assert again.state is RequestState.READY


def test_a_request_that_cannot_be_met_ends_with_reasons(hub: Hub, tmp_path: Path) -> None:
    sources = [
        write_package(tmp_path, "accept-unmet", depends="no-such-package-anywhere (>= 9)"),
        write_package(tmp_path, "accept-broken", build="echo 'main.c:1: error: this never compiles' >&2; false"),
    ]
    dscs = [pack_directory(source) for source in sources]
    with hub.client() as client:
        asked = client.submit(TARGET, dscs, arches=["amd64"])
        request = client.wait_request(asked.id, timeout=15 * MINUTES)
    assert request.state is RequestState.FAILED
    failed = [event for event in of_request(hub, request.id) if event.type == "packages.failed"]
    assert len(failed) == 1
    reasons = {failure["source"]: failure["reason"] for failure in failed[0].data["failures"]}
    assert "no-such-package-anywhere" in reasons["accept-unmet"]
    assert "never compiles" in reasons["accept-broken"]


@pytest.mark.slow
def test_a_deb_mock_killed_before_its_root_stands_leaves_no_third_message(hub: Hub, tmp_path: Path) -> None:
    """A root that is there stands in a second: on a busy machine a kill may come too late, and is tried again."""
    for number in range(5):
        dsc = pack_directory(write_package(tmp_path, f"accept-killed{number}"))
        with hub.client() as client:
            asked = client.submit(TARGET, [dsc], arches=["amd64"])
            os.kill(find_builder(hub), signal.SIGKILL)
            wait_for_event(client, asked.id, "build.requested", 2)
            early = [event for event in client.events(limit=500, request=asked.id) if event.type == "environment.ready"]
            if any(event.attempt == 1 for event in early):
                client.cancel_request(asked.id)
                wait_until(lambda: not builders(hub))  # the next round must not meet this one's
                continue
            request = client.wait_request(asked.id, timeout=15 * MINUTES)
            assert request.state is RequestState.READY, request.failures
            events = client.events(limit=500, request=request.id)
        ready = [event.attempt for event in events if event.type == "environment.ready"]
        assert ready == [2], "only the second attempt got its root"
        assert [event.attempt for event in events if event.type == "build.requested"] == [1, 2]
        return
    pytest.fail("no kill came before the root stood")


def wait_for_event(client: HubClient, request: str, type_: str, attempt: int) -> None:
    """Until there is one of that type and attempt."""
    end = time.monotonic() + 15 * MINUTES
    after = 0
    while time.monotonic() < end:
        for event in client.events(after, limit=500, wait=20, request=request):
            after = event.n
            if (event.type, event.attempt) == (type_, attempt):
                return
    pytest.fail(f"no {type_} of attempt {attempt}")


def wait_until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 2 * MINUTES
    while not what():
        assert time.monotonic() < end, "not within two minutes"
        time.sleep(0.05)


def find_builder(hub: Hub) -> int:
    """The pid of the deb-mock that the hub's agent has started, as soon as there is one."""
    end = time.monotonic() + 5 * MINUTES
    while time.monotonic() < end:
        if found := builders(hub):
            return found[0]
        time.sleep(0.005)
    pytest.fail("the agent started no deb-mock")


def builders(hub: Hub) -> list[int]:
    """deb-mocks at work on the hub's jobs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--job" in words and any(str(hub.state).encode() in word for word in words):
            found.append(int(entry.name))
    return found
