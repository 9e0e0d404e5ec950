"""Long polls that hold no thread and no connection: a coroutine that waits for a hint, or for a look now and then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from deb_orchestrator.dispatch.wake import ALL, Wake

Wanted = Callable[[frozenset[str]], bool]
T = TypeVar("T")

#: Seconds after which a parked call looks by itself: hints of other hubs may be lost.
LOOK_S = 5.0


class Parking:
    """Wakes parked calls when a transaction, here or on another hub, hints at what they wait for."""

    def __init__(self, wake: Wake) -> None:
        self._lock = threading.Lock()
        self._parked: dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, Wanted]] = {}
        self.closed = False
        wake.subscribe(self._hear)

    @property
    def count(self) -> int:
        return len(self._parked)

    def close(self) -> None:
        """Send everybody home: the hub stops."""
        self.closed = True
        self._wake(lambda _wanted: True)

    async def until(self, wanted: Wanted, seconds: float, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """What *look* finds, now or after hints that are *wanted*; None after *seconds*."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        with self._place(wanted) as woken:
            while True:
                woken.clear()
                found = await look()
                left = end - loop.time()
                if found is not None or left <= 0 or self.closed:
                    return found
                try:
                    await asyncio.wait_for(woken.wait(), min(left, LOOK_S))
                except TimeoutError:
                    continue

    @contextmanager
    def _place(self, wanted: Wanted) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        with self._lock:
            self._parked[event] = (asyncio.get_running_loop(), wanted)
        try:
            yield event
        finally:
            with self._lock:
                del self._parked[event]

    def _hear(self, topics: frozenset[str]) -> None:
        self._wake(lambda wanted: ALL in topics or wanted(topics))

    def _wake(self, chosen: Callable[[Wanted], bool]) -> None:
        with self._lock:
            parked = list(self._parked.items())
        for event, (loop, wanted) in parked:
            if chosen(wanted) and not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
