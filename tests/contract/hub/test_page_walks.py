"""Pages that go on from a name: all of them together show each thing once, whatever a page holds. On both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from deb_orchestrator.services import agents, suite_content, suite_history, suite_packages, suites
from deb_orchestrator.services.host_list import STATES, list_hosts
from deb_orchestrator.services.hosts import set_disabled
from deb_orchestrator.services.suite_view import RELATIONS
from deb_orchestrator.store.tables import agent
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.suites import Held, RuleAsk
from tests.contract.hub.test_suites import SIDE, make, put
from tests.contract.statements import count_statements
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm


def walk(farm: Farm, suite: str, limit: int, *, at: int | None = None, part: str = "") -> list[Held]:
    found: list[Held] = []
    after: str | None = ""
    while after is not None:
        page = suite_content.get_content(farm.hub, suite, at, part=part, after=after, limit=limit)
        assert len(page.packages) == limit or page.after is None
        found += page.packages
        at, after = page.event, page.after
    return found


def fill(farm: Farm) -> int:
    """Two suites, one of which inherits, hides and blocks; the event before the last changes."""
    make(farm)
    for n in range(7):
        put(farm, SUITE, f"package-{n}", "1")
    put(farm, SUITE, "package-3", "1.1")
    put(farm, SIDE, "package-2", "2")
    put(farm, SIDE, "side-only", "1")
    suites.set_rule(farm.hub, ADMIN, SIDE, "package-5", RuleAsk(state="blocked"))
    then = farm.events_so_far()
    put(farm, SUITE, "aaa", "1")
    suite_packages.remove_package(farm.hub, ADMIN, SUITE, "package-6")
    return then


@pytest.mark.parametrize("few", [0, 2000])
def test_a_walk_through_a_suite_shows_each_package_once(farm: Farm, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    then = fill(farm)
    monkeypatch.setattr(suite_content, "_FEW", few)
    for suite in (SUITE, SIDE):
        for at in (None, then):
            for part in ("", "e-"):
                by_offset = suite_content.get_content(farm.hub, suite, at, part=part, limit=1000)
                every = list(by_offset.packages)
                keys = [(one.name, one.arch, one.version, one.suite) for one in every]
                assert keys == sorted(set(keys))
                assert len(keys) >= 12
                for limit in (1, 2, 5, 100):
                    assert walk(farm, suite, limit, at=at, part=part) == every, (suite, at, part, limit)
    monkeypatch.setattr(suite_content, "_FEW", 2000)
    assert walk(farm, SIDE, 3) == list(suite_content.get_content(farm.hub, SIDE).packages)


def test_a_walk_by_names_reads_the_names_of_its_page(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(farm)
    monkeypatch.setattr(suite_content, "_FEW", 0)
    first = suite_content.get_content(farm.hub, SUITE, limit=4)
    assert first.after == "package-0 source 1 trixie-local"
    with count_statements(farm.hub.db) as few:
        suite_content.get_content(farm.hub, SUITE, limit=4, after=first.after)
    with count_statements(farm.hub.db) as many:
        suite_content.get_content(farm.hub, SUITE, limit=1000)
    assert len(few) == len(many)
    reading = [one for one in few if "_package.version" in one]
    assert len(reading) == 1
    assert reading[0].count("BETWEEN") == 2


def test_who_knows_offsets_only_is_still_answered(farm: Farm) -> None:
    fill(farm)
    first = suite_content.get_content(farm.hub, SUITE, limit=5)
    assert first.next == 5
    rest = suite_content.get_content(farm.hub, SUITE, first.event, offset=5)
    assert [*first.packages, *rest.packages] == walk(farm, SUITE, 100)
    for nonsense in ("x", "a b c", "a b c d e", "a  b c"):
        with pytest.raises(Failure, match="no page begins"):
            suite_content.get_content(farm.hub, SUITE, after=nonsense)


def test_the_events_of_a_history_are_those_at_which_something_moved(farm: Farm) -> None:
    fill(farm)
    for suite in (SUITE, SIDE):
        with farm.hub.db.read() as db:
            numbers = {
                n
                for table in RELATIONS
                for end in (table.c.created_event, table.c.revoked_event)
                for n in db.execute(sa.select(end).where(table.c.suite == suite, end.is_not(None))).scalars()
            }
        expected = sorted(numbers, reverse=True)
        assert len(expected) >= 4
        assert [one.event for one in suite_history.list_history(farm.hub, suite, limit=50)] == expected
        found, before = [], None
        while page := suite_history.list_history(farm.hub, suite, before=before, limit=3):
            found += [one.event for one in page]
            before = found[-1]
        assert found == expected


def test_a_walk_through_the_builders_shows_each_once(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    farm.settle()
    assert farm.claim() is not None
    rows = [
        {"name": f"host-{n}", "token_hash": f"{n}", "state": "approved", "pools": [["a"], ["b"], []][n % 3],
         "created_at": 0}
        for n in range(9)
    ]  # fmt: skip
    with farm.hub.db.write() as db:
        db.execute(agent.insert(), rows)
        db.execute(agent.update().where(agent.c.name == "host-4").values(quarantined_until=10**12))
    set_disabled(farm.hub, ADMIN, "host-2", "is moved")
    agents.enrol(farm.hub, model.Enrol(name="new", token="x" * 32, arches=("amd64",)))
    every = list_hosts(farm.hub, ADMIN)
    names = [one.name for one in every.agents]
    assert names == ["builder", *(f"host-{n}" for n in range(9)), "new"]
    assert every.counts == {"pending": 1, "quarantined": 1, "disabled": 1, "busy": 1, "idle": 7}
    assert (every.total, every.after) == (11, None)
    assert every.pools == ("a", "b", "default")
    found, after = [], ""
    while True:
        page = list_hosts(farm.hub, ADMIN, after=after, limit=4)
        assert page.counts == every.counts
        found += [one.name for one in page.agents]
        if page.after is None:
            break
        after = page.after
    assert found == names
    by_state = {state: [one.name for one in list_hosts(farm.hub, ADMIN, state=state).agents] for state in STATES}
    assert by_state["busy"] == ["builder"]
    assert by_state["quarantined"] == ["host-4"]
    assert sorted(name for some in by_state.values() for name in some) == sorted(names)
    assert [one.name for one in list_hosts(farm.hub, ADMIN, pool="b", part="st").agents] == [
        "host-1",
        "host-4",
        "host-7",
    ]
    assert list_hosts(farm.hub, ADMIN, limit=4).agents[0].jobs != ()


def test_a_page_of_builders_is_as_many_statements_for_fifty_as_for_one(farm: Farm) -> None:
    with count_statements(farm.hub.db) as few:
        list_hosts(farm.hub, ADMIN)
    rows = [{"name": f"{n}", "token_hash": f"{n}", "state": "approved", "created_at": 0} for n in range(50)]
    with farm.hub.db.write() as db:
        db.execute(agent.insert(), rows)
    with count_statements(farm.hub.db) as many:
        list_hosts(farm.hub, ADMIN)
    assert len(many) == len(few)
