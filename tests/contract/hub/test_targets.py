"""What builds see and where their packages go, on both databases."""

from __future__ import annotations

import pytest

from deb_orchestrator.services import queries, requests, suites, targets, why
from deb_orchestrator.services.hub import Conflict, NotFound
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.suites import SuiteAsk
from debcore.job import Verify
from tests.contract.hub.test_suites import see, served
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_deb, only


def add_target(farm: Farm, name: str, *, suite: str, build_suite: str | None) -> None:
    wanted = model.Target(
        name=name, preset="debian-trixie", suite=suite, arches=("amd64",), build_suite=build_suite
    )  # fmt: skip
    assert targets.ensure_target(farm.hub, ADMIN, wanted) == wanted
    assert queries.get_target(farm.hub, name) == wanted


def ask(farm: Farm, target: str, *packages: model.NeededPackage, scratch: bool = False) -> model.Request:
    needed = model.PackagesNeeded(target=target, arches=("amd64",), packages=packages, scratch=scratch)
    return queries.get_request(farm.hub, requests.need_packages(farm.hub, ADMIN, needed))


def test_builds_see_the_build_suite_and_go_to_the_other(farm: Farm) -> None:
    suites.make_suite(farm.hub, ADMIN, "inbox", SuiteAsk())
    suites.make_suite(farm.hub, ADMIN, "build", SuiteAsk(parents=("inbox", SUITE)))
    add_target(farm, "candidate", suite="inbox", build_suite="build")
    farm.settle()
    lib = farm.add_source("liba", binaries=["liba-dev"])
    app = farm.add_source("app", depends="liba-dev", tarball=b"y")
    asked = ask(farm, "candidate", app, lib)
    first = only(farm.claim())
    assert first.spec["suite"] == "build"
    farm.finish_well(first, "liba-dev")
    farm.settle()
    second = only(farm.claim())
    assert "Package: liba-dev\n" in served(farm, "build"), "the needed package is published where the build looks"
    farm.finish(second, "deps", message="libz-dev is missing")
    farm.settle()
    assert farm.claim() is None
    suites.set_parents(farm.hub, ADMIN, "build", ["inbox"])
    farm.settle()
    again = only(farm.claim())
    assert again.job == second.job, "a change of what it sees wakes it"
    farm.finish_well(again)
    farm.settle()
    assert farm.build(asked.builds[1]).state == model.BuildState.INSTALLED
    assert see(farm, "inbox") == {"app": ("1.0", "inbox"), "liba": ("1.0", "inbox")}
    assert see(farm, SUITE) == {}


def test_a_build_suite_that_does_not_inherit_never_keeps_a_chain_waiting(farm: Farm) -> None:
    suites.make_suite(farm.hub, ADMIN, "apart", SuiteAsk())
    add_target(farm, "candidate", suite="inbox", build_suite="apart")
    farm.settle()
    ask(farm, "candidate", farm.add_source("liba", binaries=["liba-dev"]), farm.add_source("bb", depends="liba-dev"))
    farm.finish_well(only(farm.claim()), "liba-dev")
    farm.settle()
    assert only(farm.claim()).spec["suite"] == "apart"


def test_an_unknown_build_suite_is_refused(farm: Farm) -> None:
    with pytest.raises(NotFound, match="no suite nowhere to build against") as failure:
        add_target(farm, "x", suite=SUITE, build_suite="nowhere")
    assert "suite make nowhere" in failure.value.hint


def test_a_scratch_build_is_kept_and_in_no_suite(farm: Farm) -> None:
    hello = farm.add_source("hello")
    real, scratch = ask(farm, SUITE, hello), ask(farm, SUITE, hello, scratch=True)
    assert real.id != scratch.id
    assert (scratch.scratch, farm.build(scratch.builds[0]).scratch) == (True, True)
    first, second = only(farm.claim()), only(farm.claim())
    farm.finish_well(second)
    farm.settle()
    assert farm.build(scratch.builds[0]).state == model.BuildState.KEPT
    assert farm.request(scratch.id).state == "ready"
    assert see(farm, SUITE) == {}
    assert "scratch build" in why.explain_build(farm.hub, scratch.builds[0])[1].fact
    other = make_deb("hello", "1.0", extra="Section: misc\n")
    farm.finish(first, "built", files={"hello_1.0_amd64.deb": other})
    farm.settle()
    assert farm.request(real.id).state == "ready", "what a scratch build made binds nobody"
    assert see(farm, SUITE) == {"hello": ("1.0", SUITE)}
    older = ask(farm, SUITE, farm.add_source("hello", "0.9"), scratch=True)
    assert older.state == "open", "a version that the suite would not take"


def test_scratch_builds_cannot_need_each_other(farm: Farm) -> None:
    lib, app = farm.add_source("liba", binaries=["liba-dev"]), farm.add_source("app", depends="liba-dev")
    with pytest.raises(Failure, match="in no suite") as failure:
        ask(farm, SUITE, lib, app, scratch=True)
    assert "side suite" in failure.value.hint


def test_requests_without_the_new_field_keep_their_ids() -> None:
    file = model.SourceFile(name="a.dsc", sha256="0" * 64, size=1)
    package = model.NeededPackage(source="aa", version="1", dsc_sha256="0" * 64, files=(file,))
    needed = model.PackagesNeeded(target="t", arches=("amd64",), packages=(package,))
    assert needed.id == model.PackagesNeeded.model_validate(needed.model_dump(exclude={"scratch"})).id
    assert needed.id == "6b68274270dfa2b440fedd17c80dccc895d7503ed706c55392de33e52f3d8e9a"


def test_a_target_may_be_cross_built_and_verified(farm: Farm) -> None:
    wanted = model.Target(
        name="port", preset="debian-trixie", suite="port", arches=("arm64",), cross={"arm64": "amd64"},
        verify=Verify(vary=("-build_path",)),
    )  # fmt: skip
    targets.ensure_target(farm.hub, ADMIN, wanted)
    assert queries.get_target(farm.hub, "port") == wanted
    with pytest.raises(Conflict):
        targets.ensure_target(farm.hub, ADMIN, wanted.model_copy(update={"verify": None}))
    farm.settle()
    needed = model.PackagesNeeded(target="port", arches=("arm64",), packages=(farm.add_source("hello"),))
    asked = queries.get_request(farm.hub, requests.need_packages(farm.hub, ADMIN, needed))
    claimed = only(farm.claim())  # the farm's builder is an amd64
    job = model.BuildSpec.model_validate(claimed.spec).job
    assert (job.target.arch, job.target.build_arch) == ("arm64", "amd64")
    assert job.verify == wanted.verify
    assert farm.build(asked.builds[0]).arches[0].reproducible is None
    deb = {"hello_1.0_arm64.deb": make_deb("hello", "1.0", arch="arm64")}
    farm.finish(claimed, "built", files=deb, reproducible=False)
    farm.settle()
    arch = farm.build(asked.builds[0]).arches[0]
    assert (arch.arch, arch.state, arch.reproducible) == ("arm64", model.BuildState.INSTALLED, False)


def test_without_them_a_job_says_nothing_of_either(farm: Farm) -> None:
    ask(farm, SUITE, farm.add_source("hello"))
    job = model.BuildSpec.model_validate(only(farm.claim()).spec).job
    assert (job.target.build_arch, job.verify) == (None, None)
