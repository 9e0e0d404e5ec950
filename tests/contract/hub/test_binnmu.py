"""binNMUs: what a suite has, built anew without a new source; on both databases."""

from __future__ import annotations

import pytest

from deb_orchestrator.services import (
    queries,
    rebuilds,
    requests,
    suite_content,
    suite_packages,
    suites,
    targets,
)
from deb_orchestrator.services.hub import NotFound
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.suites import RuleAsk, SuiteAsk
from tests.contract.hub.test_suites import put
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_deb, only


def ask(farm: Farm, *sources: str, target: str = SUITE, reason: str = "Rebuild against libz2") -> model.Request:
    wanted = model.BinNmuAsk(sources=sources, reason=reason)
    return queries.get_request(farm.hub, rebuilds.ask_binnmu(farm.hub, ADMIN, target, wanted))


def binaries(farm: Farm, suite: str) -> set[tuple[str, str, str]]:
    packages = suite_content.get_content(farm.hub, suite).packages
    return {(p.name, p.arch, p.version) for p in packages if p.arch != "source"}


def install(farm: Farm, *packages: model.NeededPackage) -> None:
    farm.ask(*packages)
    for _ in packages:
        farm.finish_well(only(farm.claim()))
        farm.settle()


def test_a_source_is_built_anew_as_the_next_binnmu(farm: Farm) -> None:
    install(farm, farm.add_source("hello"))
    asked = ask(farm, "hello")
    assert asked.packages[0].binnmu is not None
    assert ask(farm, "hello").id == asked.id, "asking twice is one request"
    claimed = only(farm.claim())
    job = claimed.spec["job"]
    assert (job["binnmu"]["number"], job["target"]["build"]) == (1, "any")
    assert "Rebuild against libz2" in job["binnmu"]["reason"]
    farm.finish_well(claimed)
    farm.settle()
    assert farm.request(asked.id).state == "ready"
    assert farm.build(asked.builds[0]).binnmu == 1
    assert binaries(farm, SUITE) == {("hello", "amd64", "1.0+b1")}
    again = ask(farm, "hello")
    assert again.id != asked.id
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert binaries(farm, SUITE) == {("hello", "amd64", "1.0+b2")}


def test_binnmus_are_built_in_order(farm: Farm) -> None:
    lib = farm.add_source("liba", tarball=b"l")
    install(farm, lib, farm.add_source("app", depends="liba", tarball=b"a"))
    asked = ask(farm, "app", "liba")
    first = only(farm.claim())
    assert farm.build(int(first.spec["job"]["build"])).source == "liba"
    assert farm.claim() is None
    farm.finish_well(first)
    farm.settle()
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.request(asked.id).state == "ready"


def test_a_builder_that_ignores_the_binnmu_is_refused(farm: Farm) -> None:
    install(farm, farm.add_source("hello"))
    asked = ask(farm, "hello")
    farm.finish(only(farm.claim()), "built", files={"hello_1.0_amd64.deb": make_deb("hello", "1.0")})
    farm.settle()
    assert "has not the version of a binNMU +b1" in farm.request(asked.id).failures[0].reason
    requests.resubmit_build(farm.hub, ADMIN, asked.builds[0])
    assert only(farm.claim()).spec["job"]["binnmu"]["number"] == 1


def test_packages_for_all_architectures_stay_also_where_they_are_inherited(farm: Farm) -> None:
    source = farm.add_source("hello", binaries=["hello", "hello-doc"])
    farm.ask(source)
    farm.finish_well(only(farm.claim()), "hello", all_too=["hello-doc"])
    farm.settle()
    suites.make_suite(farm.hub, ADMIN, "side", SuiteAsk(parents=(SUITE,)))
    side = model.Target(name="side", preset="debian-trixie", suite="side", arches=("amd64",))
    targets.ensure_target(farm.hub, ADMIN, side)
    farm.settle()
    ask(farm, "hello", target="side")
    farm.finish_well(only(farm.claim()), "hello")
    farm.settle()
    assert binaries(farm, "side") == {("hello", "amd64", "1.0+b1"), ("hello-doc", "all", "1.0")}
    assert binaries(farm, SUITE) == {("hello", "amd64", "1.0"), ("hello-doc", "all", "1.0")}


