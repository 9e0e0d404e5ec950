"""A hub that works is backed up, destroyed and restored: a client's apt goes on with the suite, and so do builds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from debcore.command import run
from debcore.hub.model import RequestState
from debcore.hub.snippet import apt_snippet
from tests.contract.orchestrator.postgres import Server, running_server
from tests.integration.orchestrator.stack import (
    PROGRAM,
    Stack,
    Started,
    admin_of,
    ask,
    client_of,
    pick_port,
    wait_for,
)
from tests.integration.orchestrator.test_private_suite import Apt
from tests.unit.orchestrator.services.farm import SUITE


@dataclass
class Place:
    """A hub that is started, lost and restored. *server* None: `up` on SQLite; else hub, agent and signer."""

    stack: Stack
    state: Path
    server: Server | None
    port: str = field(default_factory=pick_port)
    database: str = ""
    running: list[Started] = field(default_factory=list)

    def start(self) -> dict[str, str]:
        """Where it answers, and the file with a token."""
        if self.server is None:
            up, told = self.stack.start_ready("up", "--state", self.state, "--port", self.port)
            self.running = [up]
            return told
        self.database = self.database or self.server.make_database()
        hub, told = self.stack.start_ready("hub", "--state", self.state, "--port", self.port, *self.options)
        self.running = [hub]
        for kind in ("agent", "signer"):
            words = ("--hub", told["url"], "--state", self.state / kind, "--name", f"the-{kind}")
            self.running.append(self.stack.start(kind, *words))
        with admin_of(told) as admin:
            wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
            for one in admin.agents():
                admin.approve(one.name)
        with client_of(told) as client:
            client.ensure_target(SUITE, "debian-trixie")
            wait_for(lambda: client.suite(SUITE).generation > 0, why="the first generation")
        return told

    @property
    def options(self) -> tuple[str, ...]:
        return ("--database", self.database) if self.server else ()

    def lose(self) -> None:
        """Killed; database and artifacts are gone. The signer's state is not the hub's: it stays."""
        for one in self.running:
            one.kill()
        for path in (*self.state.glob("hub.sqlite*"), *self.state.glob("blobs")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.server is not None:
            self.database = self.server.make_database()
        assert (self.state / "signer").is_dir()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as after:
        server = after.enter_context(running_server()) if request.param == "postgresql" else None
        after.callback(stack.end)
        yield Place(stack, tmp_path / "state", server)


@pytest.mark.timeout(900)
def test_apt_and_builds_go_on_after_a_restore(stack: Stack, place: Place, tmp_path: Path) -> None:
    state, backup = tmp_path / "state", tmp_path / "backup"
    told = place.start()
    with client_of(told) as client:
        first = ask(client, tmp_path, "hello")
        assert client.wait_request(first.id, 180).state is RequestState.READY
        apt = Apt.make(tmp_path / "apt", apt_snippet(client.suite(SUITE)))
        assert apt.run("update").status == 0
        # Under way: one is built and published while the backup is made, others wait.
        busy = ask(client, tmp_path, "slow-one", "slow-two")
        wait_for(lambda: bool([line for line in stack.runs if "hello" not in line]), why="a build under way")
        made = json.loads(run([*PROGRAM, "backup", "--json", "--state", state, *place.options, backup]).text)
        late = ask(client, tmp_path, "late")
        assert client.wait_request(late.id, 300).state is RequestState.READY
        updated = apt.run("update")
        assert updated.status == 0, updated.stderr
        seen = client.suite(SUITE).generation
        assert seen > made["generations"][SUITE], "clients know more than the backup"
    place.lose()
    # The signer holds the hub to generations above what it has signed.
    run([*PROGRAM, "restore", "--state", state, *place.options, backup])
    told = place.start()
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
