"""The pages. Each asks `services.queries`, as the API does, and renders a template."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles

from deb_orchestrator.services import access, agents, audits, people, queries
from deb_orchestrator.services.checks import find_check_log
from deb_orchestrator.services.hub import Conflict, Denied, Hub, LoginNeeded, NotFound, Principal
from deb_orchestrator.services.requests import cancel_build
from deb_orchestrator.services.why import explain_build
from deb_orchestrator.web.api.context import COOKIE, mark_accepted
from deb_orchestrator.web.ui.render import HEADERS, HERE, page
from debcore.errors import Failure
from debcore.hub.model import Event
from debcore.hub.snippet import apt_snippet

LOG_SHOWN = 256 * 1024  #: bytes of a log that a page starts with
LOG_STEP = 1024 * 1024  #: bytes of a log in one answer
STATUSES = {NotFound: 404, Denied: 403, Conflict: 409}


class Page(APIRoute):
    """A route whose failures are pages, with the next step on them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def call(request: Request) -> Response:
            try:
                return await handle(request)
            except LoginNeeded as error:
                return page(request, "login", None, status=401, secret="", message=str(error))
            except Failure as error:
                status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 400)
                return page(request, "error", None, status=status, message=str(error), hint=error.hint)

        return call


def visitor(request: Request) -> Principal:
    """Who is logged in. Errors: LoginNeeded."""
    secret = request.cookies.get(COOKIE, "")
    found = people.find_session(request.app.state.hub, secret)
    if found is None:
        raise LoginNeeded("These pages are for people who are logged in.")
    mark_accepted(request, secret)
    return found


Visitor = Annotated[Principal, Depends(visitor)]


def add_ui(app: FastAPI, hub: Hub, *, secure: bool = False) -> None:
    """Mount the pages at /. *secure*: the hub is reached over TLS, so the cookie is marked for it."""
    app.state.hub = hub
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(make_router(hub, secure=secure), include_in_schema=False)


def make_router(hub: Hub, *, secure: bool) -> APIRouter:
    router = APIRouter(route_class=Page)

    @router.get("/")
    def dashboard(request: Request, who: Visitor) -> Response:
        last = queries.find_last_event(hub)
        return page(
            request, "dashboard", who,
            counts=queries.count_jobs(hub), builds=queries.list_builds(hub, limit=10), agents=agents.list_agents(hub),
            suites=access.list_readable(hub, who, queries.list_suites(hub, base_url=str(request.base_url))),
            events=newest(queries.list_events(hub, max(0, last - 10), 10)),
        )  # fmt: skip

    @router.get("/builds")
    def builds(request: Request, who: Visitor, source: str = "", before: int | None = None) -> Response:
        found = queries.list_builds(hub, source_name=source or None, before=before, limit=50)
        older = found[-1].id if len(found) == 50 else None
        return page(request, "builds", who, builds=found, source=source, older=older)

    @router.get("/builds/{id_}")
    def build(request: Request, who: Visitor, id_: int, arch: str = "") -> Response:
        found = queries.get_build(hub, id_)
        show = arch if arch in {one.arch for one in found.arches} else found.arches[0].arch
        size = next(one.log_size for one in found.arches if one.arch == show)
        start = max(0, size - LOG_SHOWN)
        text, complete = queries.read_log(hub, id_, show, start, LOG_SHOWN)
        return page(
            request, "build", who, build=found, reasons=explain_build(hub, id_), show=show, log_skipped=start,
            log_text=text.decode("utf-8", "replace"), log_offset=start + len(text),
            log_complete=complete and start + len(text) >= size,
        )  # fmt: skip

    @router.get("/builds/{id_}/{arch}/log", dependencies=[Depends(visitor)])
    def log(id_: int, arch: str, offset: Annotated[int, Query(ge=0)] = 0) -> Response:
        text, complete = queries.read_log(hub, id_, arch, offset, LOG_STEP)
        ended = "1" if complete and len(text) < LOG_STEP else "0"
        return Response(
            text, media_type="text/plain; charset=utf-8",
            headers={**HEADERS, "X-Log-Complete": ended, "Content-Disposition": "inline"},
        )  # fmt: skip

    @router.get("/builds/{id_}/checks/{check}/{name}", dependencies=[Depends(visitor)])
    def check_log(id_: int, check: int, name: str, offset: Annotated[int, Query(ge=0)] = 0) -> Response:
        text = queries.read_blob(hub, find_check_log(hub, id_, check, name), offset, LOG_STEP)
        headers = {**HEADERS, "Content-Disposition": "inline"}
        return Response(text, media_type="text/plain; charset=utf-8", headers=headers)

    @router.post("/builds/{id_}/cancel")
    def cancel(who: Visitor, id_: int, csrf: Annotated[str, Form()]) -> Response:
        check_form(who, csrf)
        cancel_build(hub, who, id_)
        return RedirectResponse(f"/builds/{id_}", status_code=303)

    @router.get("/suites")
    def suites(request: Request, who: Visitor) -> Response:
        found = access.list_readable(hub, who, queries.list_suites(hub, base_url=str(request.base_url)))
        return page(request, "suites", who, suites=found)

    @router.get("/suites/{name}")
    def suite(request: Request, who: Visitor, name: str) -> Response:
        access.check_all(hub, who, [name])
        found = queries.get_suite(hub, name, base_url=str(request.base_url))
        return page(request, "suite", who, suite=found, snippet=apt_snippet(found))

    @router.get("/events")
    def events(request: Request, who: Visitor) -> Response:
        last = queries.find_last_event(hub)
        return page(request, "events", who, events=newest(queries.list_events(hub, max(0, last - 200), 200)))

    @router.get("/audit")
    def audit(
        request: Request, who: Visitor, principal: str = "", action: str = "", before: int | None = None
    ) -> Response:
        if who.scope != "admin":
            raise Denied("who did what is for administrators", hint="log in with an admin's link")
        entries = audits.list_audit(hub, principal=principal or None, action=action or None, before=before)
        return page(request, "audit", who, entries=entries, principal=principal, action=action)

    @router.get("/login/{secret}")
    def login_form(request: Request, secret: str) -> Response:
        return page(request, "login", None, secret=secret)

    @router.post("/login/{secret}")
    def login(request: Request, secret: str) -> Response:
        try:
            session = people.use_login_link(hub, secret)
        except LoginNeeded as error:
            return page(request, "login", None, status=401, secret="", message=str(error))
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, session, max_age=people.SESSION_S, httponly=True, samesite="strict", secure=secure)
        return answer

    @router.post("/logout")
    def logout(request: Request, who: Visitor, csrf: Annotated[str, Form()]) -> Response:
        check_form(who, csrf)
        people.end_session(hub, request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/", status_code=303)
        answer.delete_cookie(COOKIE)
        return answer

    return router


def check_form(who: Principal, csrf: str) -> None:
    """Errors: Denied if the form is not from one of our pages, or *who* may only look."""
    if not who.csrf or not secrets.compare_digest(who.csrf, csrf):
        raise Denied("this form is too old", hint="go back, reload the page and try again")
    if not who.may("client"):
        raise Denied(f"{who.name} may look but not change anything")


def newest(events: list[Event]) -> list[Event]:
    return events[::-1]