def test_what_cannot_be_rebuilt_is_refused(farm: Farm) -> None:
    with pytest.raises(NotFound, match="has no source hello"):
        ask(farm, "hello")
    put(farm, SUITE, "foreign", "1")
    with pytest.raises(Failure, match="no source files of foreign 1"):
        ask(farm, "foreign")
    with pytest.raises(NotFound, match="no target nowhere"):
        ask(farm, "hello", target="nowhere")
    install(farm, farm.add_source("hello"))
    bad = model.BinNmuAsk(sources=("hello",), reason="x", maintainer="<script>")
    with pytest.raises(Failure, match="maintainer"):
        rebuilds.ask_binnmu(farm.hub, ADMIN, SUITE, bad)


def test_a_transition_is_planned_built_aside_and_merged(farm: Farm) -> None:
    lib = farm.add_source("liba", tarball=b"l")
    middle = farm.add_source("middle", depends="liba (>= 1)", tarball=b"m")
    app = farm.add_source("app", depends="middle, liba", tarball=b"a")
    install(farm, lib, middle, app, farm.add_source("other", tarball=b"o"))
    suites.make_suite(farm.hub, ADMIN, "side", SuiteAsk(parents=(SUITE,)))
    side = model.Target(name="side", preset="debian-trixie", suite="side", arches=("amd64",))
    targets.ensure_target(farm.hub, ADMIN, side)
    farm.settle()
    plan = rebuilds.plan_rebuild(farm.hub, "side", ["liba"])
    assert [[(one.source, one.binnmu) for one in level] for level in plan.levels] == [[("middle", 1)], [("app", 1)]]
    asked = ask(farm, "app", "middle", target="side")
    for name in ("middle", "app"):
        claimed = only(farm.claim())
        assert farm.build(int(claimed.spec["job"]["build"])).source == name
        farm.finish_well(claimed)
        farm.settle()
    assert farm.request(asked.id).state == "ready"
    assert ("app", "amd64", "1.0") in binaries(farm, SUITE)
    suites.set_rule(farm.hub, ADMIN, SUITE, "app", RuleAsk(state="blocked"))
    with pytest.raises(Failure, match="blocks app"):
        suite_packages.merge_suite(farm.hub, ADMIN, SUITE, "side")
    suites.set_rule(farm.hub, ADMIN, SUITE, "app", None)
    assert ("middle", "amd64", "1.0") in binaries(farm, SUITE), "all or nothing"
    n = suite_packages.merge_suite(farm.hub, ADMIN, SUITE, "side")
    assert {(name, version) for name, _, version in binaries(farm, SUITE)} == {
        ("app", "1.0+b1"), ("middle", "1.0+b1"), ("liba", "1.0"), ("other", "1.0")
    }  # fmt: skip
    assert suite_packages.merge_suite(farm.hub, ADMIN, SUITE, "side") == n, "it is there"


def test_a_plan_that_cannot_be_is_refused(farm: Farm) -> None:
    with pytest.raises(NotFound, match="has no packages of liba"):
        rebuilds.plan_rebuild(farm.hub, SUITE, ["liba"])
    with pytest.raises(NotFound, match="no suite nowhere"):
        suite_packages.merge_suite(farm.hub, ADMIN, SUITE, "nowhere")
    install(farm, farm.add_source("liba", tarball=b"l"))
    farm.ask(farm.add_source("docs", arch="all", depends="liba", tarball=b"d"))
    claimed = only(farm.claim())
    farm.finish(claimed, "built", files={"docs_1.0_all.deb": make_deb("docs", "1.0", arch="all")})
    farm.settle()
    plan = rebuilds.plan_rebuild(farm.hub, SUITE, ["liba"])
    assert (plan.levels, plan.by_hand) == ((), ("docs",)), "packages for all architectures need a new version"
