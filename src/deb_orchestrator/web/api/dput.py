"""What dput and dput-ng upload to: PUT of each file, the .changes last. Answers are text, for people read them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect

from deb_orchestrator.services import dput
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.web.api.context import HubDep, find_password, mark_accepted, status_of
from deb_orchestrator.web.saying import REASON, make_reason
from debcore.errors import Failure
from debcore.path import check_file_name

PREFIX = "/upload"
router = APIRouter(prefix=PREFIX)
PIECE = 1024 * 1024  #: bytes gathered before a write
#: Bytes of an upload that is refused which are read all the same: a client reads no answer while it sends.
DRAIN = 64 * 1024 * 1024


@router.put("/{secret}/{target}/{name}", include_in_schema=False)
async def put_file(secret: str, target: str, name: str, hub: HubDep, request: Request) -> PlainTextResponse:
    """The secret is a part of the path: dput asks for no password then."""
    return await _put(hub, request, secret, target, name)


@router.put("/{target}/{name}", include_in_schema=False)
async def put_file_with_password(target: str, name: str, hub: HubDep, request: Request) -> PlainTextResponse:
    """The secret is the password; the user's name does not matter."""
    return await _put(hub, request, find_password(request), target, name)


async def _put(hub: Hub, request: Request, secret: str, target: str, name: str) -> PlainTextResponse:
    try:
        return await _take(hub, request, secret, target, name)
    except ClientDisconnect:
        return PlainTextResponse("the upload was cut off\n", status_code=400)
    except Failure as failure:
        await _drain(request)
        return _refuse(failure)


async def _take(hub: Hub, request: Request, secret: str, target: str, name: str) -> PlainTextResponse:
    check_file_name(name, where="the path")
    uploader = await asyncio.to_thread(dput.check_door, hub, secret, target)
    mark_accepted(request, secret)
    if name.endswith(".changes"):
        data = await _read(request, dput.MAX_CHANGES)
        taken = await asyncio.to_thread(dput.take_changes, hub, secret, target, name, data)
        words = f"{name} is accepted: upload {taken.id}, request {taken.request}\n"
        return PlainTextResponse(words, status_code=201)
    with hub.blobs.incoming(limit=hub.max_blob) as new:
        gathered = bytearray()
        async for piece in request.stream():
            gathered += piece
            if len(gathered) >= PIECE:
                await asyncio.to_thread(new.write, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(new.write, bytes(gathered))
        await asyncio.to_thread(dput.keep_file, hub, uploader, target, name, new)
    return PlainTextResponse(f"{name} is here; it is judged with its .changes\n", status_code=201)


async def _read(request: Request, limit: int) -> bytes:
    """The body, or its first bytes if they are more than *limit*."""
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) > limit:
            break
    return bytes(held)


async def _drain(request: Request) -> None:
    left = DRAIN
    try:
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                return
    except (ClientDisconnect, RuntimeError):  # RuntimeError: all of it was read before
        return


def _refuse(failure: Failure) -> PlainTextResponse:
    hint = f" ({failure.hint})" if failure.hint else ""
    status = status_of(failure)
    headers = {REASON: make_reason(f"{failure}{hint}")}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="deb-orchestrator"'
    return PlainTextResponse(f"{failure}{hint}\n", status_code=status, headers=headers)
