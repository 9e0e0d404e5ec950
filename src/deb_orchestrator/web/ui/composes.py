"""Pages of composes: the list, and one with its images, gates and packages."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from deb_orchestrator.services.composes import get_compose, list_composes
from deb_orchestrator.web.ui.frame import HubDep, Page, Text, Visitor
from deb_orchestrator.web.ui.render import page

router = APIRouter(route_class=Page)

#: Composes of one page.
ROWS = 50


@router.get("/composes")
def composes(request: Request, hub: HubDep, who: Visitor, before: Text = "") -> Response:
    found = list_composes(hub, who, before=before or None, limit=ROWS + 1)
    older = found[ROWS - 1].id if len(found) > ROWS else None
    return page(request, "composes", who, composes=found[:ROWS], older=older)


@router.get("/composes/{id_}")
def compose(request: Request, hub: HubDep, who: Visitor, id_: str, show: Text = "") -> Response:
    """*show*: `all` packages, not only those that the hub has built."""
    found = get_compose(hub, who, id_)
    return page(request, "compose", who, compose=found, all=show == "all")
