"""What was and is: jobs of every kind, packages, and who changed what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from deb_orchestrator.services import history, packages, tasks
from deb_orchestrator.services.search import search as find
from deb_orchestrator.web.api.context import Client, HubDep
from debcore.hub import records as wire

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=1000)]
#: As PostgreSQL's bigint bounds it.
Number = Annotated[int, Query(ge=0, lt=2**63)]
Text = Annotated[str, Query(max_length=128)]
Job = Annotated[int, Path(ge=0, lt=2**63)]


@router.get("/jobs")
def list_jobs(
    hub: HubDep, who: Client, state: Text | None = None, kind: Text | None = None, arch: Text | None = None,
    owner: Text | None = None, agent: Text | None = None, before: Number | None = None, limit: Limit = 50,
) -> list[wire.Task]:  # fmt: skip
    """Newest first. *state*: one of a job's, or `open`; *agent*: who has it, or had it last."""
    wanted = tasks.WantedTasks(state=state, kind=kind, arch=arch, owner=owner, agent=agent, before=before)
    return tasks.list_tasks(hub, who, wanted, limit=limit)


@router.get("/jobs/{number}")
def get_job(hub: HubDep, who: Client, number: Job) -> wire.TaskShow:
    """One job, with what it went through and why it waits."""
    return tasks.get_task(hub, who, number)


@router.get("/packages")
def list_packages(
    hub: HubDep, who: Client, suite: Text | None = None, part: Text = "", after: Text = "", limit: Limit = 500
) -> list[wire.PackageLine]:
    """Source packages by name: of all builds and suites, or as *suite* sees them."""
    return packages.list_packages(hub, who, suite=suite, part=part, after=after, limit=limit)


@router.get("/packages/{name}")
def get_package(hub: HubDep, who: Client, name: str) -> wire.Package:
    """Which suites hold it, and its builds."""
    return packages.get_package(hub, who, name)


@router.get("/search")
def search(hub: HubDep, who: Client, q: Text) -> wire.Found:
    """Sources, packages, suites, hosts and builds with *q* in their name."""
    found = find(hub, who, q)
    packages_ = tuple(wire.FoundPackage(name=one.name, source=one.source, suites=one.suites) for one in found.packages)
    return wire.Found(
        build=found.build, sources=found.sources, packages=packages_, suites=found.suites, hosts=found.hosts
    )


@router.get("/history")
def list_history(
    hub: HubDep, client: Client, suite: Text | None = None, package: Text | None = None, target: Text | None = None,
    host: Text | None = None, who: Text | None = None, before: Number | None = None, limit: Limit = 50,
) -> wire.History:  # fmt: skip
    """What changed, newest first, and whose will it was. A page may be short: go on with `older`."""
    wanted = history.WantedChanges(suite=suite, package=package, target=target, host=host, who=who, before=before)
    return history.list_changes(hub, client, wanted, limit=limit)
