"""Requests from message 1 to message 5, or to the reasons why not."""

from __future__ import annotations

import pytest

from deb_orchestrator.domain.jobs import Outcome, ResultConflict, StaleAttempt
from deb_orchestrator.services import leftovers, requests, work
from deb_orchestrator.services.hub import Conflict
from deb_orchestrator.services.why import explain_build
from deb_orchestrator.store.tables_publish import publication
from debcore.errors import Failure
from debcore.hub.model import BuildState, PackagesNeeded
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only


def test_a_package_goes_from_needed_to_ready(farm: Farm) -> None:
    asked = farm.ask(farm.add_source("hello"))
    assert asked.state == "open"
    farm.finish_well(only(farm.claim()))
    farm.settle()
    ready = farm.request(asked.id)
    assert ready.state == "ready"
    assert farm.build(ready.builds[0]).state is BuildState.INSTALLED
    told = [type_ for type_ in farm.story(asked.id) if type_ != "suite.changed"]
    assert told == ["packages.needed", "build.requested", "build.complete", "packages.ready"]


def test_asking_twice_is_one_request_whatever_the_order(farm: Farm) -> None:
    one, two = farm.add_source("one"), farm.add_source("two", tarball=b"y")
    assert farm.ask(one, two).id == farm.ask(two, one).id
    assert farm.story(farm.ask(one, two).id).count("packages.needed") == 1


def test_what_the_suite_has_is_answered_with_reused(farm: Farm) -> None:
    hello = farm.add_source("hello")
    farm.ask(hello)
    farm.finish_well(only(farm.claim()))
    farm.settle()
    other = farm.add_source("other", tarball=b"o")
    second = farm.ask(hello, other)
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.request(second.id).state == "ready"
    story = farm.story(second.id)
    assert story.count("build.requested") == story.count("build.reused") == 1
    assert story[-2:] == ["build.reused", "packages.ready"]


def test_only_reused_is_ready_at_once(farm: Farm) -> None:
    hello, other = farm.add_source("hello"), farm.add_source("other", tarball=b"o")
    farm.ask(hello, other)
    for _ in range(2):
        farm.finish_well(only(farm.claim()))
    farm.settle()
    asked = farm.ask(hello)
    assert (asked.state, farm.claim()) == ("ready", None)
    assert farm.story(asked.id) == ["packages.needed", "build.reused", "packages.ready"]


def test_sources_are_built_in_the_order_of_their_dependencies(farm: Farm) -> None:
    lib = farm.add_source("liba", binaries=["liba-dev"])
    app = farm.add_source("app", depends="debhelper-compat (= 13), liba-dev (>= 1) | other", tarball=b"y")
    asked = farm.ask(app, lib)
    first = only(farm.claim())
    assert first.spec["job"]["source"] == "source/liba_1.0.dsc"
    assert farm.claim() is None, "app waits"
    app_build = next(one for one in map(farm.build, asked.builds) if one.source == "app")
    assert app_build.state is BuildState.DEP_WAIT
    assert "liba" in app_build.arches[0].reason
    farm.finish_well(first, "liba-dev")
    assert farm.claim() is None, "built is not yet published"
    farm.settle()
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.request(asked.id).state == "ready"


def test_a_circle_of_sources_is_refused(farm: Farm) -> None:
    one, two = farm.add_source("one", depends="two"), farm.add_source("two", depends="one", tarball=b"y")
    with pytest.raises(Failure, match="need each other to build: one, two"):
        farm.ask(one, two)


def test_a_failure_ends_the_request_with_a_reason_for_each(farm: Farm) -> None:
    lib = farm.add_source("liba", binaries=["liba-dev"])
    app = farm.add_source("app", depends="liba-dev", tarball=b"y")
    asked = farm.ask(app, lib)
    farm.finish(only(farm.claim()), "failed", message="main.c:1: error: it never compiles")
    farm.settle()
    failed = farm.request(asked.id)
    assert failed.state == "failed"
    reasons = {one.source: (one.status, one.reason) for one in failed.failures}
    assert reasons["liba"] == ("failed", "main.c:1: error: it never compiles")
    assert reasons["app"] == ("blocked", "it needs liba, which could not be built")
    assert farm.story(asked.id)[-1] == "packages.failed"


