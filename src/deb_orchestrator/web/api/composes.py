"""Composes: told by whoever makes images, read by everybody who may see what is in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from deb_orchestrator.services import composes
from deb_orchestrator.web.api.context import Client, HubDep
from debcore.hub import composes as wire

router = APIRouter(prefix="/composes")

Id = Annotated[wire.ComposeId, Path()]


@router.put("/{id_}")
def put_compose(hub: HubDep, who: Client, id_: Id, ask: wire.ComposeAsk) -> wire.ComposeLine:
    """How the compose is now; the same again changes nothing."""
    return composes.put_compose(hub, who, id_, ask)


@router.get("")
def list_composes(
    hub: HubDep, who: Client, build: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    before: Annotated[str | None, Query(max_length=128)] = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> list[wire.ComposeLine]:  # fmt: skip
    """Newest first; *build*: those with a package of it, *before*: the id of one."""
    return composes.list_composes(hub, who, build_id=build, before=before, limit=limit)


@router.get("/{id_}")
def get_compose(hub: HubDep, who: Client, id_: Id) -> wire.ComposeShow:
    """With its images and their packages, each with its build."""
    return composes.get_compose(hub, who, id_)


@router.delete("/{id_}", status_code=204)
def remove_compose(hub: HubDep, who: Client, id_: Id) -> Response:
    """Its packages are no longer kept for it."""
    composes.remove_compose(hub, who, id_)
    return Response(status_code=204)
