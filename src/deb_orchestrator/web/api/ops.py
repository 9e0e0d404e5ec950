"""What watches over a hub asks: does it live, can it work, and how is the farm."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from deb_orchestrator.services.hub import Denied
from deb_orchestrator.services.measures import check_readiness, list_gauges
from deb_orchestrator.services.metrics import CONTENT_TYPE
from deb_orchestrator.web.api.context import HubDep, find_caller
from debcore.http import is_loopback

router = APIRouter(include_in_schema=False)

_NEVER_KEPT = {"Cache-Control": "no-store"}


@router.get("/healthz")
def health() -> Response:
    """This process answers; nothing else is looked at, so that a database that is away restarts no hub."""
    return PlainTextResponse("ok\n", headers=_NEVER_KEPT)


@router.get("/readyz")
def ready(hub: HubDep) -> Response:
    """200 if it can do its work, else 503; each need with what is wrong. A missing signer is told, and not counted."""
    checks = check_readiness(hub)
    bad = [one for one in checks if one.problem and one.name != "signer"]
    said = {one.name: one.problem or "ok" for one in checks}
    return JSONResponse({"ready": not bad, "checks": said}, status_code=503 if bad else 200, headers=_NEVER_KEPT)


@router.get("/metrics")
def metrics(hub: HubDep, request: Request) -> Response:
    """For programs of this host, and others that show an admin's token: it names private suites."""
    if not _is_here(request) and find_caller(request).scope != "admin":
        raise Denied("metrics are for programs of the hub's host, and for admins", hint="show an admin's token")
    return Response(hub.metrics.render(list_gauges(hub)), media_type=CONTENT_TYPE, headers=_NEVER_KEPT)


def _is_here(request: Request) -> bool:
    """From this host, and through no proxy that speaks for others."""
    host = request.client.host if request.client else ""
    told = any(name in request.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip"))
    return bool(host) and not told and is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}")
