"""HTTP for clients: the only module that imports httpx.

One connection pool per peer; safe calls are repeated with growing pauses; every answer has a size bound;
every failure is a Failure that says what to do.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx

from debcore.errors import Failure, HostFailed
from debcore.path import replacing
from debcore.trace import HEADER, TRACE, make_traceparent

log = logging.getLogger(__name__)

Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]

#: Answers held in memory are refused above this (bytes).
MAX_ANSWER = 64 * 1024 * 1024
CHUNK = 1024 * 1024
#: Seconds that a peer's Retry-After may hold us up.
MAX_WAIT = 30.0
#: Answers that a later try may change.
PASSING = frozenset({429, 502, 503, 504})


class HttpFailure(Failure):
    """The peer answered with an error. `code` is the HTTP status; the message and hint are the peer's own."""

    def __init__(self, code: int, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Unreachable(HostFailed):
    """No answer: refused, timed out or cut off, after all tries."""


class Answer:
    """A complete answer: `code`, `headers` (keys lower case) and `body`."""

    def __init__(self, code: int, headers: Mapping[str, str], body: bytes) -> None:
        self.code = code
        self.headers = {key.lower(): value for key, value in headers.items()}
        self.body = body


def is_loopback(url: str) -> bool:
    """True if *url* names this host by a loopback address or as localhost."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Http:
    """Calls to one base URL. *timeout* in seconds for each network step; *ca* is a PEM file added as the only trust.

    Errors: Failure if a token would travel in clear text to another host.
    """

    def __init__(
        self, base_url: str, *, token: str | None = None, ca: Path | None = None, timeout: float = 30, tries: int = 6
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Failure(f"{base_url!r} is no http or https URL", hint="give a URL such as http://127.0.0.1:8000")
        if token and parts.scheme == "http" and not is_loopback(base_url):
            raise Failure(
                f"no token is sent to {parts.hostname} over plain http",
                hint="use the hub's https:// URL (hub --tls-cert)",
            )
        self.base_url = base_url.rstrip("/")
        self.tries = tries
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            base_url=self.base_url, headers=headers, timeout=timeout, verify=_trust(ca, secure=parts.scheme == "https"),
            trust_env=not is_loopback(base_url),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def call(
        self,
        method: Method,
        path: str,
        *,
        json: Any = None,
        content: bytes | Path | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        repeat: bool | None = None,
        max_size: int = MAX_ANSWER,
    ) -> Answer:
        """One call, repeated on passing faults if *repeat* (default: all methods but POST).

        *content* as a Path is streamed. *timeout* in seconds replaces the default for reading.
        Errors: HttpFailure for an answer of 400 and above, Unreachable without one.
        """
        again = method != "POST" if repeat is None else repeat
        for left in range(self.tries if again else 1, 0, -1):
            try:
                answer = self._once(method, path, json, content, params, headers, timeout, max_size)
            except (httpx.TransportError, OSError) as error:
                if left == 1:
                    raise self._unreachable(error) from error
            else:
                if answer.code not in PASSING or left == 1:
                    return _checked(answer)
                self._wait(answer)
            self._pause(left)
        raise AssertionError("the last try returns or raises")

    def json(self, method: Method, path: str, **options: Any) -> Any:
        """As `call`, with the JSON document of the answer (None for 204)."""
        answer = self.call(method, path, **options)
        if answer.code == 204 or not answer.body:
            return None
        try:
            return httpx.Response(200, content=answer.body).json()
        except ValueError as error:
            raise Failure(
                f"{self.base_url}{path} answered with something that is not JSON", hint="is this a hub's URL?"
            ) from error

    def fetch(self, path: str, to: Path, *, sha256: str, max_size: int) -> None:
        """Download into *to*, which appears only if the content has this hash. Errors: as `call`; Failure on a lie."""
        for left in range(self.tries, 0, -1):
            try:
                with self.stream("GET", path) as chunks:
                    _save(chunks, to, sha256=sha256, max_size=max_size, where=f"{self.base_url}{path}")
                return
            except HttpFailure as failure:
                if failure.code not in PASSING or left == 1:
                    raise
            except Unreachable:
                if left == 1:
                    raise
            self._pause(left)

    @contextmanager
    def stream(
        self, method: Method, path: str, *, timeout: float | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """The answer's body in pieces, not repeated. Errors: as `call`, also while reading."""
        try:
            with self._client.stream(
                method, path, headers=_traced(headers), timeout=self._timeout(timeout)
            ) as response:
                if response.status_code >= 400:
                    response.read()
                    _checked(Answer(response.status_code, response.headers, response.content))
                yield response.iter_bytes()
        except (httpx.TransportError, OSError) as error:
            raise self._unreachable(error) from error

    def _once(
        self, method: str, path: str, json: Any, content: bytes | Path | None, params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None, timeout: float | None, max_size: int,
    ) -> Answer:  # fmt: skip
        sent = _traced(headers)
        body: Any = content
        if isinstance(content, Path):
            sent["Content-Length"] = str(content.stat().st_size)
            body = _pieces(content)
        with self._client.stream(
            method, path, json=json, content=body, params=params, headers=sent, timeout=self._timeout(timeout)
        ) as response:
            held = bytearray()
            for piece in response.iter_bytes():
                held += piece
                if len(held) > max_size:
                    raise Failure(f"{self.base_url}{path} answered with more than {max_size} bytes")
            return Answer(response.status_code, response.headers, bytes(held))

    def _timeout(self, read: float | None) -> Any:
        return httpx.USE_CLIENT_DEFAULT if read is None else httpx.Timeout(self._client.timeout.connect, read=read)

    def _pause(self, left: int) -> None:
        step = self.tries - left
        time.sleep(min(5.0, 0.1 * 2**step) * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries, no secret

    def _wait(self, answer: Answer) -> None:
        """As long as the peer asks for, within reason."""
        seconds = answer.headers.get("retry-after", "")
        if seconds.isascii() and seconds.isdigit():
            time.sleep(min(float(seconds[:6]), MAX_WAIT))

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = str(error) or type(error).__name__
        return Unreachable(
            f"{self.base_url} does not answer: {reason}", hint="is the hub running, and is the URL right?"
        )


def _traced(headers: Mapping[str, str] | None) -> dict[str, str]:
    """With the trace that the call belongs to, if it belongs to one."""
    trace = TRACE.get()
    return {**(headers or {}), **({HEADER: make_traceparent(trace)} if trace else {})}


def _trust(ca: Path | None, *, secure: bool) -> Any:
    """What TLS goes by. Over plain http nothing does: to read all authorities takes 20 to 50 ms of each command."""
    if ca is None and secure:
        return True
    import ssl

    if ca is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # demands a certificate, and trusts none
    try:
        context = ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise Failure(f"{ca}: cannot be used as certificates: {error}", hint="give a PEM file") from error
    # A hub's own certificate may be named too, not only its authority's.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _save(chunks: Iterator[bytes], to: Path, *, sha256: str, max_size: int, where: str) -> None:
    digest, size = hashlib.sha256(), 0
    with replacing(to) as file:
        for piece in chunks:
            size += len(piece)
            if size > max_size:
                raise Failure(f"{where}: more than {max_size} bytes")
            digest.update(piece)
            file.write(piece)
        if digest.hexdigest() != sha256:
            raise Failure(
                f"{where}: the content has another hash than asked for",
                hint="try again; if it stays, the store is damaged",
            )


def _checked(answer: Answer) -> Answer:
    if answer.code < 400:
        return answer
    message, hint = f"the hub answered {answer.code}", ""
    try:
        problem = httpx.Response(200, content=answer.body).json()
        message, hint = str(problem["error"]), str(problem.get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        log.debug("answer %d: %r", answer.code, answer.body[:500])
    raise HttpFailure(answer.code, message, hint=hint)
