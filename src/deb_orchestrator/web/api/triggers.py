"""Branches that are built when they move; /hook/… is what the host of a repository calls."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response

from deb_orchestrator.services import sight, triggers
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.web.api.context import Admin, Client, HubDep, ParkingDep
from debcore.hub import doors, model

router = APIRouter(prefix="/triggers")
hooks = APIRouter()

Wait = Annotated[float, Query(ge=0, le=50)]


@router.post("", status_code=201)
def add_trigger(hub: HubDep, who: Admin, ask: doors.TriggerAsk) -> doors.Trigger:
    """Build a branch when it moves; `hook` is the path that the repository's host is to call by POST."""
    return triggers.add_trigger(hub, who, ask)


@router.get("")
def list_triggers(hub: HubDep, who: Client) -> list[doors.Trigger]:
    return triggers.list_triggers(hub, sight=sight.find_sight(hub, who))


@router.get("/due")
async def list_due(hub: HubDep, parking: ParkingDep, who: Client, wait: Wait = 0) -> list[doors.Trigger]:
    """What a runner is to look at; *wait*: seconds to hold the answer until there is something."""

    async def look() -> list[doors.Trigger] | None:
        return await asyncio.to_thread(_find_due, hub, who) or None

    return await parking.until(lambda topics: triggers.TOPIC in topics, wait, look) or []


def _find_due(hub: Hub, who: Principal) -> list[doors.Trigger]:
    return triggers.list_due(hub, sight=sight.find_sight(hub, who))


@router.delete("/{name}", status_code=204)
def remove_trigger(hub: HubDep, who: Admin, name: model.Name) -> Response:
    triggers.remove_trigger(hub, who, name)
    return Response(status_code=204)


@router.post("/{name}/look")
def take_look(hub: HubDep, who: Client, name: model.Name) -> dict[str, bool]:
    """Before a runner looks: `mine` is true for one of them."""
    triggers.check_trigger(hub, who, name)
    return {"mine": triggers.take_look(hub, name)}


@router.put("/{name}/look")
def keep_look(hub: HubDep, who: Client, name: model.Name, looked: doors.Looked) -> doors.Trigger:
    triggers.check_trigger(hub, who, name)
    return triggers.keep_look(hub, who, name, looked)


@hooks.post("/hook/{secret}", status_code=204, include_in_schema=False)
def call(hub: HubDep, secret: str) -> Response:
    """The body, whatever it is, is not looked at."""
    triggers.call(hub, secret)
    return Response(status_code=204)
