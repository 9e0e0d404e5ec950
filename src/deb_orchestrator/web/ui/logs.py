"""Logs by byte ranges: the window that a page shows. A log may have hundreds of megabytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deb_orchestrator.services import queries
from deb_orchestrator.services.hub import Hub

_CHUNK = 1024 * 1024
_LINE = 16 * 1024  #: bytes; windows do not look further for the end of a line
#: Of terminals. Source: ECMA-48, 5.4 (control sequences).
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: Control characters, and those that turn the direction of what follows. Source: Unicode, 23.2 and UAX 9. As in log.js.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class Window:
    """Lines of a log: bytes *start* to *end* of *size*. `text` has no control characters but tab and line feed.

    `earlier`, `later`: where the neighbours begin; None where there is nothing.
    """

    text: str
    start: int
    end: int
    size: int
    earlier: int | None
    later: int | None

    @property
    def at_end(self) -> bool:
        return self.end >= self.size


def find_window(hub: Hub, build: int, arch: str, size: int, *, at: int | None, limit: int) -> Window:
    """From *at*, or the end (None), at most *limit* bytes, whole lines where lines are shorter than that."""
    begin = max(0, size - limit) if at is None else min(at, size)
    data = queries.read_log(hub, build, arch, begin, limit)[0]
    start, end = begin, begin + len(data)
    if at is None and start > 0:
        cut = data.find(b"\n", 0, _LINE) + 1
        start, data = start + cut, data[cut:]
    if end < size and (cut := data.rfind(b"\n", max(0, len(data) - _LINE)) + 1):
        end, data = start + cut, data[:cut]
    return Window(
        text=clean(data.decode("utf-8", "replace")), start=start, end=end, size=size,
        earlier=max(0, start - limit) if start > 0 else None, later=end if end < size else None,
    )  # fmt: skip


def clean(text: str) -> str:
    """What a page can show: a carriage return ends a line, colours are left out, other controls become U+FFFD."""
    return _CONTROLS.sub("\ufffd", _COLOURS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def read_live(hub: Hub, build: int, arch: str) -> Iterator[bytes]:
    """What the hub has by now of a log that grows."""
    offset = 0
    while data := queries.read_log(hub, build, arch, offset, _CHUNK)[0]:
        yield data
        offset += len(data)
