"""PUT and GET of blobs by SHA-256: a hold before the bytes, a bound on size, and lies refused."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from deb_orchestrator.services import attempts, partials, sight, uploads
from deb_orchestrator.services.hub import Denied, NotFound, Principal
from deb_orchestrator.web.api.context import Anybody, HubDep, problem
from deb_orchestrator.web.content import blob_response
from debcore.blobs import Incoming
from debcore.job.model import Sha256

router = APIRouter()
PIECE = 1024 * 1024  #: bytes gathered before a write

Grant = Annotated[str | None, Header(alias="X-Grant")]
JobId = Annotated[int | None, Header(alias="X-Job")]
Attempt = Annotated[int | None, Header(alias="X-Attempt")]


def uploader(hub: HubDep, who: Anybody, grant: Grant = None, job: JobId = None, attempt: Attempt = None) -> Principal:
    """Clients may upload; an agent only for a job that it holds. Errors: Denied, StaleAttempt."""
    if who.agent is not None:
        if grant is None or job is None or attempt is None:
            raise Denied("an agent uploads for a job of its own only", hint="send X-Job, X-Attempt and X-Grant")
        attempts.beat(hub, who.agent, job, attempt, grant)
    return who


Uploader = Annotated[Principal, Depends(uploader)]


@router.post("/blobs/{sha256}/hold")
def hold_blob(
    sha256: Sha256, size: Annotated[int, Query(ge=0, lt=2**63)], hub: HubDep, who: Uploader
) -> dict[str, bool]:
    """Keep a blob from being collected for a day; `present` says whether it must still be sent."""
    return {"present": uploads.take_hold(hub, who, sha256, size) and sight.sees_blob(hub, who, sha256)}


@router.put("/blobs/{sha256}", status_code=201)
async def put_blob(sha256: Sha256, request: Request, hub: HubDep, who: Uploader) -> JSONResponse:
    """The body's hash must be the one in the path: else 422, and nothing is kept."""
    length = request.headers.get("content-length")
    size = int(length) if length and length.isdigit() else None
    await asyncio.to_thread(uploads.take_hold, hub, who, sha256, size)
    try:
        with hub.blobs.incoming(limit=hub.max_blob) as new:
            await _receive(request, new)
            kept = await asyncio.to_thread(new.commit, sha256=sha256, size=size)
            await asyncio.to_thread(uploads.keep_blob, hub, kept, sent_by=who)
    except ClientDisconnect:
        return problem(400, "the upload was cut off", "send it again")
    return JSONResponse({"sha256": kept.sha256, "size": kept.size}, status_code=201)


@router.head("/blobs/{sha256}/partial", response_class=Response)
def find_offset(sha256: Sha256, hub: HubDep, who: Uploader) -> Response:
    """Upload-Offset: where to go on with an upload in pieces (bytes); 0 if the hub has nothing of it."""
    return Response(headers={"Upload-Offset": str(partials.find_offset(hub, who, sha256)), "Cache-Control": "no-store"})


@router.put("/blobs/{sha256}/partial", status_code=202)
async def put_piece(
    sha256: Sha256, request: Request, hub: HubDep, who: Uploader, offset: Annotated[int, Query(ge=0, lt=2**63)],
    size: Annotated[int, Query(ge=1, lt=2**63)],
) -> JSONResponse:  # fmt: skip
    """A piece at *offset* of a file of *size* bytes. 202 with the next offset; 201 after the last, if the hash fits.

    409 if it begins elsewhere, with Upload-Offset. What came of a piece that was cut off stays.
    """
    try:
        with partials.open_piece(hub, who, sha256, offset=offset, size=size) as piece:
            await _receive(request, piece)
    except ClientDisconnect:
        return problem(400, "the piece was cut off", "ask for the offset and go on")
    except partials.WrongOffset as wrong:
        answer = problem(409, str(wrong), wrong.hint)
        answer.headers["Upload-Offset"] = str(wrong.offset)
        return answer
    if not piece.complete:
        return JSONResponse({"offset": piece.end}, status_code=202)
    kept = await asyncio.to_thread(partials.finish_upload, hub, who, sha256, size)
    return JSONResponse({"sha256": kept.sha256, "size": kept.size}, status_code=201)


async def _receive(request: Request, new: Incoming | partials.Piece) -> None:
    gathered = bytearray()
    try:
        async for piece in request.stream():
            gathered += piece
            if len(gathered) >= PIECE:
                await asyncio.to_thread(new.write, bytes(gathered))
                gathered.clear()
    finally:  # what came before a cut is of use to an upload in pieces
        if gathered:
            await asyncio.to_thread(new.write, bytes(gathered))


@router.get("/blobs/{sha256}")
@router.head("/blobs/{sha256}")
def get_blob(sha256: Sha256, hub: HubDep, who: Anybody, request: Request) -> Response:
    """What the caller has sent, or what something names that the caller sees. A blob's hash is its ETag."""
    if not sight.sees_blob(hub, who, sha256):
        raise NotFound(f"no blob {sha256[:64]}")
    found = uploads.check_blob(hub, sha256)
    headers = {"ETag": f'"{found.sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    return blob_response(hub.blobs, found, request, headers=headers)
