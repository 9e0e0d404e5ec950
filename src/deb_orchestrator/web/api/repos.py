"""What people decide about suites as repositories."""

from __future__ import annotations

from fastapi import APIRouter, Request

from deb_orchestrator.services import keys, repos, snapshots
from deb_orchestrator.web.api.context import HubDep, SuiteManager, SuiteReader, base_url
from debcore.hub import repos as wire

router = APIRouter()


@router.get("/suites/{name}/settings")
def get_settings(hub: HubDep, _who: SuiteReader, name: str) -> wire.SuiteSettings:
    return repos.get_settings(hub, name)


@router.put("/suites/{name}/settings")
def put_settings(hub: HubDep, who: SuiteManager, name: str, settings: wire.SuiteSettings) -> wire.SuiteSettings:
    """Change them all. What they ask for is published by itself."""
    return repos.set_settings(hub, who, name, settings)


@router.post("/suites/{name}/snapshots", status_code=201)
def make_snapshot(hub: HubDep, who: SuiteReader, request: Request, name: str, ask: wire.SnapshotAsk) -> wire.Snapshot:
    """The suite as of an event or a moment as a repository of its own. Asking again gives the same."""
    return snapshots.make_snapshot(hub, who, name, ask, base_url=base_url(request))


@router.get("/suites/{name}/snapshots")
def list_snapshots(hub: HubDep, _who: SuiteReader, request: Request, name: str) -> list[wire.Snapshot]:
    return snapshots.list_snapshots(hub, name, base_url=base_url(request))


@router.get("/suites/{name}/keys")
def list_keys(hub: HubDep, _who: SuiteReader, name: str) -> list[wire.SuiteKey]:
    return keys.get_keys(hub, name)


@router.post("/suites/{name}/keys", status_code=201)
def add_key(hub: HubDep, who: SuiteManager, name: str) -> list[wire.SuiteKey]:
    """Have the signer make another key, by which the suite is signed too; 409 while one is under way."""
    return keys.add_key(hub, who, name)


@router.delete("/suites/{name}/keys/{fingerprint}")
def retire_key(hub: HubDep, who: SuiteManager, name: str, fingerprint: str) -> list[wire.SuiteKey]:
    """The key signs no more; 409 if no other does."""
    return keys.remove_key(hub, who, name, fingerprint)
