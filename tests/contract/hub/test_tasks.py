"""Tasks of composes that the farm carries out: ordered once, for whoever can, read by who ordered. Both databases."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from deb_orchestrator.domain import jobs
from deb_orchestrator.services import attempts, compose_tasks, repos, sight
from deb_orchestrator.services.hub import Conflict, NotFound, Principal
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.repos import SuiteSettings
from debcore.hub.tasks import TaskAsk
from debcore.job import Input, Job, Target
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

ALICE, BOB = (Principal(name=name, scope="client") for name in ("alice", "bob"))
SPEC = b'{"suite": "trixie"}'


@pytest.fixture
def maker(farm: Farm) -> Farm:
    """The farm with an agent that can do tasks, beside the builder that cannot."""
    return farm.with_agent("maker", "task")


def make_ask(farm: Farm, *, content: bytes = SPEC, arch: str = "amd64", suite: str = "", **more: Any) -> TaskAsk:
    inputs = (Input(path="spec.json", sha256=farm.put(content), size=len(content)),)
    target = Target(preset=f"debian-trixie-{arch}", arch=arch)
    job = Job(**({"kind": "task", "job": "0", "inputs": inputs, "target": target, "task": {"kind": "tree"}} | more))
    return TaskAsk(arch=arch, job=job, suite=suite)


def finish(farm: Farm, claimed: jobs.Claimed, *, status: str = "built", message: str = "") -> model.Finished:
    tree = b"a tree"
    result: dict[str, Any] = {"job": str(claimed.job), "attempt": claimed.attempt, "status": status}
    if status == "built":
        result["outputs"] = [{"path": "tree.tar.zst", "sha256": farm.put(tree), "size": len(tree), "kind": "file"}]
    else:
        result["failure"] = {"stage": "tree", "kind": "tree", "message": message}
    digest = hashlib.sha256(repr(result).encode()).hexdigest()
    ask = model.FinishAsk(attempt=claimed.attempt, result=result, hash=digest)
    return attempts.finish(farm.hub, farm.agent, (claimed.job, claimed.attempt, claimed.grant), ask)


def test_an_order_is_one_job_until_it_has_failed(maker: Farm) -> None:
    ask = make_ask(maker)
    number = compose_tasks.order_task(maker.hub, ALICE, ask)
    assert compose_tasks.order_task(maker.hub, ALICE, ask) == number
    claimed = only(maker.claim())
    assert (claimed.job, claimed.kind) == (number, "task")
    assert model.BuildSpec.model_validate(claimed.spec).job == ask.job
    running = compose_tasks.get_task(maker.hub, ALICE, number)
    assert (running.state, running.agent, running.result) == ("running", "maker", None)
    finish(maker, claimed, status="failed", message="the archive packages do not install")
    failed = compose_tasks.get_task(maker.hub, ALICE, number)
    assert (failed.state, failed.reason) == ("failed", "the archive packages do not install")
    assert failed.result is not None
    again = compose_tasks.order_task(maker.hub, ALICE, ask)
    assert again != number
    finish(maker, only(maker.claim()))
    done = compose_tasks.get_task(maker.hub, ALICE, again)
    assert done.state == "succeeded"
    assert done.result is not None
    assert [output.path for output in done.result.outputs] == ["tree.tar.zst"]
    assert compose_tasks.order_task(maker.hub, ALICE, ask) == again, "what is there is not made again"
    assert maker.claim() is None


def test_dependencies_that_cannot_be_met_fail_a_task(maker: Farm) -> None:
    number = compose_tasks.order_task(maker.hub, ALICE, make_ask(maker))
    finish(maker, only(maker.claim()), status="deps", message="libc6 is missing")
    assert compose_tasks.get_task(maker.hub, ALICE, number).state == "failed"


def test_who_can_not_do_tasks_gets_none(farm: Farm) -> None:
    number = compose_tasks.order_task(farm.hub, ALICE, make_ask(farm))
    assert farm.claim() is None
    (reason,) = compose_tasks.get_task(farm.hub, ALICE, number).why
    assert "no approved agent builds for amd64 and can task: builder" in reason.fact


def test_only_who_ordered_it_reads_and_cancels_it(maker: Farm) -> None:
    number = compose_tasks.order_task(maker.hub, ALICE, make_ask(maker))
    for call in (compose_tasks.get_task, compose_tasks.cancel_task):
        with pytest.raises(NotFound):
            call(maker.hub, BOB, number)
    assert compose_tasks.get_task(maker.hub, ADMIN, number).state == "queued"
    assert compose_tasks.cancel_task(maker.hub, ALICE, number).state == "cancelled"
    with pytest.raises(Conflict, match="cancelled"):
        compose_tasks.cancel_task(maker.hub, ALICE, number)
    assert compose_tasks.order_task(maker.hub, ALICE, make_ask(maker)) != number
    build = maker.ask(maker.add_source("hello")).builds[0]
    job = maker.build(build).arches[0].job
    assert job is not None
    with pytest.raises(NotFound):
        compose_tasks.get_task(maker.hub, ADMIN, job)


def test_inputs_are_here_and_jobs_are_tasks(maker: Farm) -> None:
    missing = (Input(path="spec.json", sha256="f" * 64, size=1),)
    with pytest.raises(Failure, match=r"spec\.json was not uploaded"):
        compose_tasks.order_task(maker.hub, ALICE, make_ask(maker, inputs=missing))
    with pytest.raises(Failure, match="of kind build is no task"):
        compose_tasks.order_task(maker.hub, ALICE, make_ask(maker, kind="build"))
    assert maker.claim() is None


def test_what_came_of_a_private_suite_is_seen_by_who_ordered_it_alone(maker: Farm) -> None:
    repos.set_settings(maker.hub, ADMIN, SUITE, SuiteSettings(private=True))
    with pytest.raises(NotFound, match="no suite"):
        compose_tasks.order_task(maker.hub, ALICE, make_ask(maker, suite=SUITE, content=b"{}", inputs=()))
    content = make_ask(maker)
    with pytest.raises(Failure, match="was not uploaded"):
        compose_tasks.order_task(maker.hub, ALICE, content)  # it is hers only if she sent it
    number = compose_tasks.order_task(maker.hub, ALICE, make_ask(maker, inputs=()))
    finish(maker, only(maker.claim()))
    done = compose_tasks.get_task(maker.hub, ALICE, number)
    assert done.result is not None
    (tree,) = done.result.outputs
    assert sight.sees_blob(maker.hub, ALICE, tree.sha256)
    assert not sight.sees_blob(maker.hub, BOB, tree.sha256)


def test_a_result_that_speaks_of_a_blob_shows_it_to_nobody(maker: Farm) -> None:
    repos.set_settings(maker.hub, ADMIN, SUITE, SuiteSettings(private=True))
    other = maker.put(b"another's")
    compose_tasks.order_task(maker.hub, ALICE, make_ask(maker, inputs=()))
    finish(maker, only(maker.claim()), status="failed", message=f"look at {other}")
    assert not sight.sees_blob(maker.hub, ALICE, other)
