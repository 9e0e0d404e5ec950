"""Builders as an admin decides about them, and the farm as a whole."""

from __future__ import annotations

from fastapi import APIRouter

from deb_orchestrator.services import agents, hosts, sight
from deb_orchestrator.web.api.context import Admin, Client, HubDep
from debcore.hub import hosts as wire
from debcore.hub import model

router = APIRouter()


@router.get("/farm")
def get_farm(hub: HubDep, _who: Client) -> wire.Farm:
    return hosts.get_farm(hub)


@router.put("/farm/maintenance")
def set_maintenance(hub: HubDep, who: Admin, ask: wire.HostAsk) -> wire.Farm:
    """With a reason no builder gets new work; what runs goes on."""
    return hosts.set_maintenance(hub, who, ask.reason)


@router.put("/pools/{name}/trust")
def set_trust(hub: HubDep, who: Admin, name: wire.Pool, ask: wire.TrustAsk) -> wire.Farm:
    return hosts.set_trust(hub, who, name, ask.trust)


@router.get("/agents/{name}")
def get_agent(hub: HubDep, who: Client, name: str) -> model.Agent:
    return sight.veil(hub, who, agents.find_agent(hub, name))


@router.put("/agents/{name}/disabled")
def set_disabled(hub: HubDep, who: Admin, name: str, ask: wire.HostAsk) -> model.Agent:
    """With a reason it gets no new work; without it gets work again, out of quarantine too."""
    return hosts.set_disabled(hub, who, name, ask.reason)


@router.put("/agents/{name}/pool")
def set_pool(hub: HubDep, who: Admin, name: str, ask: wire.PoolAsk) -> model.Agent:
    return hosts.set_pool(hub, who, name, ask.pool)
