"""Around every call: its trace, how long it took, and that browsers guess no type. Outermost: refusals are seen too."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deb_orchestrator.services.metrics import Histogram
from debcore.hub.model import PREFIX
from debcore.trace import HEADER, TRACE, make_trace, make_traceparent, parse_traceparent

log = logging.getLogger(__name__)

#: Whatever others have sent is of the type that we say, never what a browser makes of it.
_NO_GUESS = (b"x-content-type-options", b"nosniff")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Watching:
    """Middleware. A route is counted by its pattern: paths hold names, and secrets of uploads and hooks."""

    def __init__(self, app: ASGIApp, requests: Histogram) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER.encode(), b"").decode("latin-1")
        trace = parse_traceparent(given) or make_trace()
        token = TRACE.set(trace)
        started, status = time.monotonic(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [one for one in message.get("headers", ()) if one[0].lower() != _NO_GUESS[0]]
                message["headers"] = [*headers, _NO_GUESS, (HEADER.encode(), make_traceparent(trace).encode())]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            seconds = time.monotonic() - started
            route = find_route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._requests.observe(seconds, route=route, method=method, status=str(status))
            said = {"action": "http", "route": route, "method": method, "status": status, "seconds": round(seconds, 4)}
            log.debug("%s %s %d", method, route, status, extra=said)
            TRACE.reset(token)


def find_route(scope: Scope) -> str:
    """The pattern that a call was for; `none` if there is no such path."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "/static" if scope["path"].startswith("/static/") else "none"
    api = scope["path"].startswith(f"{PREFIX}/") and not path.startswith(PREFIX)  # FastAPI leaves out a router's prefix
    return f"{PREFIX}{path}" if api else str(path)
