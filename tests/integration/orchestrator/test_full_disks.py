"""A full disk on the hub and on an agent: calls are refused, nobody ends, and with room again all goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from debcore.command import run
from debcore.http import HttpFailure
from debcore.hub.client import HubClient
from debcore.hub.model import BuildState
from tests.integration.orchestrator.stack import Stack, admin_of, ask, client_of, wait_for
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

MIB = 1024 * 1024


@contextmanager
def small_disk(at: Path, size: int) -> Iterator[Path]:
    """A file system of its own of *size* MiB."""
    at.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0755", "tmpfs", at])
    try:
        yield at
    finally:
        run(["umount", "--lazy", at])


def fill(disk: Path) -> Path:
    """A file that takes what room there is, to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0")
    return filler


def check_all_built(client: HubClient, request: str) -> None:
    ready = client.request(request)
    assert ready.state == "ready", ready.failures
    builds = [client.build(id_) for id_ in ready.builds]
    assert {build.state for build in builds} == {BuildState.INSTALLED}
    events = client.events(limit=1000, request=request)
    accepted = Counter(event.build for event in events if event.type == "build.complete" and not event.superseded)
    assert accepted == Counter(build.id for build in builds)


def test_a_hub_whose_disk_is_full(stack: Stack, tmp_path: Path) -> None:
    with small_disk(tmp_path / "hub", 48) as disk:
        hub, told = stack.start_ready("hub", "--state", disk, "--port", "0")
        agent = stack.start("agent", "--hub", told["url"], "--state", tmp_path / "agent", "--name", "a", "--slots", "2")
        stack.start("signer", "--hub", told["url"], "--state", tmp_path / "pen", "--name", "pen")
        with admin_of(told) as admin:
            wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
            for name in ("a", "pen"):
                admin.approve(name)
        with client_of(told) as client:
            client.ensure_target(SUITE, "debian-trixie")
            asked = ask(client, tmp_path, "slow0", "slow1", "hello")
            wait_for(lambda: bool(stack.runs), why="the first build's start")
            filler = fill(disk)
            (tmp_path / "big").write_bytes(bytes(range(256)) * 4096)
            with pytest.raises(HttpFailure) as refused:
                client.put_blob(tmp_path / "big")
            assert refused.value.code == 503
            spool = tmp_path / "agent/spool"
            wait_for(lambda: bool(list(spool.glob("*/job/result.json"))), why="a result that waits")
            assert hub.process.poll() is None, hub.text
            filler.unlink()
            wait_for(lambda: client.request(asked.id).state != "open", why="the end of the request")
            check_all_built(client, asked.id)
        assert hub.process.poll() is None, hub.text
        assert agent.process.poll() is None, agent.text
        stack.end()


@pytest.mark.slow
def test_an_agent_whose_disk_is_full(stack: Stack, tmp_path: Path) -> None:
    with small_disk(tmp_path / "full", 16) as disk:
        _, told = stack.start_ready("hub", "--state", tmp_path / "hub", "--port", "0")
        words = ("agent", "--hub", told["url"])
        full = stack.start(*words, "--state", disk, "--name", "full")
        stack.start("signer", "--hub", told["url"], "--state", tmp_path / "pen", "--name", "pen")
        with admin_of(told) as admin:
            wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
            for name in ("full", "pen"):
                admin.approve(name)
            with client_of(told) as client:
                client.ensure_target(SUITE, "debian-trixie")
                wait_for(lambda: any(one.seen_at for one in admin.agents() if one.name == "full"), why="a claim")
                filler = fill(disk)
                asked = ask(client, tmp_path, "hello")
                wait_for(lambda: "no room" in full.text, why="a job without room")
                wait_for(lambda: not list((disk / "spool").iterdir()), why="an empty spool")
                stack.start(*words, "--state", tmp_path / "roomy", "--name", "roomy")
                wait_for(lambda: len(admin.agents()) == 3, why="enrolment")
                admin.approve("roomy")
                wait_for(lambda: client.request(asked.id).state != "open", why="the end of the request")
                check_all_built(client, asked.id)
                admin.revoke("roomy")
                filler.unlink()
                assert full.process.poll() is None, full.text
                again = ask(client, tmp_path, "other")
                wait_for(lambda: client.request(again.id).state != "open", why="the end of the other request")
                check_all_built(client, again.id)
        assert "Traceback" not in full.text
        stack.end()


def test_the_filler_fills(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk)
        with pytest.raises(OSError, match="No space"):
            (disk / "other").write_bytes(b"x")
