"""A stream of NATS JetStream that holds the event log: message N of the stream is event N, or is refused.

Each message says which one must be the last before it (`Nats-Expected-Last-Sequence`), so the server itself refuses
gaps, disorder and doubles, however many hubs send and whichever of them dies. `Nats-Msg-Id` is the event's number too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from deb_orchestrator.bus.nkey import MARK, load_creds
from debcore.errors import ConfigError, Failure
from debcore.http import is_loopback
from debcore.hub.credential import load_token
from debcore.hub.envelope import MEDIA_TYPE

if TYPE_CHECKING:  # nats-py is wanted only where a stream is; it costs a quarter of the hub's start
    from nats.aio.client import Client
    from nats.js import JetStreamContext

T = TypeVar("T")

STREAM = "deb-orchestrator"
#: Seconds for the server to answer.
TIMEOUT_S = 10.0
#: What JetStream says to a message that is not the next one. Source: server/errors.json of nats-server.
WRONG_LAST_SEQUENCE = 10071


class Overtaken(Failure):
    """The stream's last message is another one than was thought: another hub was first."""


class Unreachable(Failure):
    """The server is away, or does not answer."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """*url*: `nats://HOST:PORT` or `tls://…`. *credentials*: a file with one line, `USER:PASSWORD` or a token, or
    a `.creds` file of NATS (JWT and NKey).

    *ca*: PEM file of the server's own authority.
    """

    url: str
    stream: str = STREAM
    credentials: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True)
class Message:
    """*n*: the event's number. *type*: the CloudEvent's, which ends the subject."""

    n: int
    type: str
    body: bytes


def check_target(target: Target) -> None:
    """Errors: Failure where it cannot be used, or a password would cross a network in clear text."""
    try:
        parts = urlsplit(target.url)
        usable = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path or parts.query:
        raise Failure(f"{target.url[:80]} is no NATS server", hint="such as nats://127.0.0.1:4222")
    if parts.username is not None:
        raise Failure("the URL of the NATS server holds a password, which other users see", hint="--nats-credentials")
    if not target.stream or any(not one.isprintable() or one in " .*>/\\" for one in target.stream):
        raise Failure(f"{target.stream[:80]!r} cannot name a stream", hint="letters, digits and hyphens do")
    if target.credentials is not None:
        login = load_login(target.credentials)
        if "signature_cb" not in login and parts.scheme != "tls" and not is_loopback(target.url):
            raise Failure("no password is sent over a network in clear text", hint="use tls://HOST:PORT")
    if find_spec("nats") is None:
        raise Failure("nats-py is not installed", hint="pip install 'deb-bootc-ecosystem[hub,nats]'")


def load_login(path: Path) -> dict[str, Any]:
    """What nats.connect() wants. Errors: Failure if the file cannot be read; ConfigError if it holds something else."""
    line = load_token(path)
    if MARK in line:
        return dict(load_creds(line, path))
    if not line or len(line.split()) != 1:
        raise ConfigError(str(path), "it does not hold one line", hint="USER:PASSWORD, a token, or a .creds file")
    user, colon, password = line.partition(":")
    return {"user": user, "password": password} if colon else {"token": line}


class Session:
    """One connection to the server. All methods raise Unreachable when it is lost; then open another."""

    def __init__(self, target: Target, client: Client, lost: asyncio.Event) -> None:
        self._target = target
        self._lost = lost
        self._client = client
        self._stream: JetStreamContext = client.jetstream(timeout=TIMEOUT_S)

    @classmethod
    async def open(cls, target: Target) -> Session:
        """Connect, and make the stream if there is none."""
        import nats
        from nats.aio.client import Client as NATS

        options: dict[str, Any] = load_login(target.credentials) if target.credentials else {}
        if target.url.startswith("tls:"):
            options["tls"] = ssl.create_default_context(cafile=target.ca)
        client = NATS()
        lost = asyncio.Event()

        async def lose() -> None:
            lost.set()

        try:
            await client.connect(
                target.url, name="deb-orchestrator hub", allow_reconnect=False, connect_timeout=int(TIMEOUT_S),
                error_cb=_say_nothing, disconnected_cb=lose, closed_cb=lose, **options,
            )  # fmt: skip
            session = cls(target, client, lost)
            await session._make_stream()
        except BaseException as error:
            await client.close()
            if isinstance(error, (nats.errors.Error, OSError, TimeoutError)):
                raise Unreachable(f"no connection to {target.url}: {_say(error)}") from error
            raise
        return session

    async def find_last(self) -> int:
        """The number of the last event in the stream, 0 if it never had one."""
        info = await self._ask(self._stream.stream_info(self._target.stream))
        return int(info.state.last_seq)

    async def read(self, n: int) -> tuple[str | None, bytes] | None:
        """`Nats-Msg-Id` and body of message *n*; None if the stream does not keep it any more."""
        from nats.js.errors import NotFoundError

        try:
            found = await self._ask(self._stream.get_msg(self._target.stream, seq=n))
        except NotFoundError:
            return None
        return (found.headers or {}).get("Nats-Msg-Id"), found.data or b""

    async def send(self, messages: Sequence[Message]) -> None:
        """Return when all are stored by us. Errors: Overtaken if one was there already, or is not the next one."""
        limit = self._client.max_payload
        for one in messages:
            if len(one.body) + 512 > limit:  # the headers count too
                raise Failure(
                    f"event {one.n} has {len(one.body)} bytes, nats-server takes {limit}",
                    hint="raise max_payload in its configuration; until then the stream waits",
                )
        # Tasks start in order; were one to overtake another, the server would refuse it. Not publish_async of nats-py:
        # there a refusal is never heard (2.16, JetStreamContext._handle_async_reply).
        stream = self._target.stream
        calls = (
            self._stream.publish(f"{stream}.{one.type}", one.body, stream=stream, headers=_headers(one.n))
            for one in messages
        )
        done = await self._ask(asyncio.gather(*calls, return_exceptions=True))
        for one, ack in zip(messages, done, strict=True):
            if isinstance(ack, BaseException):
                raise self._explain(ack) from ack
            if ack.duplicate:
                raise Overtaken(f"another hub sent event {one.n}")
            if ack.seq != one.n:
                raise Failure(f"event {one.n} is message {ack.seq} of the stream: it holds something else")

    async def check(self) -> None:
        """Answer the server's pings, and see that it answers ours."""
        await self._ask(self._client.flush(timeout=int(TIMEOUT_S)))

    async def close(self) -> None:
        await self._client.close()

    async def _make_stream(self) -> None:
        from nats.js.api import RetentionPolicy, StorageType, StreamConfig
        from nats.js.errors import BadRequestError, NotFoundError

        name = self._target.stream
        try:
            await self._ask(self._stream.stream_info(name))
        except NotFoundError:
            config = StreamConfig(
                name=name, subjects=[f"{name}.>"], storage=StorageType.FILE, retention=RetentionPolicy.LIMITS,
                description="The event log of a deb-orchestrator farm: message N is event N",
            )  # fmt: skip
            try:
                await self._ask(self._stream.add_stream(config))
            except BadRequestError as error:  # another hub made it just now, with limits that an admin changed since
                raise Unreachable(f"the stream {name} cannot be made: {_say(error)}") from error

    async def _ask(self, call: Awaitable[T]) -> T:
        """Its answer, unless the connection is lost first: nats-py would wait for it all the same."""
        import nats
        from nats.js.errors import BadRequestError, NotFoundError

        asked, lost = asyncio.ensure_future(call), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((asked, lost), timeout=TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise Unreachable(f"{self._target.url}: {'the connection was lost' if lost.done() else 'no answer'}")
            return asked.result()
        except (NotFoundError, BadRequestError):
            raise
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise Unreachable(f"{self._target.url}: {_say(error)}") from error
        finally:
            asked.cancel()
            lost.cancel()
            await asyncio.gather(asked, lost, return_exceptions=True)

    def _explain(self, error: BaseException) -> BaseException:
        import nats
        from nats.js.errors import APIError

        if isinstance(error, APIError) and error.err_code == WRONG_LAST_SEQUENCE:
            return Overtaken(f"the stream {self._target.stream} is not where it was: {_say(error)}")
        if isinstance(error, nats.errors.Error):
            return Unreachable(f"the stream {self._target.stream} takes no event: {_say(error)}")
        return error


def _headers(n: int) -> dict[str, str]:
    return {"Nats-Msg-Id": str(n), "Nats-Expected-Last-Sequence": str(n - 1), "Content-Type": MEDIA_TYPE}


def _say(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:300]


async def _say_nothing(_error: Exception) -> None:
    """Whoever asks gets the error; nats-py would print it as well."""
