"""Agents, tokens, login links (web/ui takes them), events and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from deb_orchestrator.services import agents, people, queries, sight
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.web.api.context import Admin, Claimant, Client, HubDep, ParkingDep, base_url
from deb_orchestrator.web.api.parking import Parking
from debcore.hub import model
from debcore.hub.envelope import BATCH_TYPE, make_envelope

router = APIRouter()

Wait = Annotated[float, Query(ge=0, le=50)]
#: Seconds after which a quiet stream says that it is alive.
ALIVE_S = 15


@router.get("/health")
def health(hub: HubDep) -> model.Health:
    """Answers if the database does; needs no token."""
    from importlib.metadata import version

    queries.find_last_event(hub)
    return model.Health(ok=True, version=version("deb-bootc-ecosystem"), api=model.API)


@router.get("/events")
async def list_events(
    hub: HubDep, parking: ParkingDep, who: Client, after: int = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500, wait: Wait = 0, request: str | None = None,
) -> list[model.Event]:  # fmt: skip
    """Events above *after* that the caller sees, oldest first; *wait*: seconds to hold the answer until one comes."""

    async def look() -> list[model.Event] | None:
        return await asyncio.to_thread(queries.list_events, hub, after, limit, request_id=request, who=who) or None

    return await parking.until(lambda topics: "event" in topics, wait, look) or []


@router.get("/events/cloudevents", response_class=JSONResponse, responses={200: {"content": {BATCH_TYPE: {}}}})
async def list_cloudevents(
    hub: HubDep, parking: ParkingDep, who: Client, request: Request, after: int = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500, wait: Wait = 0,
) -> JSONResponse:  # fmt: skip
    """The same as CloudEvents, in the JSON batch format; /schemas/events has the schema of each type."""
    found = await list_events(hub, parking, who, after, limit, wait, None)
    source = base_url(request)
    batch = [make_envelope(event, source).model_dump(mode="json", exclude_none=True) for event in found]
    return JSONResponse(batch, media_type=BATCH_TYPE)


@router.get("/events/stream", response_class=StreamingResponse)
async def stream_events(
    hub: HubDep, parking: ParkingDep, who: Client, after: int = 0, request: str | None = None,
    last: Annotated[int | None, Header(alias="Last-Event-ID")] = None,
) -> StreamingResponse:  # fmt: skip
    """Server-sent events; a browser that comes back goes on where it was."""
    stream = _stream(hub, parking, who, last if last is not None else after, request)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _stream(hub: Hub, parking: Parking, who: Principal, after: int, request_id: str | None) -> AsyncIterator[str]:
    async def look() -> list[model.Event] | None:
        return await asyncio.to_thread(queries.list_events, hub, after, 500, request_id=request_id, who=who) or None

    while not parking.closed:
        found = await parking.until(lambda topics: "event" in topics, ALIVE_S, look)
        for event in found or ():
            yield f"id: {event.n}\nevent: {event.type}\ndata: {event.model_dump_json(exclude_none=True)}\n\n"
            after = event.n
        if not found:
            yield ": alive\n\n"


@router.post("/agents", status_code=201)
def enrol(hub: HubDep, ask: model.Enrol) -> model.Agent:
    """Ask to be let in; needs no token but the one that the agent made. It may do nothing until approved."""
    return agents.enrol(hub, ask)


@router.get("/agents/me")
def get_me(hub: HubDep, who: Claimant) -> model.Agent:
    """403 while it waits to be approved, and after it was revoked."""
    return agents.find_agent(hub, who.name)


@router.get("/agents")
def list_agents(hub: HubDep, who: Client) -> list[model.Agent]:
    return sight.list_agents(hub, who)


@router.post("/agents/{name}/approve")
def approve(hub: HubDep, who: Admin, name: str) -> model.Agent:
    return agents.approve(hub, who, name)


@router.post("/agents/{name}/revoke")
def revoke(hub: HubDep, who: Admin, name: str) -> model.Agent:
    return agents.revoke(hub, who, name)


@router.get("/tokens")
def list_tokens(hub: HubDep, _who: Admin) -> list[model.Token]:
    return people.list_tokens(hub)


@router.post("/tokens", status_code=201)
def make_token(hub: HubDep, who: Admin, ask: model.TokenAsk) -> model.Token:
    return people.make_token(hub, who, ask)


@router.delete("/tokens/{id_}", status_code=204)
def revoke_token(hub: HubDep, who: Admin, id_: int) -> Response:
    people.revoke_token(hub, who, id_)
    return Response(status_code=204)


@router.post("/login-links", status_code=201)
def make_login_link(hub: HubDep, who: Client, request: Request) -> model.LoginLink:
    """A URL that signs one browser in, once, with the caller's scope."""
    secret, expires_at = people.make_login_link(hub, who)
    return model.LoginLink(url=f"{base_url(request)}/login/{secret}", expires_at=as_datetime(expires_at))
