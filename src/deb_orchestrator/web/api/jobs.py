"""Jobs for agents and signers: claim, beat, log, events, finish. A 409 says that the attempt is over: stop."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from deb_orchestrator.services import agents, attempts
from deb_orchestrator.services.hub import Denied
from deb_orchestrator.web.api.context import Claimant, HubDep, LineDep
from debcore.errors import Failure
from debcore.hub import model

router = APIRouter()

Held = tuple[int, int, str]


def held_attempt(
    job_id: int,
    grant: Annotated[str, Header(alias="X-Grant", max_length=128)],
    attempt: Annotated[int, Header(alias="X-Attempt")],
) -> Held:
    """Job, attempt and grant; the statements check them."""
    return job_id, attempt, grant


HeldDep = Annotated[Held, Depends(held_attempt)]


@router.post("/jobs/claim", response_model=model.Claimed, responses={204: {"description": "no work"}})
async def claim(hub: HubDep, line: LineDep, who: Claimant, ask: model.ClaimAsk) -> model.Claimed | Response:
    """Park up to `wait` seconds for a job. The same claim id gets the same job again."""
    agent = _agent(who.agent)

    async def look(first: bool) -> agents.Look:
        started = time.monotonic()
        found = await asyncio.to_thread(agents.claim, hub, agent, ask, first=first)
        if found.claimed is not None:
            hub.metrics.claims.observe(time.monotonic() - started)
            if found.claimed.waited_s is not None:
                hub.metrics.starts.observe(found.claimed.waited_s, kind=found.claimed.kind)
        return found

    got = await line.wait(agent, ask.wait, look)
    if got is None:
        return Response(status_code=204)
    return model.Claimed(
        job=got.job,
        attempt=got.attempt,
        grant=got.grant,
        lease_s=got.lease_s,
        kind=got.kind,
        spec=got.spec,
        trace=got.trace,
    )


@router.post("/jobs/{job_id}/beat")
def beat(hub: HubDep, who: Claimant, held: HeldDep, ask: model.BeatAsk) -> model.Beat:
    got = attempts.beat(hub, _agent(who.agent), held[0], ask.attempt, held[2])
    return model.Beat(cancel=got.cancel, lease_s=got.lease_s, make_room=got.make_room)


@router.post("/jobs/{job_id}/events", status_code=204)
def send_events(hub: HubDep, who: Claimant, held: HeldDep, ask: model.AgentEvents) -> Response:
    """Lines of deb-mock's events; environment.ready goes into the hub's log."""
    attempts.take_events(hub, _agent(who.agent), held, ask.events)
    return Response(status_code=204)


@router.put("/jobs/{job_id}/log")
async def put_log(
    hub: HubDep, who: Claimant, held: HeldDep, request: Request, offset: Annotated[int, Query(ge=0)]
) -> dict[str, int]:
    """A piece of the live log at *offset*; `next` is the offset that the hub wants to see next."""
    piece = bytearray()
    async for part in request.stream():
        piece += part
        if len(piece) > attempts.MAX_PIECE:
            raise Failure(f"a piece of log has at most {attempts.MAX_PIECE} bytes")
    agent = _agent(who.agent)
    return {"next": await asyncio.to_thread(attempts.put_log, hub, agent, held, offset, bytes(piece))}


@router.post("/jobs/{job_id}/finish")
def finish(hub: HubDep, who: Claimant, held: HeldDep, ask: model.FinishAsk) -> model.Finished:
    """The result. The same again is answered the same; another result of the same attempt is a 409."""
    return attempts.finish(hub, _agent(who.agent), (held[0], ask.attempt, held[2]), ask)


@router.post("/jobs/{job_id}/release", status_code=204)
def release(hub: HubDep, who: Claimant, held: HeldDep, ask: model.ReleaseAsk) -> Response:
    """Give the attempt back unfinished and without blame: the agent stops."""
    attempts.release(hub, _agent(who.agent), (held[0], ask.attempt, held[2]), ask.reason)
    return Response(status_code=204)


def _agent(id_: int | None) -> int:
    if id_ is None:
        raise Denied("only agents claim jobs", hint="use the agent's token")
    return id_
