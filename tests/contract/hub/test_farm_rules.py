"""What admins decide about builders, who gives way to whom, and what `why` says of it; on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from deb_orchestrator.services import agents, attempts, hosts, room, targets, why
from deb_orchestrator.services.hub import Conflict, NotFound
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import agent, job, job_turn
from debcore.hub import model
from debcore.hub.hosts import Requires
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only


def ask(farm: Farm, *names: str) -> model.Request:
    return farm.ask(*(farm.add_source(name, tarball=name.encode()) for name in names))


def facts(farm: Farm, request: model.Request) -> str:
    return " / ".join(f"{one.fact} [{one.next}]" for one in why.explain_build(farm.hub, request.builds[0]))


def set_agent(farm: Farm, **values: object) -> None:
    with farm.hub.db.write() as db:
        db.execute(sa.update(agent).where(agent.c.id == farm.agent).values(**values))


def let_wait(farm: Farm) -> None:
    """As if all that is queued had been so for a minute."""
    with farm.hub.db.write() as db:
        db.execute(sa.update(job).where(job.c.state == "queued").values(changed_at=job.c.changed_at - 60_000))
        room.make_room(db)


def test_a_disabled_host_gets_no_work_and_says_why(farm: Farm) -> None:
    hosts.set_disabled(farm.hub, ADMIN, "builder", "new disk")
    request = ask(farm, "hello")
    assert farm.claim() is None
    assert "builder is disabled: new disk [start, approve or enable one]" in facts(farm, request)
    assert agents.find_agent(farm.hub, "builder").disabled == "new disk"
    hosts.set_disabled(farm.hub, ADMIN, "builder", None)
    assert "1 agents may take it: builder" in facts(farm, request)
    assert only(farm.claim())
    with pytest.raises(NotFound):
        hosts.set_disabled(farm.hub, ADMIN, "nobody", None)
    with pytest.raises(NotFound):
        hosts.set_disabled(farm.hub, ADMIN, "hub-test", "the hub's own")


def test_maintenance_lets_what_runs_end_and_be_published(farm: Farm) -> None:
    request = ask(farm, "hello")
    claimed = only(farm.claim())
    hosts.set_maintenance(farm.hub, ADMIN, "kernels")
    later = ask(farm, "world")
    assert farm.claim() is None
    assert "the farm is under maintenance: kernels [deb-orchestrator host maintenance off]" in facts(farm, later)
    farm.finish_well(claimed)
    farm.settle()
    assert farm.request(request.id).state == "ready"
    assert hosts.set_maintenance(farm.hub, ADMIN, None).maintenance is None
    assert only(farm.claim())


def test_what_a_target_requires(farm: Farm) -> None:
    targets.set_requires(farm.hub, ADMIN, SUITE, Requires(memory_mb=8000, trust=3))
    request = ask(farm, "hello")
    assert farm.claim() is None
    assert "builder is trusted with 0, and 3 is needed" in facts(farm, request)
    hosts.set_trust(farm.hub, ADMIN, "default", 3)
    assert "builder has an unknown amount of memory, and 8000 MB are needed" in facts(farm, request)
    set_agent(farm, memory_mb=8000)
    assert only(farm.claim())
    same = model.Target(name=SUITE, preset="debian-trixie", suite=SUITE, arches=("amd64",))
    kept = targets.ensure_target(farm.hub, ADMIN, same)
    assert kept.requires == Requires(memory_mb=8000, trust=3), "who does not speak of it changes nothing"


def test_free_disk_is_what_the_claim_says(farm: Farm) -> None:
    targets.set_requires(farm.hub, ADMIN, SUITE, Requires(disk_mb=5000))
    set_agent(farm, disk_mb=9000)
    ask(farm, "hello")
    claim = {"boot_id": farm.boot, "wait": 0}
    full = model.ClaimAsk(claim_id="c" * 12, disk_mb=4999, **claim)
    assert agents.claim(farm.hub, farm.agent, full, first=True).claimed is None
    assert agents.claim(farm.hub, farm.agent, full.model_copy(update={"disk_mb": 5000}), first=True).claimed is not None


def test_emulation_is_marked_and_must_be_wanted(farm: Farm) -> None:
    set_agent(farm, arches=["arm64"], emulates=["amd64"])
    request = ask(farm, "hello")
    assert farm.claim() is None
    assert "builder only emulates amd64, and the target does not take that" in facts(farm, request)
    targets.set_requires(farm.hub, ADMIN, SUITE, Requires(emulated=True))
    ask(farm, "world")
    assert farm.build(int(only(farm.claim()).spec["job"]["build"])).source == "world"


def test_a_pool_of_its_own(farm: Farm) -> None:
    hosts.set_pool(farm.hub, ADMIN, "builder", "big")
    request = ask(farm, "hello")
    assert farm.claim() is None
    assert "builder is not of the pool default" in facts(farm, request)
    targets.set_requires(farm.hub, ADMIN, SUITE, Requires(pool="big"))
    ask(farm, "world")
    assert only(farm.claim())
    for pool in ("hub", "sign", "solve"):
        with pytest.raises(Conflict):
            hosts.set_pool(farm.hub, ADMIN, "builder", pool)


def test_a_mass_rebuild_gives_way_to_one_build_within_a_minute(farm: Farm) -> None:
    """15 s until room is made, 5 s between rounds, 18 s until the agent hears, 10 s until it has stopped."""
    mass = ask(farm, *(f"mass{n}" for n in range(11)))
    running = only(farm.claim())
    held = (running.job, running.attempt, running.grant)
    one = ask(farm, "hello")
    with farm.hub.db.read() as db:
        owners = set(db.execute(sa.select(job.c.owner, job.c.priority).where(job.c.kind == "build")).all())
    assert owners == {(f"test/{mass.id[:12]}", -10), ("test", 0)}
    with farm.hub.db.write() as db:
        room.make_room(db)
    assert not farm.beat(running).make_room, "it has not waited long enough"
    let_wait(farm)
    assert farm.beat(running).make_room
    let_wait(farm)
    attempts.release(farm.hub, farm.agent, held, "it makes room for a more urgent job")
    urgent = only(farm.claim())
    assert farm.build(int(urgent.spec["job"]["build"])).id == one.builds[0]
    build = int(running.spec["job"]["build"])
    said = " / ".join(reason.fact for reason in why.explain_build(farm.hub, build))
    assert f"room-asked: job {urgent.job}, which is more urgent, waits for a builder" in said
    assert "and 0 other owners" not in said


def test_no_room_is_made_where_a_slot_is_free_or_nothing_gives_way(farm: Farm) -> None:
    ask(farm, "one")
    running = only(farm.claim())
    ask(farm, "two")
    let_wait(farm)
    assert not farm.beat(running).make_room, "an interactive build gives way to none"
    set_agent(farm, slots=2)
    ask(farm, *(f"mass{n}" for n in range(11)))
    second = only(farm.claim())
    assert farm.build(int(second.spec["job"]["build"])).source == "two"


def test_faults_of_a_builder_are_told_when_they_part_it_from_the_farm(farm: Farm) -> None:
    for n in range(3):
        farm.add_agent(f"other{n}")
    for n in range(3):
        request = ask(farm, f"hello{n}")
        farm.finish(only(farm.claim()), "host", message="the disk is full")
    types = [event.type for event in farm.events()]
    assert types.count("agent.quarantined") == 1
    assert "builder is in quarantine for" in facts(farm, request)
    assert agents.find_agent(farm.hub, "builder").quarantine == "the disk is full"
    hosts.set_disabled(farm.hub, ADMIN, "builder", None)
    assert agents.find_agent(farm.hub, "builder").quarantined_until is None


def test_hubs_of_the_last_release_may_enqueue(farm: Farm) -> None:
    ask(farm, "hello")
    with farm.hub.db.write() as db:
        db.execute(sa.delete(job_turn))
        db.execute(sa.update(job).values(owner="", rank=0))
        room.tend_turns(db)
    assert only(farm.claim())


def test_why_has_a_sentence_for_each_rule(farm: Farm) -> None:
    """What refuses for good (pool, trust, …) has its sentences above and in test_hosts.py; these pass with time."""
    with farm.hub.db.read() as db:
        at = now(db)
    request = ask(farm, "hello")
    set_agent(farm, quarantined_until=at + 90_000, quarantine_reason="disk fault")
    assert "builder is in quarantine for" in facts(farm, request)
    assert "then tried with one job: disk fault" in facts(farm, request)
    set_agent(farm, quarantined_until=at - 1)
    assert "1 agents may take it: builder []" in facts(farm, request), "it is the canary's turn"
    canary = only(farm.claim())
    later = ask(farm, "later")
    assert "builder comes out of quarantine if the one job ends well that it is tried with" in facts(farm, later)
    set_agent(farm, quarantined_until=None)
    assert "1 agents may take it: builder (busy with 1 of 1 jobs)" in facts(farm, later)
    set_agent(farm, seen_at=at - 3_600_000)
    assert "builder has not been heard of for 60 min [start, approve or enable one]" in facts(farm, later)
    set_agent(farm, seen_at=at)
    farm.finish(canary, "host")
    assert "builder broke it, and keeps off it for a while" in facts(farm, request)
    bulk = ask(farm, *(f"mass{n}" for n in range(11)))
    said = facts(farm, bulk)
    assert "and 1 other owners take turns" in said
    assert "with priority -10 it stands as if it had come 100 min later" in said
    with farm.hub.db.write() as db:
        db.execute(sa.update(job).where(job.c.build_id == later.builds[0]).values(priority=3))
    assert "with priority 3 it stands as if it had come 30 min sooner" in facts(farm, later)


def test_a_job_that_made_room_says_for_what(farm: Farm) -> None:
    mass = ask(farm, *(f"mass{n}" for n in range(11)))
    running = only(farm.claim())
    urgent = ask(farm, "urgent")
    let_wait(farm)
    moved = why.explain_build(farm.hub, int(running.spec["job"]["build"]))
    assert any("room" in one.fact for one in moved), [one.fact for one in moved]
    assert mass.id != urgent.id
