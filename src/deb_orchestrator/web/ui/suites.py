"""Pages of suites: the list, one with what to paste for apt, what it holds, its history and differences."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from deb_orchestrator.services import access, queries, suite_history
from deb_orchestrator.services.suite_content import get_content
from deb_orchestrator.services.suite_page import get_page
from deb_orchestrator.services.suite_view import load_parents
from deb_orchestrator.services.suites import list_rules
from deb_orchestrator.web.ui.frame import HubDep, Number, Page, Text, Visitor
from deb_orchestrator.web.ui.render import page
from debcore.hub.snippet import apt_snippet

router = APIRouter(route_class=Page)

ROWS = 200
#: Packages of one change that are read for a page, which shows the first few.
TOLD = 500


@router.get("/suites")
def suites(request: Request, hub: HubDep, who: Visitor) -> Response:
    found = access.list_readable(hub, who, queries.list_suites(hub, base_url=str(request.base_url)))
    names = {one.name for one in found}
    with hub.db.read() as db:
        known = load_parents(db)
    parents = {name: [one for one in known.get(name, ()) if one in names] for name in names}
    return page(request, "suites", who, suites=found, parents=parents)


@router.get("/suites/{name}")
def suite(request: Request, hub: HubDep, who: Visitor, name: str) -> Response:
    found = get_page(hub, who, name, base_url=str(request.base_url))
    changes = suite_history.list_history(hub, name, limit=5, most=TOLD)
    return page(
        request, "suite", who, found=found, suite=found.suite, snippet=apt_snippet(found.suite), changes=changes,
        rules=list_rules(hub, name),
    )  # fmt: skip


@router.get("/suites/{name}/packages")
def content(
    request: Request, hub: HubDep, who: Visitor, name: str, part: Text = "", at: Number | None = None,
    after: Annotated[str, Query(max_length=1000)] = "",
) -> Response:  # fmt: skip
    access.check_all(hub, who, [name])
    found = get_content(hub, name, at, part=part.strip(), after=after, limit=ROWS)
    return page(request, "suite_packages", who, name=name, found=found, part=part.strip(), at=at, after=after)


@router.get("/suites/{name}/history")
def history(request: Request, hub: HubDep, who: Visitor, name: str, before: Number | None = None) -> Response:
    access.check_all(hub, who, [name])
    found = suite_history.list_history(hub, name, before=before, limit=50, most=TOLD)
    return page(request, "suite_history", who, name=name, changes=found, last=queries.find_last_event(hub))


@router.get("/suites/{name}/diff")
def diff(request: Request, hub: HubDep, who: Visitor, name: str, old: Number, new: Number | None = None) -> Response:
    access.check_all(hub, who, [name])
    found = suite_history.diff_suite(hub, name, old, new)
    return page(request, "suite_diff", who, name=name, found=found, most=2000)
