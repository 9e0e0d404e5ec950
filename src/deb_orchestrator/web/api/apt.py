"""The archive that apt reads: /apt/dists/… and /apt/pool/…, open to all who reach the hub but for private suites."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from deb_orchestrator.services import access
from deb_orchestrator.services.hub import NotFound
from deb_orchestrator.services.publish import find_apt_file
from deb_orchestrator.web.api.context import HubDep, find_apt_caller, mark_accepted
from deb_orchestrator.web.content import blob_response
from debcore.blobs import Blob

router = APIRouter()


@router.get("/apt/{path:path}", include_in_schema=False)
@router.head("/apt/{path:path}", include_in_schema=False)
def get_file(hub: HubDep, path: str, request: Request) -> Response:
    with hub.db.read() as db:
        private = access.list_private(db)
        caller = find_apt_caller(request) if private else access.Caller()
        if access.find_credential(db, caller.password) is not None:
            mark_accepted(request, caller.password)
        if private and not access.may_fetch(db, caller, path):
            headers = {"WWW-Authenticate": 'Basic realm="deb-orchestrator"', "Cache-Control": "no-store"}
            return Response("this suite is private\n", status_code=401, media_type="text/plain", headers=headers)
    found = find_apt_file(hub.db, hub.blobs, path)
    if found is None:
        raise NotFound(f"/apt/{path[:200]} is not in the archive", hint="the suite's page shows its apt line")
    etag = f'"{found.sha256}"'
    scope = "private" if private else "public"
    control = f"{scope}, max-age=31536000, immutable" if found.immutable else "no-cache"
    headers = {"ETag": etag, "Cache-Control": control}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if found.data is not None:
        return Response(found.data, media_type=found.media_type, headers=headers)
    blob = Blob(found.sha256, found.size)
    return blob_response(hub.blobs, blob, request, media_type=found.media_type, headers=headers)
