"""The stream of JetStream is the event table, whatever is killed: no event lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from deb_orchestrator.bus import jetstream
from deb_orchestrator.bus.jetstream import Message, Overtaken, Session, Target, check_target
from deb_orchestrator.dispatch.events import NewEvent, append_events, read_events
from deb_orchestrator.services.delivering import make_body
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.streaming import Streamer
from deb_orchestrator.store.engine import open_database
from debcore.errors import ConfigError, Failure
from tests.contract.hub.nats_accounts import make_accounts
from tests.contract.hub.nats_server import Heard, NatsServer, count_stream, read_stream, running_nats
from tests.integration.orchestrator.stack import wait_for
from tests.unit.orchestrator.services.farm import Farm

pytestmark = pytest.mark.timeout(600)

SOURCE = "https://hub.example.org"
WRITERS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with running_nats(tmp_path / "nats") as server:
        yield server


@contextmanager
def streaming(hub: Hub, target: Target, source: str = SOURCE) -> Iterator[Streamer]:
    streamer, stop = Streamer(hub, target, source), threading.Event()
    thread = threading.Thread(target=streamer.run, args=(stop,))
    thread.start()
    try:
        yield streamer
    finally:
        stop.set()
        streamer.wake()
        thread.join()


def write_events(hub: Hub, seed: int, *, rounds: int = 40) -> None:
    chance = random.Random(seed)
    for i in range(rounds):
        with hub.db.write() as db:
            news = [NewEvent(type="suite.made", data={"suite": f"s{seed}", "i": i})] * chance.randint(1, 4)
            append_events(db, news)


def keep_writing(hub: Hub, seed: int, done: threading.Event) -> None:
    while not done.is_set():
        write_events(hub, seed, rounds=5)
        done.wait(0.01)


def is_full(server: NatsServer, farm: Farm) -> bool:
    return count_stream(server.url) == farm.events_so_far()


def expected(farm: Farm, source: str = SOURCE) -> list[Heard]:
    with farm.hub.db.read() as db:
        rows = read_events(db, 0, 100_000)
    types = [f"deb-orchestrator.deb-orchestrator.{row.type}" for row in rows]
    return [Heard(row.n, str(row.n), type_, make_body(row, source)) for row, type_ in zip(rows, types, strict=True)]


def test_the_stream_is_the_event_table_though_the_server_is_killed(farm: Farm, server: NatsServer) -> None:
    """Three writers; the server is killed six times while it takes events; on PostgreSQL two hubs stream at once."""
    target, done = Target(url=server.url), threading.Event()
    with ExitStack() as stack:
        hubs = [farm.hub]
        if farm.hub.db.dialect == "postgresql":
            db = stack.enter_context(open_database(farm.hub.db.url.render_as_string(hide_password=False)))
            hubs.append(Hub(db=db, blobs=farm.hub.blobs, state=farm.hub.state))
            stack.callback(hubs[1].wake.close)
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS))
        stack.callback(done.set)
        writing = [pool.submit(keep_writing, hubs[seed % len(hubs)], seed, done) for seed in range(WRITERS)]
        for _ in range(3):
            with ExitStack() as streamers:
                for hub in hubs:
                    streamers.enter_context(streaming(hub, target))
                for _ in range(2):
                    before = count_stream(server.url)
                    wait_for(lambda: count_stream(server.url) > before + 20, why="a stream that grows")  # noqa: B023
                    server.kill()
                    server.start()
        done.set()
        for one in writing:
            one.result()
        with streaming(farm.hub, target, "https://another.example.org"):
            wait_for(lambda: is_full(server, farm), why="the rest of the stream")
        assert read_stream(server.url) == expected(farm)
        assert farm.events_so_far() > 100


def test_a_hub_that_was_too_late_is_refused(farm: Farm, server: NatsServer) -> None:
    """Two that send the same, and one that sends what is not next."""

    async def send(*numbers: int) -> None:
        session = await Session.open(Target(url=server.url))
        try:
            await session.send([Message(n, "t", b"{}") for n in numbers])
        finally:
            await session.close()

    asyncio.run(send(1, 2))
    for numbers in ((1, 2), (2, 3), (5,), (7, 8)):  # of (2, 3) the server takes 3
        with pytest.raises(Overtaken):
            asyncio.run(send(*numbers))
    assert [(one.n, one.id, one.body) for one in read_stream(server.url)] == [(n, str(n), b"{}") for n in (1, 2, 3)]


def test_a_stream_that_lost_all_is_filled_anew(farm: Farm, server: NatsServer) -> None:
    write_events(farm.hub, 1)

    async def delete() -> None:
        client = await nats.connect(server.url)
        await client.jetstream().delete_stream("deb-orchestrator")
        await client.close()

    with streaming(farm.hub, Target(url=server.url)) as streamer:
        wait_for(lambda: is_full(server, farm), why="the stream")
        asyncio.run(delete())
        with farm.hub.db.write() as db:
            append_events(db, [NewEvent(type="suite.made")])
        streamer.wake()
        wait_for(lambda: is_full(server, farm), why="the stream again")
    assert read_stream(server.url) == expected(farm)


def test_a_stream_of_something_else_is_left_alone(
    farm: Farm, server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def publish() -> None:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="mine", subjects=["mine.>"])
        await client.jetstream().publish("mine.own", b"not an event")
        await client.close()

    asyncio.run(publish())
    write_events(farm.hub, 1)
    with caplog.at_level(logging.WARNING), streaming(farm.hub, Target(url=server.url, stream="mine")):
        wait_for(lambda: "is not of this hub's event log" in caplog.text, why="a word about it")
    assert [one.body for one in read_stream(server.url, "mine")] == [b"not an event"]
    assert "--nats-stream" in caplog.text


def test_an_event_that_the_server_does_not_take_is_told_and_nothing_is_left_out(
    farm: Farm, server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    with farm.hub.db.write() as db:
        append_events(db, [NewEvent(type="suite.made", data={"suite": "s"})])
        big = append_events(db, [NewEvent(type="suite.made", data={"suite": "s", "text": "x" * 1_100_000})])
    with caplog.at_level(logging.WARNING), streaming(farm.hub, Target(url=server.url)):
        wait_for(lambda: "max_payload" in caplog.text, why="a word about it")
    assert f"event {big} has" in caplog.text
    (server.directory / "nats.conf").write_text("max_payload: 4MB\n")
    server.kill()
    again = replace(server, arguments=("-c", str(server.directory / "nats.conf")))
    again.start()
    try:
        with streaming(farm.hub, Target(url=server.url)):
            wait_for(lambda: is_full(server, farm), why="the rest")
        assert read_stream(server.url) == expected(farm)
    finally:
        again.kill()
        server.start()


def test_the_server_may_ask_who_it_is(farm: Farm, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    login, wrong = tmp_path / "login", tmp_path / "wrong"
    login.write_text("hub:geheim\n")
    wrong.write_text("hub:falsch\n")
    write_events(farm.hub, 1)
    with running_nats(tmp_path / "nats", "--user", "hub", "--pass", "geheim") as server:
        with caplog.at_level(logging.WARNING), streaming(farm.hub, Target(url=server.url, credentials=wrong)):
            wait_for(lambda: "Authorization Violation" in caplog.text, why="a refusal")
        options = {"user": "hub", "password": "geheim"}
        with streaming(farm.hub, Target(url=server.url, credentials=login)):
            wait_for(lambda: count_stream(server.url, **options) == farm.events_so_far(), why="the stream")
        assert read_stream(server.url, **options) == expected(farm)
    assert "geheim" not in caplog.text


def test_a_user_of_an_account_logs_in_with_jwt_and_nkey(
    farm: Farm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real nats-server in operator mode: who has no `.creds` of the account is refused."""
    config, creds, stranger = make_accounts(tmp_path)
    seed = creds.read_text().split("SEED-----")[1].split()[0]
    write_events(farm.hub, 3)
    with running_nats(tmp_path / "nats", "-c", str(config)) as server:
        for target in (Target(url=server.url), Target(url=server.url, credentials=stranger)):
            caplog.clear()
            with caplog.at_level(logging.WARNING), streaming(farm.hub, target):
                wait_for(lambda: "Authorization Violation" in caplog.text, why="a refusal")
        options = jetstream.load_login(creds)
        with streaming(farm.hub, Target(url=server.url, credentials=creds)):
            wait_for(lambda: count_stream(server.url, **options) == farm.events_so_far(), why="the stream")
        assert read_stream(server.url, **options) == expected(farm)
        assert seed not in (server.directory / "log").read_text()
    assert seed not in caplog.text
    check_target(Target(url="nats://bus.example.org:4222", credentials=creds))  # it proves, and does not tell
    damaged = tmp_path / "damaged.creds"
    for wrong in (seed[:-1], seed[:9] + ("B" if seed[9] == "A" else "A") + seed[10:], "SUAA", "1" + seed[1:]):
        damaged.write_text(creds.read_text().replace(seed, wrong))
        with pytest.raises(ConfigError):
            jetstream.load_login(damaged)
    damaged.write_text("-----BEGIN NATS USER JWT-----\n")
    with pytest.raises(ConfigError):
        jetstream.load_login(damaged)


def test_what_cannot_be_a_target_is_refused_at_the_start(tmp_path: Path) -> None:
    token, empty = tmp_path / "token", tmp_path / "empty"
    token.write_text("a-token\n")
    empty.write_text("\n")
    assert jetstream.load_login(token) == {"token": "a-token"}
    check_target(Target(url="tls://bus.example.org:4222", credentials=token))
    for url in (
        "http://127.0.0.1:4222",
        "127.0.0.1:4222",
        "nats://",
        "nats://127.0.0.1:x",
        "nats://u:p@127.0.0.1:4222",
    ):
        with pytest.raises(Failure) as refused:
            check_target(Target(url=url))
        assert refused.value.hint
    for name in ("", "a.b", "a b", "a>", "*", "a\n"):
        with pytest.raises(Failure, match="cannot name a stream"):
            check_target(Target(url="nats://127.0.0.1:4222", stream=name))
    with pytest.raises(Failure, match="clear text"):
        check_target(Target(url="nats://bus.example.org:4222", credentials=token))
    with pytest.raises(ConfigError):
        check_target(Target(url="nats://127.0.0.1:4222", credentials=empty))
