"""Everything at once, by chance: hubs, agents, signer and nats-server killed, hubs and agents stopped and continued,
PostgreSQL shut down at once. Afterwards the farm's books, the builders' ledger, what was served and the stream agree.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from debcore.hub.client import HubClient
from debcore.hub.credential import load_token
from tests.contract.hub.nats_server import NatsServer, read_stream, running_nats
from tests.contract.hub.test_database_faults import running
from tests.contract.orchestrator.postgres import Server, running_server
from tests.integration.orchestrator.books import check_books, check_served
from tests.integration.orchestrator.stack import Stack, Started, admin_of, ask, client_of, pick_port, wait_for
from tests.integration.orchestrator.walking import Watcher
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(1800)]

AGENTS = ("one", "two", "three")
BATCHES, EACH, STEPS = 4, 6, 6
#: Seconds of a stop: some are longer than three missed beats of a reaper, some than a beat of an agent.
STOPS = (1, 6, 18)


@dataclass
class Storm:
    """Processes by name, each with the words that start it anew."""

    stack: Stack
    directory: Path
    nats: NatsServer
    database: Server | None
    chance: random.Random
    words: dict[str, tuple[str | Path, ...]] = field(default_factory=dict)
    running: dict[str, Started] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)

    def start(self, name: str) -> None:
        if name.startswith("hub"):
            self.running[name], self.told = self.stack.start_ready(*self.words[name])
        else:
            self.running[name] = self.stack.start(*self.words[name])

    def step(self) -> None:
        name = self.chance.choice([*self.running, "nats", *(["postgresql"] * 2 if self.database else [])])
        pause = self.chance.uniform(0, 3)
        if name == "nats":
            self.nats.kill()
            time.sleep(pause)
            self.nats.start()
        elif name == "postgresql":
            assert self.database is not None
            self.database.crash()
            time.sleep(pause)
            self.database.start()
        elif self.chance.random() < 0.4:
            name, process = f"stop of {name}", self.running[name].process
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.chance.choice(STOPS))
            process.send_signal(signal.SIGCONT)
        else:
            self.running[name].kill()
            time.sleep(pause)
            self.start(name)
        self.done[name] += 1

    def check_alive(self) -> None:
        for name, one in self.running.items():
            assert one.process.poll() is None, f"{name} ended by itself:\n{one.text[-3000:]}"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_books_agree_after_a_storm(stack: Stack, tmp_path: Path, database: str) -> None:
    with ExitStack() as after:
        nats = after.enter_context(running_nats(tmp_path / "nats"))
        server = after.enter_context(running_server()) if database == "postgresql" else None
        after.callback(stack.end)
        storm = Storm(stack, tmp_path, nats, server, random.Random(20261127))
        ports = [pick_port() for _ in range(2 if server else 1)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        shared = ("--database", server.make_database(), "--blobs", tmp_path / "blobs") if server else ()
        for i, port in enumerate(ports):
            words = ("hub", "--state", tmp_path / f"hub{i}", "--port", port, "--nats", nats.url, *shared)
            storm.words[f"hub{i}"] = words
        for i, name in enumerate(AGENTS):
            url = urls[i % len(urls)]
            storm.words[name] = ("agent", "--hub", url, "--state", tmp_path / name, "--name", name, "--slots", "2")
        storm.words["pen"] = ("signer", "--hub", urls[0], "--state", tmp_path / "pen", "--name", "pen")
        for name in storm.words:
            storm.start(name)
        with admin_of(storm.told) as admin:
            wait_for(lambda: len(admin.agents()) == len(AGENTS) + 1, why="enrolment")
            for name in (*AGENTS, "pen"):
                admin.approve(name)
        with client_of(storm.told) as client:
            client.ensure_target(SUITE, "debian-trixie")
        watcher = Watcher(urls, SUITE)
        with running(watcher.run):
            asked = [one for n in range(BATCHES) for one in ask_and_rage(storm, n)]
            token = load_token(Path(storm.told["token_file"]))
            with HubClient(urls[0], token) as client:
                wait_for(lambda: all(client.request(one).state != "open" for one in asked), timeout=600, why="the end")
        print(f"{database}: {dict(storm.done)}; runs {len(stack.runs)}, InRelease seen {len(watcher.served)}")
        storm.check_alive()
        with HubClient(urls[0], token) as client:
            wait_for(
                lambda: not any(list((tmp_path / name / "spool").iterdir()) for name in AGENTS), why="empty spools"
            )
            check_books(client, asked, stack.runs)
            check_served(client, urls[0], watcher, asked)
            wait_for(lambda: is_streamed(client, nats), why="the stream")


def ask_and_rage(storm: Storm, batch: int) -> list[str]:
    """A batch of sources is asked for, one of them broken, and then things happen."""
    names = [f"slow{batch}n{i}" for i in range(EACH)] + [f"quick{batch}", f"broken{batch}"]
    made: list[str] = []

    def is_asked() -> bool:
        with client_of(storm.told) as client:
            made.append(ask(client, storm.directory, *names).id)
        return True

    wait_for(is_asked, why="a hub that takes a request")
    for _ in range(STEPS):
        time.sleep(storm.chance.uniform(0.5, 2))
        storm.step()
    return made[-1:]


def is_streamed(client: HubClient, nats: NatsServer) -> bool:
    heard = read_stream(nats.url)
    last = client.events(len(heard) - 1, limit=10)
    assert [one.n for one in heard] == [int(one.id or 0) for one in heard] == list(range(1, len(heard) + 1))
    return [event.n for event in last] == [len(heard)]
