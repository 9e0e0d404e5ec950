"""Before a builder is taken a solver says whether build dependencies can be met; on both databases.

What decides here is a plain stand-in; tests/integration/orchestrator has dose3 itself.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from deb_orchestrator.services import asking, requests, suites, why
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_suite import suite_archive
from debcore.hub import model
from debcore.hub.model import BuildState
from debcore.hub.suites import Archive, SuiteAsk
from debcore.job import AptSource
from tests.contract.hub.test_waiting import MISSING, add
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

ARCHIVE = Archive(sources=(AptSource(uris=("http://archive.invalid/debian",), suites=("trixie",), signed_by="KEY"),))


@pytest.fixture
def solved(farm: Farm) -> Farm:
    """Its suite knows an archive."""
    asking.set_archive(farm.hub, ADMIN, SUITE, ARCHIVE)
    farm.dose.archive = {"libc6-dev": "2.41"}
    return farm


def ask(farm: Farm, name: str, depends: str = "") -> model.Build:
    request = farm.ask(farm.add_source(name, depends=depends, tarball=name.encode()))
    farm.settle()
    return farm.build(request.builds[0])


def facts(farm: Farm, build: model.Build) -> str:
    return " / ".join(f"{reason.fact} [{reason.next}]" for reason in why.explain_build(farm.hub, build.id))


def look_at_archives(farm: Farm) -> None:
    """As when the time has come."""
    with farm.hub.db.write() as db:
        db.execute(sa.update(suite_archive).values(looked_at=None))
    farm.settle()


def test_what_can_be_had_is_built(solved: Farm) -> None:
    request = solved.ask(solved.add_source("hello", depends="libc6-dev [amd64], nobody [arm64] <!nocheck>"))
    (id_,) = request.builds
    assert solved.claim() is None, "the solver has not looked yet"
    assert (solved.build(id_).state, solved.request(request.id).state) == (BuildState.NEEDS_BUILD, "open")
    assert "waits for the solver" in facts(solved, solved.build(id_))
    solved.settle()
    assert solved.dose.passes == [["libc6-dev"]], "as reduced for the architecture"
    assert "its build dependencies can be had" in facts(solved, solved.build(id_))
    solved.finish_well(only(solved.claim()))
    solved.settle()
    assert solved.request(request.id).state == "ready"


def test_what_cannot_be_had_takes_no_builder_until_it_came(solved: Farm) -> None:
    build = ask(solved, "hello", "libc6-dev, libz-dev (>= 2)")
    assert (build.state, solved.claim()) == (BuildState.DEP_WAIT, None)
    assert solved.request(build.request or "").state == "failed"
    failure = solved.request(build.request or "").failures[0]
    assert (failure.status, "libz-dev (>= 2), which no package is or provides" in failure.reason) == ("deps", True)
    assert f"it is tried again when {SUITE} gets libz-dev (>= 2)" in facts(solved, build)
    assert f"the solver, on {SUITE} as of event" in facts(solved, build)
    add(solved, "libz-dev", "1")
    assert len(solved.dose.passes) == 1, "nothing that it waits for came"
    add(solved, "libz-dev", "2")
    assert len(solved.dose.passes) == 2
    claimed = only(solved.claim())
    assert int(claimed.spec["job"]["build"]) == build.id


def test_each_pass_is_of_the_published_suite_and_takes_all_that_wait(solved: Farm) -> None:
    for name in ("a", "b", "c"):
        solved.ask(solved.add_source(name * 2, depends="libc6-dev", tarball=name.encode()))
    solved.settle()
    assert solved.dose.passes == [["libc6-dev"] * 3]


def test_a_new_release_of_the_archive_wakes_what_it_helps(solved: Farm) -> None:
    first, second = ask(solved, "hello", "libz-dev"), ask(solved, "world", "nobody-has")
    look_at_archives(solved)
    assert len(solved.dose.passes) == 2, "the archive is what it was"
    solved.dose.archive["libz-dev"] = "1"
    solved.dose.release = "r2"
    look_at_archives(solved)
    assert solved.dose.passes[2:] == [["libz-dev", "nobody-has"]]
    assert [solved.build(one.id).state for one in (first, second)] == [BuildState.NEEDS_BUILD, BuildState.DEP_WAIT]
    look_at_archives(solved)
    assert len(solved.dose.passes) == 3, "none is decided twice on the same archive"


def test_a_builder_that_finds_otherwise_is_believed_until_something_changes(solved: Farm) -> None:
    build = ask(solved, "hello", "libc6-dev")
    solved.finish(only(solved.claim()), "deps", message="apt cannot", unmet=[MISSING])
    solved.settle()
    assert (solved.build(build.id).state, solved.claim()) == (BuildState.DEP_WAIT, None)
    add(solved, "libz-dev", "2")
    assert only(solved.claim()).attempt == 2


@pytest.mark.parametrize("broken", ["no dose3 today", OSError("no dose3 today"), ValueError("no dose3 today")])
def test_without_the_solver_the_builder_decides(solved: Farm, broken: str | Exception) -> None:
    solved.dose.broken = broken
    build = ask(solved, "hello", "nobody-has")
    assert "the solver could not be asked: no dose3 today [the builder decides]" in facts(solved, build)
    assert only(solved.claim())


def test_build_dependencies_that_cannot_be_read_are_the_builders_to_refuse(solved: Farm) -> None:
    build = ask(solved, "hello", "Not A Relation")
    assert "its build dependencies cannot be read" in facts(solved, build)
    assert only(solved.claim())


def test_what_a_parent_knows_counts_and_forgetting_it_ends_the_waiting(farm: Farm) -> None:
    suites.make_suite(farm.hub, ADMIN, "base", SuiteAsk())
    farm.settle()
    suites.set_parents(farm.hub, ADMIN, SUITE, ["base"])
    asking.set_archive(farm.hub, ADMIN, "base", ARCHIVE)
    farm.settle()
    assert asking.get_archive(farm.hub, SUITE) == ARCHIVE
    build = ask(farm, "hello", "libz-dev")
    assert build.state == BuildState.DEP_WAIT
    add(farm, "libz-dev", "2", suite="base")
    assert farm.build(build.id).state == BuildState.NEEDS_BUILD
    other = ask(farm, "world", "nobody-has")
    asking.set_archive(farm.hub, ADMIN, "base", None)
    add(farm, "nobody-has", "1")
    assert farm.build(other.id).state == BuildState.NEEDS_BUILD, "woken as without a solver"


def test_a_broken_pass_is_made_up_for(solved: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "AGAIN_S", -1)
    solved.ask(solved.add_source("hello", depends="libc6-dev"))
    with solved.hub.db.write() as db:
        db.execute(sa.update(job).where(job.c.kind == "resolve").values(state="failed", ended_at=1))
    solved.settle()
    assert only(solved.claim())


def test_a_publication_between_the_look_and_the_decision_is_not_missed(
    solved: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve = solved.dose.solve

    def publish_meanwhile(*args):  # type: ignore[no-untyped-def]
        said = solve(*args)
        monkeypatch.undo()
        add(solved, "libz-dev", "2")
        return said

    monkeypatch.setattr(solved.dose, "solve", publish_meanwhile)
    build = ask(solved, "hello", "libz-dev")
    solved.settle()
    assert solved.build(build.id).state == BuildState.NEEDS_BUILD
    assert only(solved.claim())


def test_what_was_published_while_a_builder_tried_is_not_missed(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    claimed = only(farm.claim())
    add(farm, "libz-dev", "2")
    farm.finish(claimed, "deps", message="it needs more", unmet=[MISSING])
    farm.settle()
    assert only(farm.claim()).attempt == 2


def test_a_waiting_build_can_be_cancelled_and_built_again(solved: Farm) -> None:
    build = ask(solved, "hello", "nobody-has")
    again = requests.resubmit_build(solved.hub, ADMIN, build.id)
    solved.settle()
    assert [solved.build(one).state for one in (build.id, again)] == [BuildState.CANCELLED, BuildState.DEP_WAIT]
