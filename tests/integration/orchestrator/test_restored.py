"""A hub that works is backed up, destroyed and restored: a client's apt goes on with the suite, and so do builds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from debcore.command import run
from debcore.hub.model import RequestState
from debcore.hub.snippet import apt_snippet
from tests.integration.orchestrator.stack import PROGRAM, Stack, ask, client_of, pick_port, wait_for
from tests.integration.orchestrator.test_private_suite import Apt
from tests.unit.orchestrator.services.farm import SUITE


@pytest.mark.timeout(900)
def test_apt_and_builds_go_on_after_a_restore(stack: Stack, tmp_path: Path) -> None:
    state, place, port = tmp_path / "state", tmp_path / "backup", str(pick_port())
    up, told = stack.start_ready("up", "--state", state, "--port", port)
    with client_of(told) as client:
        first = ask(client, tmp_path, "hello")
        assert client.wait_request(first.id, 180).state is RequestState.READY
        apt = Apt.make(tmp_path / "apt", apt_snippet(client.suite(SUITE)))
        assert apt.run("update").status == 0
        # Under way: one is built and published while the backup is made, others wait.
        busy = ask(client, tmp_path, "slow-one", "slow-two")
        wait_for(lambda: bool([line for line in stack.runs if "hello" not in line]), why="a build under way")
        made = json.loads(run([*PROGRAM, "backup", "--json", "--state", state, place]).text)
        late = ask(client, tmp_path, "late")
        assert client.wait_request(late.id, 300).state is RequestState.READY
        updated = apt.run("update")
        assert updated.status == 0, updated.stderr
        seen = client.suite(SUITE).generation
        assert seen > made["generations"][SUITE], "clients know more than the backup"
    up.kill()
    for path in (*state.glob("hub.sqlite*"), *state.glob("blobs")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # The signer's state is not the hub's: it stays, and holds the hub to generations above what it has signed.
    assert (state / "signer").is_dir()
    run([*PROGRAM, "restore", "--state", state, place])
    _, told = stack.start_ready("up", "--state", state, "--port", port)
    with client_of(told) as client:
        wait_for(lambda: client.suite(SUITE).generation > seen, why="a generation above all that was seen")
        updated = apt.run("update")
        assert updated.status == 0, updated.stderr
        fetched = apt.run("download", "hello")
        assert fetched.status == 0, fetched.stderr
        assert apt.run("download", "late").status != 0, "what came after the backup is to be built again"
        assert client.wait_request(busy.id, 300).state is RequestState.READY, "what was under way goes on"
        again = ask(client, tmp_path, "late", "new")
        assert client.wait_request(again.id, 300).state is RequestState.READY
        assert apt.run("update").status == 0
        fetched = apt.run("download", "late", "new")
        assert fetched.status == 0, fetched.stderr
