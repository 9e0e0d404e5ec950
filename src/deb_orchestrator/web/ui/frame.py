"""What every page needs: the hub, who looks, how refusals become pages, and what guards a form."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from deb_orchestrator.services import people
from deb_orchestrator.services.hub import Conflict, Denied, Hub, LoginNeeded, NotFound, Principal
from deb_orchestrator.services.oidc import CALLBACK
from deb_orchestrator.web.api.context import COOKIE, mark_accepted
from deb_orchestrator.web.ui.render import page
from debcore.errors import Failure, HostFailed

STATUSES = {NotFound: 404, Denied: 403, Conflict: 409, HostFailed: 503}


class Page(APIRoute):
    """A route whose failures are pages, with the next step on them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def call(request: Request) -> Response:
            try:
                return await handle(request)
            except LoginNeeded as error:
                return login_page(request, str(error))
            except RequestValidationError as error:
                first = error.errors()[0]
                where, words = str(first["loc"][-1]), str(first["msg"])
                return page(request, "error", None, status=422, message=f"{where}: {words}", hint="")
            except Failure as error:
                status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 400)
                return page(
                    request, "error", find_visitor(request), status=status, message=str(error), hint=error.hint
                )  # fmt: skip

        return call


def login_page(request: Request, message: str) -> Response:
    """Says how to log in, and comes back here afterwards."""
    here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    back = here if request.method == "GET" and not here.startswith(("/login/", CALLBACK)) else "/"
    provider = request.app.state.oidc
    by = provider.settings.shown if provider is not None else ""
    return page(request, "login", None, status=401, secret="", message=message, by=by, back=back)


def find_hub(request: Request) -> Hub:
    return cast(Hub, request.app.state.hub)


def find_visitor(request: Request) -> Principal | None:
    return people.find_session(find_hub(request), request.cookies.get(COOKIE, ""))


def visitor(request: Request) -> Principal:
    """Who is logged in. Errors: LoginNeeded."""
    found = find_visitor(request)
    if found is None:
        raise LoginNeeded("These pages are for people who are logged in.")
    mark_accepted(request, request.cookies.get(COOKIE, ""))
    return found


def check_form(who: Principal, csrf: str) -> None:
    """Errors: Denied if the form is not from one of our pages, or *who* may only look."""
    if not who.csrf or not secrets.compare_digest(who.csrf.encode(), csrf.encode()):
        raise Denied("this form is too old", hint="go back, reload the page and try again")
    if not who.may("client"):
        raise Denied(f"{who.name} may look but not change anything")


def check_admin_form(who: Principal, csrf: str) -> None:
    """The same, for what only admins do. Errors: Denied."""
    check_form(who, csrf)
    if who.scope != "admin":
        raise Denied("this is for administrators")


def go(place: str) -> Response:
    """On to *place*, a path of ours, after a form."""
    return RedirectResponse(place, status_code=303)


HubDep = Annotated[Hub, Depends(find_hub)]
Visitor = Annotated[Principal, Depends(visitor)]
#: Numbers that a URL carries, as PostgreSQL's bigint bounds them.
Number = Annotated[int, Query(ge=0, lt=2**63)]
#: What a form may ask for; longer names are nobody's.
Text = Annotated[str, Query(max_length=200)]