def test_retry_builds_anew_and_what_waited_goes_on(farm: Farm) -> None:
    lib = farm.add_source("liba", binaries=["liba-dev"])
    app = farm.add_source("app", depends="liba-dev", tarball=b"y")
    asked = farm.ask(app, lib)
    farm.finish(only(farm.claim()), "failed", message="no")
    farm.settle()
    assert farm.ask(app, lib).state == "failed", "asking again without retry is an answer"
    assert farm.ask(app, lib, retry=True).state == "open"
    farm.finish_well(only(farm.claim()), "liba-dev")
    farm.settle()
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.request(asked.id).state == "ready"


def test_unmet_dependencies_fail_the_request_and_wait_for_the_suite(farm: Farm) -> None:
    needy = farm.add_source("needy", depends="late")
    asked = farm.ask(needy)
    farm.finish(only(farm.claim()), "deps", message="late is not available")
    farm.settle()
    failed = farm.request(asked.id)
    assert [(one.status, one.reason) for one in failed.failures] == [("deps", "late is not available")]
    assert farm.build(asked.builds[0]).state is BuildState.BD_UNINSTALLABLE
    farm.ask(farm.add_source("late", tarball=b"y"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    again = only(farm.claim())
    assert (again.spec["job"]["build"], again.attempt) == (str(asked.builds[0]), 2)
    farm.finish_well(again)
    farm.settle()
    assert farm.ask(needy, retry=True).state == "ready"


def test_other_content_under_one_version_is_refused(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    asked = farm.ask(farm.add_source("hello", tarball=b"other"))
    assert asked.state == "failed"
    assert "higher version" in asked.failures[0].reason


def test_a_request_joins_a_build_under_way(farm: Farm) -> None:
    hello, other = farm.add_source("hello"), farm.add_source("other", tarball=b"o")
    first = farm.ask(hello)
    second = farm.ask(hello, other)
    assert set(first.builds) <= set(second.builds)
    claimed = [only(farm.claim()), only(farm.claim())]
    assert farm.claim() is None
    for one in claimed:
        farm.finish_well(one)
    farm.settle()
    assert [farm.request(one.id).state for one in (first, second)] == ["ready", "ready"]


def test_cancelled_builds_end_the_request(farm: Farm) -> None:
    asked = farm.ask(farm.add_source("hello"))
    requests.cancel_build(farm.hub, ADMIN, asked.builds[0])
    assert farm.build(asked.builds[0]).state is BuildState.CANCELLED
    assert farm.request(asked.id).state == "failed"
    assert farm.claim() is None
    with pytest.raises(Conflict):
        requests.cancel_build(farm.hub, ADMIN, asked.builds[0])
    new = requests.resubmit_build(farm.hub, ADMIN, asked.builds[0])
    assert farm.request(asked.id).builds == (new,)
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.request(asked.id).state == "ready"


def test_a_cancelled_request_spares_builds_that_others_want(farm: Farm) -> None:
    hello, other = farm.add_source("hello"), farm.add_source("other", tarball=b"o")
    both, one = farm.ask(hello, other), farm.ask(hello)
    requests.cancel_request(farm.hub, ADMIN, both.id)
    states = {build.source: build.state for build in map(farm.build, both.builds)}
    assert states == {"hello": "needs-build", "other": "cancelled"}
    assert farm.request(one.id).state == "open"
    assert farm.story(both.id)[-1] == "packages.failed"


def test_unknown_architectures_and_missing_files_are_refused(farm: Farm) -> None:
    hello = farm.add_source("hello")
    with pytest.raises(Failure, match="does not build for riscv64"):
        requests.need_packages(farm.hub, ADMIN, PackagesNeeded(target=SUITE, arches=("riscv64",), packages=(hello,)))
    gone = hello.model_copy(update={"files": (hello.files[0].model_copy(update={"sha256": "f" * 64}), hello.files[1])})
    with pytest.raises(Failure, match="was not uploaded"):
        farm.ask(gone)


def test_a_dsc_that_says_something_else_is_refused(farm: Farm) -> None:
    hello, evil = farm.add_source("hello"), farm.add_source("evil", tarball=b"e")
    with pytest.raises(Failure, match=r"the \.dsc is of evil 1\.0"):
        farm.ask(hello.model_copy(update={"dsc_sha256": evil.dsc_sha256, "files": evil.files}))
    with pytest.raises(Failure, match=r"differ: evil_1\.0\.tar\.xz"):
        farm.ask(evil.model_copy(update={"files": evil.files[:1]}))


def test_an_attempt_has_one_result(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    claimed = only(farm.claim())
    first = farm.finish(claimed, "failed", message="no")
    assert farm.finish(claimed, "failed", message="no") == first
    with pytest.raises(ResultConflict):
        farm.finish(claimed, "failed", message="another")
    assert farm.story(farm.ask(farm.add_source("hello")).id).count("build.complete") == 1


def test_a_host_fault_is_another_attempt_with_its_own_message(farm: Farm) -> None:
    asked = farm.ask(farm.add_source("hello"))
    old = only(farm.claim())
    farm.finish(old, "host", message="the disk is full")
    farm.agent = farm.add_agent("other-builder")
    new = only(farm.claim())
    assert new.attempt == 2
    with pytest.raises(StaleAttempt):
        farm.finish(old, "failed", message="late")
    farm.finish_well(new)
    farm.settle()
    types = [type_ for type_ in farm.story(asked.id) if type_ != "suite.changed"]
    assert types == [
        "packages.needed", "build.requested", "build.complete", "build.requested", "build.complete", "packages.ready"
    ]  # fmt: skip


def test_a_signer_that_refuses_ends_the_request_with_its_reason(farm: Farm) -> None:
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    while (claimed := farm.worker.claim()) is not None:
        farm.worker.do(claimed)
    with farm.hub.db.write() as db:
        waiting = publication.c.state == "signing"
        db.execute(publication.update().where(waiting).values(state="refused", reason="too many today"))
    farm.tender.tend()
    failed = farm.request(asked.id)
    assert (failed.state, failed.failures[0].status) == ("failed", "refused")
    assert "too many today" in failed.failures[0].reason


def test_an_import_that_breaks_for_good_is_a_refusal(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(hub: object, claimed: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(work, "import_build", broken)
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    for name in "abcdefgh":
        worker = work.Worker(farm.hub, f"hub-{name}")
        if (claimed := worker.claim()) is not None:
            worker.do(claimed)
    farm.settle()
    failed = farm.request(asked.id)
    assert (failed.state, failed.failures[0].status) == ("failed", "refused")
    assert "could not import it" in failed.failures[0].reason


def test_a_publication_that_failed_is_asked_for_again(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.worker.do(only(farm.worker.claim()))
    publish_job = only(farm.worker.claim())
    assert publish_job.kind == "publish"
    farm.worker._finish(publish_job, Outcome.INVALID, "broken")
    monkeypatch.setattr(leftovers, "AGAIN_S", 0)
    farm.settle()
    farm.settle()
    assert farm.request(asked.id).state == "ready"


def test_why_says_what_is_missing(farm: Farm) -> None:
    asked = farm.ask(farm.add_source("hello"))
    (build,) = asked.builds
    assert "0 jobs are ahead of it; 1 agents may take it: builder" in facts(farm, build)
    farm.finish_well(only(farm.claim()))
    while (claimed := farm.worker.claim()) is not None:
        farm.worker.do(claimed)
    assert "waits for the signer, and none is approved" in facts(farm, build)


def facts(farm: Farm, build: int) -> str:
    return "\n".join(reason.fact for reason in explain_build(farm.hub, build))


def test_an_older_version_than_the_suites_is_refused(farm: Farm) -> None:
    old, new = farm.add_source("hello"), farm.add_source("hello", "1.10", tarball=b"n")
    first = farm.ask(old)
    farm.finish_well(only(farm.claim()))
    farm.settle()
    farm.ask(new)
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.ask(old).state == "ready", "as of its event it was"
    again = farm.ask(old, retry=True)
    assert (again.id, again.state) == (first.id, "failed")
    assert "holds hello 1.10, which is newer than 1.0" in again.failures[0].reason
    assert farm.ask(new, retry=True).state == "ready"
