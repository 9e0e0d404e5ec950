"""POST with the header Idempotency-Key: what it asks for is done once, however often it is sent."""

from __future__ import annotations

import asyncio
import hashlib
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deb_orchestrator.services import repeats
from deb_orchestrator.services.hub import Conflict, Hub
from deb_orchestrator.store.once import CURRENT, Once
from deb_orchestrator.web.api.context import problem
from debcore.errors import Failure
from debcore.hub.model import PREFIX

HEADER = b"idempotency-key"
_KEY = re.compile(rb"[A-Za-z0-9_.:-]{8,128}")
#: Answers of these hold a secret, which is shown once.
SECRET = ("/tokens", "/login-links", "/uploaders", "/webhooks", "/credentials", "/triggers")
#: These have a protocol of their own against repetition, or are named by their content: sent again they change nothing.
_OWN = (f"{PREFIX}/jobs/", f"{PREFIX}/blobs/")
_NATURAL = ("/requests", "/binnmus", "/snapshots", "/cancel")
#: Bytes of an answer that is kept.
MAX_KEPT = 4 * 1024 * 1024


class Idempotency:
    """Gives the stored answer to a call that was made before, and stores that of a new one that did something."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers") or ())
        key, caller = headers.get(HEADER), headers.get(b"authorization")
        if key is None or caller is None or not _is_meant(scope):
            await self._app(scope, receive, send)
        elif not _KEY.fullmatch(key):
            await problem(422, "Idempotency-Key is none", "8 to 128 of A-Z a-z 0-9 _ . : -")(scope, receive, send)
        else:
            await self._once(scope, receive, send, key=key, caller=caller)

    async def _once(self, scope: Scope, receive: Receive, send: Send, *, key: bytes, caller: bytes) -> None:
        body = await _read(receive)
        asked = Once(_hash(caller, key), _hash(scope["path"].encode(), scope.get("query_string", b""), body))
        try:
            before = await asyncio.to_thread(repeats.find_answer, self._hub, asked)
        except Failure as failure:
            status = 409 if isinstance(failure, Conflict) else 422
            await problem(status, str(failure), failure.hint)(scope, receive, send)
            return
        if before is not None:
            await _replay(before, send, scope, receive)
            return
        await self._run(scope, body, receive, send, asked)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, send: Send, asked: Once) -> None:
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        held: list[Message] = []

        async def replayed() -> Message:
            return messages.pop() if messages else await receive()

        async def hold(message: Message) -> None:
            held.append(message)

        token = CURRENT.set(asked)
        try:
            await self._app(scope, replayed, hold)
        finally:
            CURRENT.reset(token)
        if asked.marked:
            await asyncio.to_thread(repeats.keep_answer, self._hub, asked, _stored(scope["path"], held))
        for message in held:
            await send(message)


def _is_meant(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path: str = scope["path"]
    return path.startswith(PREFIX + "/") and not path.startswith(_OWN) and not path.endswith(_NATURAL)


def _stored(path: str, held: list[Message]) -> repeats.Stored:
    body = b"".join(message.get("body", b"") for message in held if message["type"] == "http.response.body")
    kept = None if path.endswith(SECRET) or len(body) > MAX_KEPT else body.decode("utf-8", "replace")
    return repeats.Stored(int(held[0]["status"]), kept)


async def _replay(answer: repeats.Stored, send: Send, scope: Scope, receive: Receive) -> None:
    if answer.body is None:
        words = "this was done already, and its answer is not kept: it held a secret, or was too long"
        await problem(409, words, "list what there is; revoke it and make another")(scope, receive, send)
        return
    body = answer.body.encode()
    headers = [
        (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
        (b"idempotent-replayed", b"true"),
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    """The whole body; BodyLimit bounds it."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
