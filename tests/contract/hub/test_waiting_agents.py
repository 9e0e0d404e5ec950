"""Agents that wait cost a hub some reads, and what else a claim says is heard all the same. On both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from deb_orchestrator.domain import jobs
from deb_orchestrator.services import agents
from deb_orchestrator.store.tables import agent
from debcore.hub import model
from tests.contract.statements import count_statements
from tests.unit.orchestrator.services.farm import ADMIN, Farm


def claim(farm: Farm, id_: str, *, boot: str = "", held: tuple[model.Held, ...] = ()) -> jobs.Claimed | None:
    ask = model.ClaimAsk(claim_id=id_, boot_id=boot or farm.boot, held=held)
    return agents.claim(farm.hub, farm.agent, ask, first=True).claimed


def seen_at(farm: Farm) -> int | None:
    with farm.hub.db.read() as db:
        at: int | None = db.execute(sa.select(agent.c.seen_at).where(agent.c.id == farm.agent)).scalar_one()
    return at


def writes(statements: list[str]) -> list[str]:
    return [one for one in statements if not one.lstrip().upper().startswith(("SELECT", "BEGIN"))]


def test_asking_again_in_vain_writes_nothing_and_is_seen(farm: Farm) -> None:
    assert claim(farm, "a" * 12) is None
    first = seen_at(farm)
    assert first is not None, "the first claim of a boot is written at once"
    with count_statements(farm.hub.db) as statements:
        assert claim(farm, "b" * 12) is None
    assert writes(statements) == []
    assert len(statements) <= 6, statements
    assert seen_at(farm) == first
    assert farm.hub.seen.write(farm.hub.db) == 1
    later = seen_at(farm)
    assert later is not None
    assert later > first
    assert farm.hub.seen.write(farm.hub.db) == 0


def test_a_claim_that_was_answered_is_answered_again_though_the_queue_is_empty(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    farm.settle()
    got = claim(farm, "a" * 12)
    assert got is not None
    assert claim(farm, "b" * 12, held=(model.Held(job=got.job, attempt=got.attempt),)) is None
    assert claim(farm, "a" * 12) == got


def test_the_first_claim_of_a_boot_gives_back_what_it_does_not_hold(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    farm.settle()
    got = claim(farm, "a" * 12)
    assert got is not None
    assert claim(farm, "b" * 12) is None
    again = claim(farm, "c" * 12, boot="another-boot")
    assert again is None or again.job == got.job
    again = again or claim(farm, "d" * 12, boot="another-boot")
    assert again is not None
    assert (again.job, again.attempt) == (got.job, got.attempt + 1)


def test_a_revoked_agent_is_told_so(farm: Farm) -> None:
    assert claim(farm, "a" * 12) is None
    agents.revoke(farm.hub, ADMIN, "builder")
    with pytest.raises(jobs.UnknownAgent):
        claim(farm, "b" * 12)
