"""The network between hub and agent is cut: for a while it costs nothing; for long the job is another's, and once."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.tables import job_log
from debcore.command import run
from tests.contract.orchestrator.postgres import running_server
from tests.integration.orchestrator.stack import (
    Stack,
    Started,
    admin_of,
    alive,
    ask,
    client_of,
    make_certificate,
    wait_for,
)
from tests.integration.orchestrator.test_hub_over_tls import HERE, Prefix, other_network
from tests.unit.orchestrator.services.farm import SUITE

__all__ = ["other_network"]

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

NEAR = f"db-near-{os.getpid()}"
#: The promise: a lease of a minute, a reaper each five seconds, and five more.
CLAIMABLE_S = 70


@contextmanager
def cut() -> Iterator[None]:
    run(["ip", "link", "set", NEAR, "down"])
    try:
        yield
    finally:
        run(["ip", "link", "set", NEAR, "up"])


def start_farm(stack: Stack, prefix: Prefix, tmp_path: Path, *hub: str | Path) -> tuple[dict[str, str], Path, Started]:
    """A hub and a signer here, and an agent in the other network."""
    cert, key = make_certificate(tmp_path, HERE)
    listen = ("--listen", HERE, "--port", "0", "--tls-cert", cert, "--tls-key", key)
    _, told = stack.start_ready("hub", "--state", tmp_path / "hub", *listen, *hub)
    far = ("--hub", told["url"], "--ca", cert)
    agent = stack.start("agent", *far, "--state", tmp_path / "far", "--name", "far", prefix=prefix)
    stack.start("signer", *far, "--state", tmp_path / "pen", "--name", "pen")
    with admin_of(told, ca=cert) as admin:
        wait_for(lambda: len(admin.agents()) == 2, why="enrolment")
        for name in ("far", "pen"):
            admin.approve(name)
    with client_of(told, ca=cert) as client:
        client.ensure_target(SUITE, "debian-trixie")
    return told, cert, agent


def test_a_build_outlives_a_short_cut(stack: Stack, other_network: Prefix, tmp_path: Path) -> None:
    told, cert, agent = start_farm(stack, other_network, tmp_path)
    with client_of(told, ca=cert) as client:
        asked = ask(client, tmp_path, "slow")
        wait_for(lambda: bool(stack.runs), why="the build's start")
        with cut():
            spool = tmp_path / "far/spool"
            wait_for(lambda: bool(list(spool.glob("*/job/result.json"))), why="a result that cannot be told")
        ready = client.wait_request(asked.id, 180)
        assert ready.state == "ready", (ready.failures, agent.text)
        assert client.build(ready.builds[0]).arches[0].attempt == 1
    assert len(stack.runs) == 1, "built once"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_is_cut_off_for_long_is_anothers(
    stack: Stack, other_network: Prefix, tmp_path: Path, database: str
) -> None:
    """The builder beyond the cut kills its own work; its job is claimable within the promise, by the hub's clock."""
    with ExitStack() as after:
        url, words = f"sqlite:///{tmp_path}/hub/hub.sqlite", list[str | Path]()
        if database == "postgresql":
            url = after.enter_context(running_server()).make_database()
            words = ["--database", url]
        after.callback(stack.end)
        told, cert, far = start_farm(stack, other_network, tmp_path, *words)
        with client_of(told, ca=cert) as client, admin_of(told, ca=cert) as admin:
            asked = ask(client, tmp_path, "sleepy")
            wait_for(lambda: bool(stack.runs), why="the build's start")
            build = int(stack.runs[0].split()[2])
            with cut():
                cut_at = time.time() * 1000  # the clock of either database
                near = ("--hub", told["url"], "--ca", cert)
                stack.start("agent", *near, "--state", tmp_path / "near", "--name", "near")
                wait_for(lambda: len(admin.agents()) == 3, why="enrolment")
                admin.approve("near")
                wait_for(lambda: not alive(build), why="the end of the build beyond the cut")
                wait_for(lambda: len(stack.runs) == 2, why="the second attempt")
                wait_for(lambda: client.request(asked.id).state != "open", why="the end of the request")
            ready = client.request(asked.id)
            assert ready.state == "ready", (ready.failures, far.text)
            wait_for(lambda: not list((tmp_path / "far/spool").iterdir()), why="the end of the lost attempt")
            events = client.events(limit=1000)
        with open_database(url, alone=False) as db, db.read() as connection:
            rows = connection.execute(
                select(job_log).where(job_log.c.name == "lease-lost").order_by(job_log.c.id)
            ).all()
        assert len(rows) == 1
        assert 0 < rows[0].at - cut_at <= CLAIMABLE_S * 1000
        accepted = Counter(e.build for e in events if e.type == "build.complete" and not e.superseded)
        assert accepted == Counter(ready.builds)
        assert [run.split()[1] for run in stack.runs] == ["1", "2"]
