"""Which publication wakes which build, on both databases."""

from __future__ import annotations

import pytest

from deb_orchestrator.services import publish, requests, suites, why
from deb_orchestrator.services.targets import enqueue_publish
from debcore.deb822 import make_stanza
from debcore.hub.model import BuildState
from debcore.hub.suites import SuiteAsk
from debcore.job import Unmet
from tests.contract.hub.test_suites import digest
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

MISSING = Unmet(kind="missing", package="build-dependencies", clause="libz-dev (>= 2)")
CONFLICT = Unmet(kind="conflict", package="liba 1", clause="libb", other="libb 1")


def add(farm: Farm, package: str, version: str, *, arch: str = "amd64", provides: str = "", suite: str = SUITE) -> None:
    fields = [("Package", package), ("Version", version), ("Architecture", arch), ("Description", "x")]
    fields += [("Provides", provides)] if provides else []
    deb = publish.NewBinary(control=make_stanza(fields), sha256=digest(f"{package} {version} {arch}"), size=7)
    with farm.hub.db.write() as db:
        enqueue_publish(db, suite)
        publish.add_to_suite(db, suite, binaries=[deb])
    farm.settle()


def block(farm: Farm, *unmet: Unmet) -> int:
    """A build that could not have its dependencies; its number."""
    farm.ask(farm.add_source("hello"))
    claimed = only(farm.claim())
    farm.finish(claimed, "deps", message="it needs more", unmet=unmet)
    farm.settle()
    return int(claimed.spec["job"]["build"])


def test_a_missing_package_wakes_it_in_the_version_that_it_needs(farm: Farm) -> None:
    number = block(farm, MISSING)
    build = farm.build(number)
    assert (build.state, build.arches[0].reason) == (BuildState.DEP_WAIT, "it needs more")
    assert why.explain_build(farm.hub, number)[1].next == f"it is tried again when {SUITE} gets libz-dev (>= 2)"
    assert farm.request(build.request or "").state == "failed", "nothing of ours brings it"
    add(farm, "other", "3")
    add(farm, "libz-dev", "1.9")
    assert farm.build(number).state == BuildState.DEP_WAIT
    add(farm, "libz-dev", "2.0")
    assert farm.build(number).state == BuildState.NEEDS_BUILD


def test_the_same_package_never_wakes_it_twice(farm: Farm) -> None:
    number = block(farm, MISSING)
    add(farm, "libz-dev", "2.0")
    farm.finish(only(farm.claim()), "deps", message="still", unmet=[MISSING])
    farm.tender._seen.clear()  # as after a restart of the hub
    farm.settle()
    assert farm.build(number).state == BuildState.DEP_WAIT
    add(farm, "libz-dev", "2.1")
    assert farm.build(number).state == BuildState.NEEDS_BUILD


@pytest.mark.parametrize(("provides", "wakes"), [("libz-dev (= 2)", True), ("libz-dev", False), ("libz (= 2)", False)])
def test_a_package_that_provides_it(farm: Farm, provides: str, wakes: bool) -> None:
    number = block(farm, MISSING)
    add(farm, "libz-ng-dev", "9", provides=provides)
    assert (farm.build(number).state == BuildState.NEEDS_BUILD) is wakes


def test_packages_that_conflict_wake_it_when_one_changes(farm: Farm) -> None:
    number = block(farm, CONFLICT)
    assert farm.build(number).state == BuildState.BD_UNINSTALLABLE
    add(farm, "libc", "1")
    assert farm.build(number).state == BuildState.BD_UNINSTALLABLE
    add(farm, "libb", "2")
    assert farm.build(number).state == BuildState.NEEDS_BUILD


def test_without_a_proof_any_publication_wakes_it(farm: Farm) -> None:
    number = block(farm)
    assert farm.build(number).state == BuildState.BD_UNINSTALLABLE
    assert "changes" in why.explain_build(farm.hub, number)[1].next
    add(farm, "other", "1")
    assert farm.build(number).state == BuildState.NEEDS_BUILD


def test_what_the_suite_inherits_wakes_it_too(farm: Farm) -> None:
    suites.make_suite(farm.hub, ADMIN, "base", SuiteAsk())
    farm.settle()
    suites.set_parents(farm.hub, ADMIN, SUITE, ["base"])
    farm.settle()
    number = block(farm, MISSING)
    add(farm, "libz-dev", "2", suite="base")
    assert farm.build(number).state == BuildState.NEEDS_BUILD
    farm.finish(only(farm.claim()), "deps", message="still", unmet=[MISSING])
    farm.settle()
    suites.set_parents(farm.hub, ADMIN, SUITE, [])
    farm.settle()
    assert farm.build(number).state == BuildState.NEEDS_BUILD, "another order may give other packages"


def test_a_build_in_dep_wait_can_be_cancelled_and_built_again(farm: Farm) -> None:

    number = block(farm, MISSING)
    again = requests.resubmit_build(farm.hub, ADMIN, number)
    assert farm.build(number).state == BuildState.CANCELLED
    assert farm.build(again).state == BuildState.NEEDS_BUILD
