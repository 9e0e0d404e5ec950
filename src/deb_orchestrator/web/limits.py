"""How often one caller may call: the only place that says it. Too much is answered with 429 and Retry-After.

Each hub counts for itself. Who has shown a token or session that the authentication accepted is counted by it; all
others, and all who guess, by their address. Files of the archive are not counted, but what was refused of them is.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deb_orchestrator.web.api.context import ACCEPTED, COOKIE, problem


@dataclass(frozen=True)
class Rate:
    """So many calls in a second over a long time, and so many at once."""

    per_s: float
    burst: int


KNOWN = Rate(per_s=200, burst=2000)
STRANGER = Rate(per_s=50, burst=1000)
#: Answers of 401 to one address: guesses. Who is known is not kept out by them.
REFUSED = Rate(per_s=0.5, burst=60)
#: Callers that are remembered; of the others nothing is known.
REMEMBERED = 20_000
_FREE = ("/apt/", "/static/", "/healthz")


class Buckets:
    """Token buckets by name, the least used forgotten. *clock* in seconds."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name → (what is left, when)

    def wait_for(self, name: str) -> float:
        """Seconds until one more is allowed; 0: now."""
        return max(0.0, (1 - self._fill(name)) / self._rate.per_s)

    def take(self, name: str) -> None:
        self._left[name] = (self._fill(name) - 1, self._clock())
        self._left.move_to_end(name)
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)

    def _fill(self, name: str) -> float:
        left, at = self._left.get(name, (float(self._rate.burst), self._clock()))
        return min(float(self._rate.burst), left + (self._clock() - at) * self._rate.per_s)


class RateLimit:
    """Middleware around everything else."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._known, self._strangers = Buckets(KNOWN, clock), Buckets(STRANGER, clock)
        self._refused = Buckets(REFUSED, clock)
        self._good: OrderedDict[str, str] = OrderedDict()  # what was shown → what was accepted of it; both are hashes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown",))[0]
        shown = find_shown(dict(scope["headers"]))
        known = None if shown is None else self._good.get(shown)
        wait = self._ask(scope["path"], address, known)
        if wait > 0:
            answer = problem(429, "too many calls", "wait as long as Retry-After says (seconds)")
            answer.headers["Retry-After"] = str(math.ceil(wait))
            await answer(scope, receive, send)
            return

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(message["status"], address, shown, known=known is not None, accepted=scope.get(ACCEPTED))
            await send(message)

        await self._app(scope, receive, note)

    def _ask(self, path: str, address: str, known: str | None) -> float:
        """Seconds to wait; 0 if the call may go on, and is counted."""
        if known is None and (wait := self._refused.wait_for(address)) > 0:
            return wait
        if path.startswith(_FREE):
            return 0
        buckets, name = (self._strangers, address) if known is None else (self._known, known)
        wait = buckets.wait_for(name)
        if wait == 0:
            buckets.take(name)
        return wait

    def _note(self, status: int, address: str, shown: str | None, *, known: bool, accepted: str | None) -> None:
        """*accepted*: what the authentication let in. An answer alone says nothing: some pages are open to all."""
        if status == 401:
            if shown is not None:
                self._good.pop(shown, None)
            if not known:
                self._refused.take(address)
        elif shown is not None and accepted is not None:
            self._good[shown] = accepted
            self._good.move_to_end(shown)
            while len(self._good) > REMEMBERED:
                self._good.popitem(last=False)


def find_shown(headers: Mapping[bytes, bytes]) -> str | None:
    """A hash of the token, password or session that comes with a call; None without."""
    shown = headers.get(b"authorization")
    if shown is None:
        cookies = headers.get(b"cookie", b"").split(b";")
        shown = next((one.strip() for one in cookies if one.strip().startswith(COOKIE.encode() + b"=")), None)
    return None if shown is None else hashlib.sha256(shown).hexdigest()
