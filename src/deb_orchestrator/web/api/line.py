"""Claims that wait for a job, in a line: a hint wakes a few that the job is for, never all of them.

With a thousand agents, a look by each of them for each job would take more than the job's own work. So a hint at a
class wakes one claim whose agent fits the class. If it gets a job there may be more of them: it wakes two others. If it
gets none, but there is one that is not for it (an exclusion, a quarantine), it passes the hint on. Hints may be lost,
and with them whoever was to pass them on; so every `LOOK_S` seconds one of those that wait looks for all which classes
have jobs, and hints at them. What a claim knows of its agent and of classes is as old as its last look.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deb_orchestrator.dispatch.moves import CLASS, agent_topic
from deb_orchestrator.dispatch.wake import ALL, Wake
from deb_orchestrator.domain.jobs import Claimed
from deb_orchestrator.services.agents import Look

#: Seconds between two looks for all.
LOOK_S = 5.0
#: Claims that a look for all wakes for a class, one after the other, until one gets its job.
_FEW = 8


@dataclass(eq=False)
class _Place:
    agent: str  #: its topic
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    fits: frozenset[int] = frozenset()
    known: frozenset[int] = frozenset()
    hints: dict[int, int] = field(default_factory=dict)  #: class → how often its hint may still be passed on

    def wants(self, class_id: int) -> bool:
        """A class that it does not know may be for it."""
        return class_id in self.fits or class_id not in self.known


class Line:
    """The claims that wait at one hub. *find_queued*: the classes that have jobs; it may block."""

    def __init__(self, wake: Wake, find_queued: Callable[[], Collection[int]]) -> None:
        self._find_queued = find_queued
        self._lock = threading.Lock()
        self._places: dict[_Place, None] = {}  # those that waited, or were woken, longest ago come first
        self._looked = time.monotonic()
        self.closed = False
        wake.subscribe(self._hear)

    @property
    def count(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Send everybody home: the hub stops."""
        self.closed = True
        self._wake_all(lambda _place: True)

    async def wait(self, agent: int, seconds: float, look: Callable[[bool], Awaitable[Look]]) -> Claimed | None:
        """What *look* gets (it is told whether it is the first one of the call), or None after *seconds*."""
        loop = asyncio.get_running_loop()
        end, first = loop.time() + seconds, True
        with self._place(agent_topic(agent), loop) as place:
            while True:
                found = await self._look(place, look, first=first)
                first = False
                if found is not None:
                    return found
                while not place.woken.is_set():
                    left = end - loop.time()
                    if left <= 0 or self.closed:
                        return None
                    try:
                        await asyncio.wait_for(place.woken.wait(), min(left, LOOK_S))
                    except TimeoutError:
                        await self._look_for_all()
                if self.closed:
                    return None

    async def _look(self, place: _Place, look: Callable[[bool], Awaitable[Look]], *, first: bool) -> Claimed | None:
        hints = self._take_hints(place)
        try:
            found = await look(first)
        except BaseException:
            self._pass_on(hints, 1)
            raise
        place.fits, place.known = found.fits, found.known
        if found.claimed is not None:
            self._pass_on(dict.fromkeys(hints, self.count), 2)
            return found.claimed
        self._pass_on({one: left for one, left in hints.items() if one not in found.fits}, 2)
        self._pass_on({one: left for one, left in hints.items() if one in found.left}, 1)
        return None

    async def _look_for_all(self) -> None:
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        for class_id in await asyncio.to_thread(self._find_queued):
            self._hint(class_id, 1, _FEW)

    def _take_hints(self, place: _Place) -> dict[int, int]:
        with self._lock:
            place.woken.clear()
            hints, place.hints = place.hints, {}
        return hints

    def _pass_on(self, hints: dict[int, int], width: int) -> None:
        for class_id, left in hints.items():
            if left > 0:
                self._hint(class_id, width, left - 1)

    def _hint(self, class_id: int, width: int, left: int) -> None:
        """Wake *width* claims for a job of the class; the hint may be passed on *left* times."""
        with self._lock:
            chosen = [place for place in self._places if not place.hints and place.wants(class_id)][:width]
            for place in chosen:
                place.hints[class_id] = left
                self._places[place] = self._places.pop(place)  # to the end of the line
        self._set(chosen)

    @contextmanager
    def _place(self, agent: str, loop: asyncio.AbstractEventLoop) -> Iterator[_Place]:
        place = _Place(agent, loop)
        with self._lock:
            self._places[place] = None
        try:
            yield place
        finally:
            with self._lock:
                del self._places[place]
            self._pass_on(place.hints, 1)  # that came when it was about to leave

    def _hear(self, topics: frozenset[str]) -> None:
        if ALL in topics:
            self._wake_all(lambda _place: True)
            return
        for topic in topics:
            if topic.startswith(CLASS):
                self._hint(int(topic.removeprefix(CLASS)), 1, self.count)
        self._wake_all(lambda place: place.agent in topics)

    def _wake_all(self, chosen: Callable[[_Place], bool]) -> None:
        with self._lock:
            places = [place for place in self._places if chosen(place)]
        self._set(places)

    @staticmethod
    def _set(places: Collection[_Place]) -> None:
        for place in places:
            if not place.loop.is_closed():
                place.loop.call_soon_threadsafe(place.woken.set)
