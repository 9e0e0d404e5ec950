"""Checks of what was built, as orders and as a target's gate; on both databases."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import pytest

from deb_orchestrator.domain import jobs
from deb_orchestrator.services import agents, attempts, checks, requests, targets, why
from deb_orchestrator.services.hub import Conflict, NotFound
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.checks import BuildCheck, CheckAsk, CheckPlan, CheckState
from debcore.job import CheckFinding, CheckReport, Job
from tests.contract.hub.test_binnmu import binaries
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_changes, make_deb, only

PLAN = CheckPlan(names=("lintian", "install"), fail_on=("lintian:warning",), policy="[all]\n", gate=True)


@pytest.fixture
def checker(farm: Farm) -> Farm:
    """The farm with an agent that can check."""
    return farm.with_agent("checker", "check")


def report(name: str, outcome: Any = "passed") -> CheckReport:
    bad = outcome == "failed"
    finding = CheckFinding(level="error", tag="bad", subject="hello", text="<b>", action="fatal")
    return CheckReport(
        name=name, outcome=outcome, fatal=bad, findings=(finding,) if bad else (), counts={"error": 1} if bad else {},
        log=f"{name}.log",
    )  # fmt: skip


def finish(
    farm: Farm, claimed: jobs.Claimed, reports: Sequence[CheckReport], *, status: str = "built", message: str = ""
) -> model.Finished:
    logs = [farm.put(f"log of {one.name}".encode()) for one in reports]
    result: dict[str, Any] = {
        "job": str(claimed.job), "attempt": claimed.attempt, "status": status,
        "checks": [one.model_dump(mode="json") for one in reports],
        "outputs": [
            {"path": one.log, "sha256": sha256, "size": len(f"log of {one.name}"), "kind": "log"}
            for one, sha256 in zip(reports, logs, strict=True)
        ],
    }  # fmt: skip
    if message:
        result["failure"] = {"stage": "check-lintian", "kind": "lintian gate", "message": message}
    digest = hashlib.sha256(repr(result).encode()).hexdigest()
    ask = model.FinishAsk(attempt=claimed.attempt, result=result, hash=digest)
    return attempts.finish(farm.hub, farm.agent, (claimed.job, claimed.attempt, claimed.grant), ask)


def build_hello(farm: Farm) -> model.Request:
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    return asked


def checks_of(farm: Farm, build: int) -> tuple[BuildCheck, ...]:
    return farm.build(build).checks


def test_a_gate_keeps_packages_out_until_its_checks_pass(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    asked = build_hello(checker)
    (build,) = asked.builds
    assert checker.build(build).state == "built", "its checks are to come"
    assert binaries(checker, SUITE) == set()
    claimed = only(checker.claim())
    assert claimed.kind == "check"
    job = Job.model_validate(claimed.spec["job"])
    assert (job.kind, job.source) == ("check", "packages/hello_1.0_amd64.changes")
    assert {one.path for one in job.inputs} == {
        "packages/hello_1.0.dsc", "packages/hello_1.0.tar.xz", "packages/hello_1.0_amd64.changes",
        "packages/hello_1.0_amd64.deb", "policy.toml",
    }  # fmt: skip
    assert (job.checks.names, job.checks.fail_on, job.checks.policy) == (PLAN.names, PLAN.fail_on, "policy.toml")
    assert all(checker.hub.blobs.has(one.sha256) for one in job.inputs)
    finish(checker, claimed, [report("lintian"), report("install", "not-run")])
    checker.settle()
    assert checker.request(asked.id).state == "ready"
    assert binaries(checker, SUITE) == {("hello", "amd64", "1.0")}
    (found,) = checks_of(checker, build)
    assert (found.state, found.gate, found.by, found.agent) == ("passed", True, f"target {SUITE}", "checker")
    assert [(one.name, one.outcome) for one in found.reports] == [("lintian", "passed"), ("install", "not-run")]
    story = checker.story(asked.id)
    assert story.index("checks.requested") < story.index("checks.complete") < story.index("packages.ready")


def test_a_gate_that_refuses_can_be_tried_again(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    asked = build_hello(checker)
    (build,) = asked.builds
    finish(
        checker, only(checker.claim()), [report("lintian", "failed"), report("install")], status="failed",
        message="error: hello: bad",
    )  # fmt: skip
    checker.settle()
    assert checker.build(build).state == "failed"
    failed = checker.request(asked.id)
    assert (failed.state, failed.failures[0].status) == ("failed", "refused")
    assert "kept out by the checks of its target (failed): error: hello: bad" in failed.failures[0].reason
    assert binaries(checker, SUITE) == set()
    reasons = [(one.subject, one.next) for one in why.explain_build(checker.hub, build)]
    assert ("gate 1 amd64", f"try again with: deb-orchestrator check {build} --gate") in reasons
    assert (f"build {build} amd64", "") in reasons, "it says no second thing to do"
    assert checker.claim() is None, "a package's fault is not tried again by itself"
    targets.set_checks(checker.hub, ADMIN, SUITE, CheckPlan(names=("install",), gate=True))
    checks.order_checks(checker.hub, ADMIN, build, CheckAsk(gate=True))
    with pytest.raises(Conflict, match="under way"):
        checks.order_checks(checker.hub, ADMIN, build, CheckAsk(gate=True))
    assert checker.request(asked.id).state == "open"
    again = only(checker.claim())
    assert again.spec["job"]["checks"]["names"] == ["install"]
    finish(checker, again, [report("install")])
    checker.settle()
    assert checker.request(asked.id).state == "ready"
    assert [one.state for one in checks_of(checker, build)] == ["failed", "passed"]
    with pytest.raises(Conflict, match="in its suite"):
        checks.order_checks(checker.hub, ADMIN, build, CheckAsk(gate=True))


def test_a_builder_that_lies_about_checks_passes_no_gate(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    (build,) = build_hello(checker).builds
    finish(checker, only(checker.claim()), [report("lintian")])
    checker.settle()
    (found,) = checks_of(checker, build)
    assert (found.state, found.reason) == ("error", "the builder says nothing of install")
    assert checker.build(build).state == "failed"
    assert binaries(checker, SUITE) == set()


def test_a_check_goes_to_agents_that_can(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    (build,) = build_hello(checker).builds
    able = checker.agent
    checker.agent = checker.add_agent("old")
    assert checker.claim() is None
    (gate,) = [one for one in why.explain_build(checker.hub, build) if one.subject.startswith("gate")]
    assert gate.fact.startswith("0 jobs are ahead of it; 1 agents may take it: checker")
    assert "old cannot check" in gate.fact
    checker.agent = able
    assert only(checker.claim()).kind == "check"


def test_an_order_changes_nothing_and_keeps_its_findings(checker: Farm) -> None:
    asked = build_hello(checker)
    (build,) = asked.builds
    assert checker.request(asked.id).state == "ready"
    checks.order_checks(checker.hub, ADMIN, build, CheckAsk(names=("lintian",)))
    claimed = only(checker.claim())
    finish(checker, claimed, [report("lintian", "failed")], status="failed", message="error: hello: bad")
    assert finish(
        checker, claimed, [report("lintian", "failed")], status="failed", message="error: hello: bad"
    ).accepted
    checker.settle()
    assert checker.build(build).state == "installed"
    (found,) = checks_of(checker, build)
    assert (found.state, found.gate, found.reason) == ("failed", False, "error: hello: bad")
    assert [finding.tag for finding in found.reports[0].findings] == ["bad"]
    sha256 = checks.find_check_log(checker.hub, build, found.id, "lintian")
    with checker.hub.blobs.open(sha256) as file:
        assert file.read() == b"log of lintian"
    for wrong in ((build, found.id, "install"), (build, 99, "lintian"), (99, found.id, "lintian")):
        with pytest.raises(NotFound):
            checks.find_check_log(checker.hub, *wrong)


def test_what_cannot_be_checked_is_refused(checker: Farm) -> None:
    with pytest.raises(NotFound, match="no build 7"):
        checks.order_checks(checker.hub, ADMIN, 7, CheckAsk())
    with pytest.raises(NotFound, match="no target nowhere"):
        targets.set_checks(checker.hub, ADMIN, "nowhere", PLAN)
    (build,) = checker.ask(checker.add_source("hello")).builds
    with pytest.raises(Conflict, match="has no packages for amd64"):
        checks.order_checks(checker.hub, ADMIN, build, CheckAsk())
    checker.finish(only(checker.claim()), "built", files={"hello_1.0_amd64.deb": make_deb("hello", "1.0")})
    checker.settle()
    with pytest.raises(Failure, match=r"has 0 \.changes files"):
        checks.order_checks(checker.hub, ADMIN, build, CheckAsk())
    with pytest.raises(NotFound, match="is not for mips"):
        checks.order_checks(checker.hub, ADMIN, build, CheckAsk(arches=("mips",)))


def test_a_cancelled_build_stops_its_checks_and_stays_out(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    asked = build_hello(checker)
    (build,) = asked.builds
    claimed = only(checker.claim())
    requests.cancel_build(checker.hub, ADMIN, build)
    beat = attempts.beat(checker.hub, checker.agent, claimed.job, claimed.attempt, claimed.grant)
    assert beat.cancel
    finish(checker, claimed, [report("lintian"), report("install")])  # it was done before it heard
    checker.settle()
    assert checks_of(checker, build)[0].state == "cancelled"
    assert checker.build(build).state == "cancelled"
    assert checker.request(asked.id).state == "failed"
    assert binaries(checker, SUITE) == set()


def test_a_check_whose_builders_vanish_fails_the_gate(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    asked = build_hello(checker)
    for name in ("one", "two", "three"):
        claimed = checker.claim()
        if claimed is None:
            break
        finish(checker, claimed, [], status="host", message=f"{name} has no disk")
        checker.with_agent(name, "check")
    checker.settle()
    (found,) = checks_of(checker, asked.builds[0])
    assert found.state is CheckState.ERROR
    assert checker.request(asked.id).state == "failed"


def test_scratch_builds_are_checked_and_held_by_no_gate(checker: Farm) -> None:
    targets.set_checks(checker.hub, ADMIN, SUITE, PLAN)
    needed = model.PackagesNeeded(
        target=SUITE, arches=("amd64",), packages=(checker.add_source("hello"),), scratch=True
    )
    id_ = requests.need_packages(checker.hub, ADMIN, needed)
    checker.finish_well(only(checker.claim()))
    checker.settle()
    assert checker.request(id_).state == "ready"
    finish(checker, only(checker.claim()), [report("lintian", "failed")], status="failed", message="bad")
    checker.settle()
    (build,) = checker.request(id_).builds
    assert checker.build(build).state == "kept"
    assert [(one.state, one.gate) for one in checks_of(checker, build)] == [("failed", False)]


def test_a_target_says_what_is_checked(farm: Farm) -> None:
    assert targets.set_checks(farm.hub, ADMIN, SUITE, PLAN).checks == PLAN
    plain = model.Target(name=SUITE, preset="debian-trixie", suite=SUITE, arches=("amd64",))
    assert targets.ensure_target(farm.hub, ADMIN, plain).checks == PLAN, "who says nothing of checks changes none"
    with pytest.raises(Conflict):
        targets.ensure_target(farm.hub, ADMIN, plain.model_copy(update={"checks": CheckPlan(names=("blhc",))}))
    assert targets.set_checks(farm.hub, ADMIN, SUITE, None).checks is None


def test_the_last_architecture_opens_the_gate(farm: Farm) -> None:
    """Whichever it is: packages come in when all are built and the newest checks of all have passed."""
    arches = ("amd64", "arm64")
    target = model.Target(name="two", preset="debian-trixie", suite="two", arches=arches, checks=PLAN)
    targets.ensure_target(farm.hub, ADMIN, target)
    farm.settle()
    ask = model.Enrol(name="both", token=secrets.token_urlsafe(32), arches=arches, capabilities=("check",))
    agents.enrol(farm.hub, ask, state=model.AgentState.APPROVED)
    with farm.hub.db.read() as db:
        farm.agent = int(agents._row(db, "both").id)
    needed = model.PackagesNeeded(target="two", arches=arches, packages=(farm.add_source("hello"),))
    id_ = requests.need_packages(farm.hub, ADMIN, needed)
    checks_left = []
    for claimed in [only(farm.claim()) for _ in arches]:
        arch = claimed.spec["job"]["target"]["arch"]
        deb = {f"hello_1.0_{arch}.deb": make_deb("hello", "1.0", arch=arch)}
        changes = make_changes("hello", "1.0", deb).replace(b"Architecture: amd64", f"Architecture: {arch}".encode())
        farm.finish(claimed, "built", files={**deb, f"hello_1.0_{arch}.changes": changes})
        farm.settle()
        checks_left.append(only(farm.claim()))
        assert checks_left[-1].spec["job"]["target"]["arch"] == arch
    for claimed in reversed(checks_left):
        assert binaries(farm, "two") == set()
        finish(farm, claimed, [report("lintian"), report("install")])
        farm.settle()
    assert binaries(farm, "two") == {("hello", "amd64", "1.0"), ("hello", "arm64", "1.0")}
    assert farm.request(id_).state == "ready"
