"""What the hub keeps: retention, pins, collections."""

from __future__ import annotations

from fastapi import APIRouter, Response

from deb_orchestrator.services import collect, pins
from deb_orchestrator.web.api.context import Admin, Client, HubDep
from debcore.hub import model, upkeep

router = APIRouter()


@router.get("/retention")
def get_retention(hub: HubDep, _who: Client) -> upkeep.Retention:
    return collect.get_retention(hub)


@router.put("/retention")
def put_retention(hub: HubDep, who: Admin, wanted: upkeep.Retention) -> upkeep.Retention:
    """Change it all; what is left out becomes the default."""
    return collect.set_retention(hub, who, wanted)


@router.get("/gc")
def plan_collection(hub: HubDep, _who: Admin) -> upkeep.CollectPlan:
    """What a collection would find now, and what keeps the rest. Changes nothing."""
    return collect.plan_collection(hub)


@router.post("/gc", status_code=202)
def ask_collection(hub: HubDep, who: Admin) -> upkeep.CollectJob:
    """A job of the hub's removes what was marked an hour ago and marks what nothing uses now."""
    return collect.ask_collection(hub, who)


@router.get("/gc/{job}")
def get_collection(hub: HubDep, _who: Admin, job: int) -> upkeep.CollectJob:
    return collect.get_collection(hub, job)


@router.get("/pins")
def list_pins(hub: HubDep, who: Client) -> list[upkeep.Pin]:
    """Where some suite is hidden from the caller, the caller's own."""
    return pins.list_pins(hub, who)


@router.put("/pins/{name}")
def put_pin(hub: HubDep, who: Client, name: model.Name, ask: upkeep.PinAsk) -> upkeep.Pin:
    """Keep these files until the pin is removed. The hub's own are meant; others are counted as `unknown`."""
    return pins.put_pin(hub, who, name, ask)


@router.delete("/pins/{name}", status_code=204)
def remove_pin(hub: HubDep, who: Client, name: model.Name) -> Response:
    pins.remove_pin(hub, who, name)
    return Response(status_code=204)
