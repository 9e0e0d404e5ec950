"""Hubs and agents killed with -9 at random: every job ends, with exactly one accepted result.

The verdict comes from ledgers that the agents keep outside the database. On PostgreSQL two hubs serve at once; on
SQLite one hub is killed and started again, so that there are gaps without any.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from deb_orchestrator.dispatch import statements
from deb_orchestrator.domain.jobs import JobError, Outcome, ResultConflict, StaleAttempt, State
from deb_orchestrator.store import tables as t
from deb_orchestrator.store.engine import Database, open_database
from debcore.command import Process, spawn
from tests.chaos.orchestrator.agent_process import ask
from tests.contract.orchestrator.world import check_path

ROOT = Path(__file__).parents[3]
AGENTS = 6


@dataclass
class Farm:
    """Processes by name; `directory` holds sockets, ledgers and logs."""

    url: str
    directory: Path
    hubs: list[str]
    processes: dict[str, Process] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def start(self, name: str) -> None:
        kind, number = name.split("-")
        arguments = [self.url, self.socket(name)] if kind == "hub" else [number, str(self.directory), *self.sockets]
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = spawn(
                [sys.executable, "-m", f"tests.chaos.orchestrator.{kind}_process", *arguments],
                stdout=log, stderr=log, cwd=ROOT, extra_env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            )  # fmt: skip

    def socket(self, name: str) -> str:
        return str(self.directory / f"{name}.socket")

    @property
    def sockets(self) -> list[str]:
        return [self.socket(name) for name in self.hubs]

    def last_words(self, name: str) -> str:
        return f"{name} ended by itself:\n{(self.directory / f'{name}.log').read_text()[-3000:]}"

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        assert process.poll() is None, (
            f"{name} ended by itself:\n{(self.directory / f'{name}.log').read_text()[-3000:]}"
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills[name.split("-")[0]] += 1

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


def run_chaos(url: str, directory: Path, *, jobs: int, kills: int, timeout: float) -> None:
    chance = random.Random(7)
    with open_database(url, alone=False) as database:
        add_agents(database)
        farm = Farm(url, directory, ["hub-1", "hub-2"] if database.dialect == "postgresql" else ["hub-1"])
        try:
            for name in [*farm.hubs, *(f"agent-{i + 1}" for i in range(AGENTS))]:
                farm.start(name)
            enqueue_and_kill(farm, chance, jobs=jobs, kills=kills)
            wait_for_end(database, farm, deadline=time.monotonic() + timeout)
        finally:
            farm.stop()
        check_ledgers(database, directory, farm)
    for log in directory.glob("hub-*.log"):  # a deadlock or a lost race would hide behind an agent's next try
        assert "sqlalchemy.exc" not in log.read_text(), log.read_text()[-3000:]
        assert "LostRace" not in log.read_text(), log.read_text()[-3000:]


def add_agents(database: Database) -> None:
    with database.write() as db:
        for i in range(AGENTS):
            db.execute(t.agent.insert().values(id=i + 1, name=f"a{i}", state="approved", created_at=0))


def enqueue_and_kill(farm: Farm, chance: random.Random, *, jobs: int, kills: int) -> None:
    """Jobs come while processes are killed; a fifth needs older jobs, a few are cancelled."""
    made: list[int] = []
    for round_ in range(kills):
        for _ in range(jobs // kills):
            needs = chance.sample(made[-20:], 1) if made and chance.random() < 0.2 else []
            request = {"do": "enqueue", "key": f"k{len(made)}", "needs": needs, "priority": chance.randint(0, 2)}
            made.append(ask(farm.sockets, request)["job"])
        if round_ % 7 == 3:
            ask(farm.sockets, {"do": "cancel", "job": chance.choice(made[-10:])})
        name = chance.choice([*farm.hubs, *(f"agent-{i + 1}" for i in range(AGENTS))])
        farm.kill(name)
        time.sleep(chance.random() * 0.3)
        farm.start(name)
    assert sorted(made) == list(dict.fromkeys(sorted(made))), "one key made one job"


def wait_for_end(database: Database, farm: Farm, *, deadline: float) -> None:
    terminal = [state.value for state in State if state.is_terminal]
    while True:
        with database.read() as db:
            left = db.execute(select(t.job.c.id, t.job.c.state).where(t.job.c.state.not_in(terminal))).all()
        if not left:
            return
        for name, process in farm.processes.items():
            assert process.poll() is None, farm.last_words(name)
        assert time.monotonic() < deadline, f"{len(left)} jobs did not end: {left[:10]}"
        time.sleep(0.2)


def check_ledgers(database: Database, directory: Path, farm: Farm) -> None:
    entries = [
        json.loads(line) for path in sorted(directory.glob("ledger-*")) for line in path.read_text().splitlines()
    ]
    results = {entry["digest"]: entry for entry in entries if entry["what"] == "result"}
    with database.read() as db:
        rows = db.execute(select(t.job).order_by(t.job.c.id)).all()
        logs = db.execute(select(t.job_log).order_by(t.job_log.c.id)).all()
    acknowledged: dict[int, set[str]] = {}
    for entry in entries:
        if entry["what"] == "acknowledged" and State(entry["state"]).is_terminal:
            acknowledged.setdefault(entry["job"], set()).add(entry["digest"])
    refused = {entry["digest"] for entry in entries if entry["what"] == "refused" and "digest" in entry}
    for row in rows:
        log = [one for one in logs if one.job_id == row.id]
        check_path(log, row.state)
        # Exactly one result was accepted, and whoever was told so is the one whose result is stored.
        assert acknowledged.get(row.id, set()) <= {row.result_hash}
        assert row.result_hash not in refused
        if row.state == State.SUCCEEDED:
            made = results[row.result_hash]
            assert (made["job"], made["attempt"], made["outcome"]) == (row.id, row.attempt, "succeeded")
            assert sum(one.target == State.SUCCEEDED for one in log) == 1
    assert sum(row.state == State.SUCCEEDED for row in rows) > len(rows) / 2
    late = Counter(type(deliver_late(database, entry)).__name__ for entry in entries if entry["what"] == "claimed")
    with database.read() as db:
        assert db.execute(select(t.job).order_by(t.job.c.id)).all() == rows
    print(f"{len(rows)} jobs: {dict(Counter(row.state for row in rows))}; kills {dict(farm.kills)}")
    print(f"attempts {sum(row.attempt for row in rows)}, ledger {dict(Counter(entry['what'] for entry in entries))}")
    print(f"stale results refused while it ran: {len(refused)}; afterwards: {dict(late)}")
    assert late["StaleAttempt"] > 0


def deliver_late(database: Database, claimed: dict[str, Any]) -> JobError:
    """Another result of an attempt that some agent once held, with its real grant: always refused."""
    with pytest.raises((StaleAttempt, ResultConflict)) as refusal, database.write() as db:
        statements.finish(
            db, claimed["job"], claimed["attempt"], claimed["grant"], Outcome.SUCCEEDED, {}, "a late result"
        )
    return refusal.value


@pytest.mark.timeout(900)
def test_each_job_has_one_accepted_result(url: str, tmp_path: Path) -> None:
    run_chaos(url, tmp_path, jobs=300, kills=60, timeout=400)


@pytest.mark.slow  # ten times the kills
@pytest.mark.timeout(3600)
def test_each_job_has_one_accepted_result_for_long(url: str, tmp_path: Path) -> None:
    run_chaos(url, tmp_path, jobs=3000, kills=600, timeout=900)
