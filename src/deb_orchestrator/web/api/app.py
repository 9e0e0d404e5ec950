"""The hub's web application: /api/v1, /apt, /login, and the pages of web/ui."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deb_orchestrator.services import agents
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.oidc import Provider
from deb_orchestrator.web.api import (
    admin,
    apt,
    blobs,
    composes,
    doors,
    dput,
    hosts,
    jobs,
    ops,
    records,
    repos,
    suites,
    tasks,
    triggers,
    upkeep,
    work,
)
from deb_orchestrator.web.api.context import add_problem_handlers, problem
from deb_orchestrator.web.api.idempotency import Idempotency
from deb_orchestrator.web.api.line import Line
from deb_orchestrator.web.api.parking import Parking
from deb_orchestrator.web.limits import RateLimit
from deb_orchestrator.web.ui import add_ui
from deb_orchestrator.web.watching import Watching
from debcore.hub.model import PREFIX, Problem

#: Bytes of a request's body, files excepted.
MAX_BODY = 32 * 1024 * 1024
THREADS = 24
PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
#: What any call may be answered with, for the OpenAPI document. No `model`: FastAPI would make a thousand validators of
#: it, at the first call that the hub answers.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": PROBLEM}
    for status, words in {
        400: "cut off, or no HTTP that makes sense", 401: "no token, or one that is not known", 403: "not allowed",
        404: "there is no such thing", 409: "not in the state that things are in", 413: "too large",
        422: "the input is wrong; nothing was changed", 429: "too many calls: see Retry-After",
        503: "the hub's host has a fault: try again",
    }.items()
}  # fmt: skip
#: Where files come, whose size those who take them bound.
UNBOUNDED = (f"{PREFIX}/blobs/", f"{dput.PREFIX}/")


class Application(FastAPI):
    """With the schema that PROBLEMS refer to in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        return document


@cache
def make_routes() -> tuple[BaseRoute, ...]:
    """All but the pages. What each one needs is worked out when it is first looked for, and kept with it."""
    made = APIRouter()
    for router in (
        admin.router,
        hosts.router,
        work.router,
        records.router,
        suites.router,
        repos.router,
        jobs.router,
        blobs.router,
        doors.router,
        triggers.router,
        upkeep.router,
        composes.router,
        tasks.router,
    ):
        made.include_router(router, prefix=PREFIX, responses=PROBLEMS)
    for router in (apt.router, dput.router, ops.router, triggers.hooks):
        made.include_router(router)
    return tuple(made.routes)


def make_app(hub: Hub, *, secure: bool = False, provider: Provider | None = None) -> FastAPI:
    """The application on *hub*. `app.state.parking` and `line` send long polls home before a stop (`close`).

    *secure*: over TLS. *provider*: of OpenID, by which people log in.
    """
    app = Application(
        title="deb-orchestrator", version=version("deb-bootc-ecosystem"), openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None, redoc_url=None, lifespan=_more_threads, routes=list(make_routes()),
    )  # fmt: skip
    app.state.hub = hub
    app.state.parking = Parking(hub.wake)
    app.state.line = Line(hub.wake, lambda: agents.list_queued(hub))
    add_problem_handlers(app)
    add_ui(app, hub, secure=secure, provider=provider)
    app.add_middleware(Idempotency, hub=hub)
    app.add_middleware(BodyLimit)  # around the other: it bounds what that one reads
    app.add_middleware(RateLimit)
    app.add_middleware(Watching, requests=hub.metrics.requests)
    return app


@asynccontextmanager
async def _more_threads(_app: FastAPI) -> AsyncIterator[None]:
    """asyncio's own pool grows with the processors only; ours wait for the database, not for a processor."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        yield


class BodyLimit:
    """Refuses bodies above MAX_BODY before they fill the memory; files have a limit of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNBOUNDED):
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await problem(413, f"the body is larger than {MAX_BODY} bytes")(scope, receive, send)
            return
        left = MAX_BODY

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, bounded, send)
