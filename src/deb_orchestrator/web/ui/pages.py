"""All pages, mounted at /. Each asks the services, as the API does, and renders a template."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.oidc import Provider
from deb_orchestrator.web.ui import builds, composes, farm, login, oidc, suites
from deb_orchestrator.web.ui.frame import find_visitor
from deb_orchestrator.web.ui.render import HERE, page

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]
#: Of programs: what is not there is told them in JSON.
_PROGRAMS = ("/api/", "/apt/", "/upload/", "/static/")


def add_ui(app: FastAPI, hub: Hub, *, secure: bool = False, provider: Provider | None = None) -> None:
    """Mount the pages at /. *secure*: the hub is reached over TLS, so the cookie is marked for it.

    *provider*: of OpenID, by which people log in.
    """
    app.state.hub = hub
    app.state.secure = secure
    app.state.oidc = provider
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for module in (farm, builds, suites, composes, login, oidc):
        app.include_router(module.router, include_in_schema=False)
    _add_missing(app)


def _add_missing(app: FastAPI) -> None:
    """A page for browsers that ask for what is not there; programs get what they got before."""
    before = cast("Handler | None", app.exception_handlers.get(HTTPException))

    def missing(request: Request, error: Exception) -> Response | Awaitable[Response]:
        status = cast(HTTPException, error).status_code
        wants_page = "text/html" in request.headers.get("accept", "")
        if status == 404 and (before is None or wants_page) and not request.url.path.startswith(_PROGRAMS):
            return page(request, "error", find_visitor(request), status=404, message="There is no such page.", hint="")
        if before is None:
            return Response(str(cast(HTTPException, error).detail), status_code=status)
        return before(request, error)

    app.add_exception_handler(HTTPException, missing)
