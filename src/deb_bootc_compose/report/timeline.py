"""Where the time of a compose went, out of its journal. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from deb_bootc_compose.journal import Entry
from deb_bootc_compose.report.plot import Span


@dataclass(frozen=True)
class Timeline:
    """`total` seconds of work, the pauses between a stop and its resumption left out; `breaks` are where they were."""

    spans: tuple[Span, ...]
    total: float
    breaks: tuple[float, ...]
    started_at: datetime | None
    ended_at: datetime | None


def make_timeline(entries: Iterable[Entry]) -> Timeline:
    """A task that has a beginning and no end was stopped with its compose. A clock that jumps back costs no time."""
    found: list[Span] = []
    breaks: list[float] = []
    running: dict[str, float] = {}
    now = 0.0  # seconds of work so far
    first = last = None

    def stop() -> None:
        found.extend(Span(name, start, now, "stopped") for name, start in running.items())
        running.clear()

    for entry in entries:
        at = datetime.fromisoformat(entry.at)
        first = first or at
        if entry.type == "compose.resumed":
            stop()
            breaks.append(now)
        elif last is not None:
            now += max(0.0, (at - last).total_seconds())
        last = at
        if entry.type == "task.started":
            running[entry.data["task"]] = now
        elif entry.type in ("task.finished", "task.failed"):
            start = running.pop(entry.data["task"], now)
            state = "done" if entry.type == "task.finished" else "failed"
            found.append(Span(entry.data["task"], start, max(start, now), state))
    stop()
    found.sort(key=lambda span: span.start)
    return Timeline(tuple(found), now, tuple(breaks), first, last)
