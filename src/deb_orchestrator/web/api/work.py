"""Requests, builds and targets, for clients."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response

from deb_orchestrator.services import checks, queries, rebuilds, requests, sight, targets, why
from deb_orchestrator.web.api.context import Admin, BuildReader, Client, HubDep, ParkingDep, RequestReader, TargetReader
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.checks import CheckAsk, ChecksAsk
from debcore.hub.hosts import RequiresAsk
from debcore.hub.suites import RebuildPlan

router = APIRouter()

Wait = Annotated[float, Query(ge=0, le=50)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0)]
#: Bytes of log in one answer.
MAX_LOG = 4 * 1024 * 1024


@router.post("/requests")
def need_packages(hub: HubDep, who: Client, needed: model.PackagesNeeded, retry: bool = False) -> model.Request:
    """Message 1: the same content is the same request."""
    sight.check_target(hub, who, needed.target)
    sight.check_sources(hub, who, [(file.name, file.sha256) for one in needed.packages for file in one.files])
    return queries.get_request(hub, requests.need_packages(hub, who, needed, retry=retry))


@router.get("/requests")
def list_requests(hub: HubDep, who: Client, state: str | None = None, limit: Limit = 50) -> list[model.Request]:
    return queries.list_requests(hub, state=state, limit=limit, sight=sight.find_sight(hub, who))


@router.get("/requests/{id_}")
async def get_request(hub: HubDep, parking: ParkingDep, _who: RequestReader, id_: str, wait: Wait = 0) -> model.Request:
    """*wait*: seconds to hold the answer while the request is open."""

    async def look() -> model.Request | None:
        found = await asyncio.to_thread(queries.get_request, hub, id_)
        return None if found.state == model.RequestState.OPEN else found

    ended = await parking.until(lambda topics: "event" in topics, wait, look)
    if ended is not None:
        return ended
    return await asyncio.to_thread(queries.get_request, hub, id_)


@router.post("/requests/{id_}/cancel")
def cancel_request(hub: HubDep, who: RequestReader, id_: str) -> model.Request:
    requests.cancel_request(hub, who, id_)
    return queries.get_request(hub, id_)


@router.get("/builds")
def list_builds(
    hub: HubDep, who: Client, source: str | None = None, target: str | None = None, suite: str | None = None,
    request: str | None = None, before: int | None = None, limit: Limit = 50,
) -> list[model.Build]:  # fmt: skip
    """Newest first; *before* is a build id."""
    return queries.list_builds(
        hub, source_name=source, target=target, suite_name=suite, request_id=request, before=before, limit=limit,
        sight=sight.find_sight(hub, who),
    )  # fmt: skip


@router.get("/builds/{id_}")
def get_build(hub: HubDep, _who: BuildReader, id_: int) -> model.Build:
    return queries.get_build(hub, id_)


@router.post("/builds/{id_}/cancel")
def cancel_build(hub: HubDep, who: BuildReader, id_: int) -> model.Build:
    requests.cancel_build(hub, who, id_)
    return queries.get_build(hub, id_)


@router.post("/builds/{id_}/resubmit")
def resubmit_build(hub: HubDep, who: BuildReader, id_: int) -> model.Build:
    """A new build for the same requests."""
    return queries.get_build(hub, requests.resubmit_build(hub, who, id_))


@router.get("/builds/{id_}/why")
def explain_build(hub: HubDep, who: BuildReader, id_: int) -> list[model.Reason]:
    return why.explain_build(hub, id_, frank=sight.find_sight(hub, who).whole)


@router.get("/builds/{id_}/events")
def list_build_events(hub: HubDep, _who: BuildReader, id_: int) -> list[model.Event]:
    return queries.list_build_events(hub, id_)


@router.get("/builds/{id_}/{arch}/log", response_class=Response)
def read_log(
    hub: HubDep, _who: BuildReader, id_: int, arch: str, offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LOG)] = 2**20,
) -> Response:  # fmt: skip
    """Bytes from *offset*. X-Log-Complete: 1 says that nothing will be added."""
    data, complete = queries.read_log(hub, id_, arch, offset, limit)
    headers = {"X-Log-Complete": str(int(complete)), "X-Log-Next": str(offset + len(data)), "Cache-Control": "no-store"}
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


@router.post("/builds/{id_}/checks")
def order_checks(hub: HubDep, who: BuildReader, id_: int, ask: CheckAsk) -> model.Build:
    """Check what was built, once more or for the first time."""
    checks.order_checks(hub, who, id_, ask)
    return queries.get_build(hub, id_)


@router.get("/builds/{id_}/checks/{check}/{name}/log", response_class=Response)
def read_check_log(
    hub: HubDep, _who: BuildReader, id_: int, check: int, name: str, offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LOG)] = 2**20,
) -> Response:  # fmt: skip
    """Bytes from *offset* of what the program of one check printed."""
    data = queries.read_blob(hub, checks.find_check_log(hub, id_, check, name), offset, limit)
    return Response(data, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


@router.put("/targets/{name}/checks")
def set_checks(hub: HubDep, who: Admin, name: str, ask: ChecksAsk) -> model.Target:
    """What is checked of the target's builds from now on."""
    return targets.set_checks(hub, who, name, ask.plan)


@router.put("/targets/{name}/requires")
def set_requires(hub: HubDep, who: Admin, name: str, ask: RequiresAsk) -> model.Target:
    """What the target's builds require of their builders from now on."""
    return targets.set_requires(hub, who, name, ask.requires)


@router.get("/targets")
def list_targets(hub: HubDep, who: Client) -> list[model.Target]:
    return queries.list_targets(hub, sight=sight.find_sight(hub, who))


@router.get("/targets/{name}")
def get_target(hub: HubDep, _who: TargetReader, name: str) -> model.Target:
    return queries.get_target(hub, name)


@router.get("/targets/{name}/rebuild-plan")
def plan_rebuild(
    hub: HubDep,
    _who: TargetReader,
    name: str,
    of: Annotated[list[model.SourceName], Query(min_length=1, max_length=200)],
) -> RebuildPlan:
    """What build-depends on packages of the sources *of* in the target's suite, in the order of building."""
    return rebuilds.plan_rebuild(hub, name, of)


@router.post("/targets/{name}/binnmus")
def ask_binnmu(hub: HubDep, who: TargetReader, name: str, ask: model.BinNmuAsk) -> model.Request:
    """Build sources that the target's suite has anew, with +bN after their version."""
    return queries.get_request(hub, rebuilds.ask_binnmu(hub, who, name, ask))


@router.put("/targets/{name}")
def ensure_target(hub: HubDep, who: Client, name: str, wanted: model.Target) -> model.Target:
    """Make target and suite unless they are there; 409 if the target has other settings."""
    if wanted.name != name:
        raise Failure(f"the path names {name[:64]}, the body {wanted.name}")
    return targets.ensure_target(hub, who, wanted)
