"""Pages of the farm: dashboard, builders, queue, events, search, and for admins who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from deb_orchestrator.domain.jobs import State
from deb_orchestrator.services import access, agents, audits, hosts, lists, queries, queue_view, sight
from deb_orchestrator.services.event_view import list_newest, list_types
from deb_orchestrator.services.host_list import STATES as HOST_STATES
from deb_orchestrator.services.host_list import list_hosts
from deb_orchestrator.services.hub import Denied
from deb_orchestrator.services.search import search as find
from deb_orchestrator.web.ui.frame import HubDep, Number, Page, Text, Visitor, check_admin_form, go
from deb_orchestrator.web.ui.render import page
from debcore.errors import Failure
from debcore.hub.model import BuildState

router = APIRouter(route_class=Page)

#: Of what an admin gives as a reason.
Reason = Annotated[str, Form(max_length=500)]
End = Annotated[str, Form(max_length=1)]
Csrf = Annotated[str, Form()]


@router.get("/")
def dashboard(request: Request, hub: HubDep, who: Visitor) -> Response:
    failed, builders = lists.Wanted(state=BuildState.FAILED), list_hosts(hub, who, limit=12)
    shown = [job for one in builders.agents for job in one.jobs]
    return page(
        request, "dashboard", who,
        counts=queries.count_jobs(hub), builds=lists.list_lines(hub, who, lists.Wanted(), limit=12).builds,
        failed=lists.list_lines(hub, who, failed, limit=5).builds, hosts=builders,
        farm=hosts.get_farm(hub), running=queue_view.list_running(hub, who, shown),
        suites=access.list_readable(hub, who, queries.list_suites(hub, base_url=str(request.base_url))),
        events=list_newest(hub, who, limit=10).events,
    )  # fmt: skip


@router.get("/hosts")
def hosts_(
    request: Request, hub: HubDep, who: Visitor, state: Text = "", pool: Text = "", part: Text = "", after: Text = ""
) -> Response:
    known = state if state in HOST_STATES else ""
    found = list_hosts(hub, who, state=known, pool=pool, part=part.strip(), after=after)
    shown = [job for one in found.agents for job in one.jobs]
    return page(
        request, "hosts", who, found=found, farm=hosts.get_farm(hub), state=known, pool=pool, part=part.strip(),
        after=after, running=queue_view.list_running(hub, who, shown),
    )  # fmt: skip


@router.get("/hosts/{name}")
def host(request: Request, hub: HubDep, who: Visitor, name: str) -> Response:
    found = sight.veil(hub, who, agents.find_agent(hub, name))
    return page(
        request, "host", who, agent=found, farm=hosts.get_farm(hub), tried=queue_view.list_tried(hub, who, name),
        running=queue_view.list_running(hub, who, found.jobs),
    )  # fmt: skip


@router.post("/hosts/{name}/approve")
def approve(hub: HubDep, who: Visitor, name: str, csrf: Csrf) -> Response:
    check_admin_form(who, csrf)
    agents.approve(hub, who, name)
    return go(f"/hosts/{name}")


@router.post("/hosts/{name}/disable")
def disable(hub: HubDep, who: Visitor, name: str, csrf: Csrf, reason: Reason = "") -> Response:
    check_admin_form(who, csrf)
    hosts.set_disabled(hub, who, name, _reason(reason))
    return go(f"/hosts/{name}")


@router.post("/hosts/{name}/enable")
def enable(hub: HubDep, who: Visitor, name: str, csrf: Csrf) -> Response:
    check_admin_form(who, csrf)
    hosts.set_disabled(hub, who, name, None)
    return go(f"/hosts/{name}")


@router.post("/maintenance")
def maintenance(
    hub: HubDep, who: Visitor, csrf: Csrf, reason: Reason = "", end: Annotated[str, Form()] = ""
) -> Response:
    check_admin_form(who, csrf)
    hosts.set_maintenance(hub, who, None if end else _reason(reason))
    return go("/hosts")


def _reason(words: str) -> str:
    """Errors: Failure if there is none."""
    if not words.strip():
        raise Failure("say why", hint="a reason of a few words: others will wonder")
    return words.strip()


@router.get("/queue")
def queue(
    request: Request, hub: HubDep, who: Visitor, state: Text = "queued", arch: Text = "", offset: Number = 0
) -> Response:
    shown = next((one for one in queue_view.OPEN if one.value == state), State.QUEUED)
    found = queue_view.get_queue(hub, who, shown, arch=arch, offset=min(offset, 10**6))
    return page(request, "queue", who, found=found, state=shown, arch=arch, offset=offset, states=queue_view.OPEN)


@router.get("/events")
def events(request: Request, hub: HubDep, who: Visitor, type: Text = "", before: Number | None = None) -> Response:
    found = list_newest(hub, who, type_=type, before=before)
    return page(request, "events", who, found=found, type=type, types=list_types(), before=before)


@router.get("/search")
def search(request: Request, hub: HubDep, who: Visitor, q: Text = "") -> Response:
    found = find(hub, who, q)
    if found.only is not None:
        return go(found.only)
    return page(request, "search", who, q=q.strip(), found=found)


@router.get("/audit")
def audit(
    request: Request, hub: HubDep, who: Visitor, principal: Text = "", action: Text = "", before: Number | None = None
) -> Response:
    if who.scope != "admin":
        raise Denied("who did what is for administrators", hint="log in with an admin's link")
    entries = audits.list_audit(hub, principal=principal or None, action=action or None, before=before)
    return page(request, "audit", who, entries=entries, principal=principal, action=action)
