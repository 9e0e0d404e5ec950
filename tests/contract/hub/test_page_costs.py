"""What a page costs does not grow with the farm or the archive: statements are counted. On both databases.

benchmarks/scale_pages.py measures.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import pytest
import sqlalchemy as sa

from deb_orchestrator.services import (
    agents,
    lists,
    matrix,
    progress,
    queries,
    states,
    suite_history,
    suite_packages,
    suites,
)
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.store.tables import agent, job
from debcore.hub.model import BuildState
from tests.contract.hub.test_suites import SIDE, make, put
from tests.contract.statements import count_statements
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm


def enrol(farm: Farm, number: int) -> None:
    rows = [
        {"name": f"{number}-{n}", "token_hash": f"{number}-{n}", "state": "approved", "created_at": 0}
        for n in range(number)
    ]
    with farm.hub.db.write() as db:
        db.execute(agent.insert(), rows)


def count_for_hosts(hub: Hub) -> int:
    with count_statements(hub.db) as statements:
        agents.list_agents(hub)
    return len(statements)


def test_a_list_of_builders_is_as_many_statements_for_fifty_as_for_one(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    claimed = farm.claim()
    assert claimed is not None
    few = count_for_hosts(farm.hub)
    enrol(farm, 50)
    assert count_for_hosts(farm.hub) == few
    assert [one.jobs for one in agents.list_agents(farm.hub) if one.jobs] == [(claimed.job,)]
    assert agents.find_agent(farm.hub, "builder").jobs == (claimed.job,)
    assert agents.find_agent(farm.hub, "50-1").jobs == ()


def test_a_list_by_state_has_what_a_look_at_all_builds_finds(farm: Farm) -> None:
    for n, status in enumerate(["failed", "built", "limit", None, None]):
        farm.ask(farm.add_source(f"source-{n}"))
        claimed = farm.claim() if status else None
        if claimed is not None and status:
            farm.finish(claimed, status)
    farm.ask(farm.add_source("needy", depends="absent"))
    every = lists.list_lines(farm.hub, ADMIN, lists.Wanted()).builds
    assert len(every) == 6
    seen = {one.state for line in every for one in line.arches}
    assert len(seen) >= 3
    for state in BuildState:
        found = lists.list_lines(farm.hub, ADMIN, lists.Wanted(state=state)).builds
        assert [one.id for one in found] == [
            line.id for line in every if any(one.state == state for one in line.arches)
        ], state


def test_a_difference_by_what_moved_is_the_one_by_all(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    make(farm)
    events = [put(farm, SUITE, "hello", "1"), put(farm, SUITE, "world", "1"), put(farm, SIDE, "hello", "0.5")]
    events += [put(farm, SUITE, "hello", "2"), put(farm, SIDE, "other", "1")]
    events.append(suite_packages.remove_package(farm.hub, ADMIN, SIDE, "hello"))
    suites.set_parents(farm.hub, ADMIN, SIDE, [])
    events.append(farm.events_so_far())
    pairs = [(name, *ends) for name in (SUITE, SIDE) for ends in combinations(events, 2)]
    quick = [suite_history.diff_suite(farm.hub, *pair) for pair in pairs]
    monkeypatch.setattr(suite_history, "_MANY", 1)
    assert quick == [suite_history.diff_suite(farm.hub, *pair) for pair in pairs]
    assert any(one.packages for one in quick)


def test_a_difference_does_not_read_what_stayed(farm: Farm) -> None:
    for n in range(4):
        put(farm, SUITE, f"package-{n}", "1")
    old = farm.events_so_far()
    put(farm, SUITE, "package-3", "2")
    with count_statements(farm.hub.db) as statements:
        found = suite_history.diff_suite(farm.hub, SUITE, old)
    assert {(one.name, one.old, one.new) for one in found.packages} == {("package-3", "1", "2")}
    reading = [one for one in statements if "_package.version" in one]
    assert len(reading) == 4, "sources and binaries at both ends"
    assert all(".source IN" in one or "source_package.name IN" in one for one in reading)


def test_a_large_change_is_told_in_part(farm: Farm) -> None:
    make(farm, "wide")
    for n in range(6):
        put(farm, SUITE, f"package-{n}", "1")
    suite_packages.merge_suite(farm.hub, ADMIN, "wide", SUITE)
    whole = suite_history.list_history(farm.hub, "wide", limit=1)[0]
    part = suite_history.list_history(farm.hub, "wide", limit=1, most=4)[0]
    assert (len(whole.packages), whole.more) == (12, 0)
    assert (len(part.packages), part.more) == (8, 2)
    assert set(part.packages) <= set(whole.packages)


def test_open_jobs_are_counted_by_an_index(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    assert queries.count_jobs(farm.hub)["queued"] >= 1
    if farm.hub.db.dialect == "sqlite":  # PostgreSQL reads tables of a page as they are
        query = sa.select(job.c.id).where(job.c.state == "queued", job.c.ended_at.is_(None))
        with farm.hub.db.read() as db:
            text = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
            plan = " ".join(str(row) for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
        assert "ix_job_open" in plan


def test_a_page_of_the_matrix_is_the_sources_of_its_target(farm: Farm) -> None:
    for n in range(5):
        farm.ask(farm.add_source(f"source-{n}"))
        farm.ask(farm.add_source(f"source-{n}", "1.1"))
    first = matrix.make_matrix(farm.hub, ADMIN, SUITE, limit=3)
    assert ([row.name for row in first.rows], first.after) == (["source-0", "source-1", "source-2"], "source-2")
    rest = matrix.make_matrix(farm.hub, ADMIN, SUITE, limit=3, after="source-2")
    assert [row.name for row in rest.rows] == ["source-3", "source-4"]
    assert {row.version for row in rest.rows} == {"1.1"}
    assert matrix.make_matrix(farm.hub, ADMIN, "absent").rows == ()


def test_what_is_bad_is_what_a_look_at_all_finds(farm: Farm) -> None:
    for n, status in enumerate(["failed", "built", "limit", None, None, "built"]):
        farm.ask(farm.add_source(f"source-{n}", depends="absent" if n == 4 else ""))
        farm.settle()
        claimed = farm.claim() if status else None
        if claimed is not None and status == "built":
            farm.finish_well(claimed)
        elif claimed is not None and status:
            farm.finish(claimed, status)
    before = matrix.make_matrix(farm.hub, ADMIN, SUITE, bad=True)
    assert "source-3" in [row.name for row in before.rows], "built last, and not published yet"
    farm.settle()
    every = matrix.make_matrix(farm.hub, ADMIN, SUITE).rows
    bad = [row.name for row in every if any(cell.arch.state not in matrix.GOOD for cell in row.cells.values())]
    assert len(bad) < len(every) == 6
    assert [row.name for row in matrix.make_matrix(farm.hub, ADMIN, SUITE, bad=True).rows] == bad
    with count_statements(farm.hub.db) as statements:
        matrix.make_matrix(farm.hub, ADMIN, SUITE, bad=True, limit=len(bad))
    assert sum("max(build.id)" in one for one in statements) == 1, "what is well is not read to be left out"


def test_a_request_that_is_under_way_is_left_without_reading_all_of_its_builds(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = farm.ask(*(farm.add_source(f"source-{n}") for n in range(40)))
    farm.settle()
    read: list[int] = []

    def load(db: sa.Connection, ids: Iterable[int]) -> dict[int, states.BuildFacts]:
        read.extend(ids := list(ids))
        return states.load_builds(db, ids)

    monkeypatch.setattr(progress, "load_builds", load)
    with farm.hub.db.write() as db:
        assert progress.settle_requests(db, [request.id]) == []
    assert 0 < len(read) <= progress.SAMPLE
    for _ in range(40):  # the last of them decides as before
        claimed = farm.claim()
        assert claimed is not None
        farm.finish(claimed, "failed")
        farm.settle()
    assert farm.request(request.id).state == "failed"
    assert len(farm.request(request.id).failures) == 40
