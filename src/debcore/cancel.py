"""Stopping work from another thread: within `cancelling(token)`, whatever waits for a program looks at the token too.

Signals reach only the main thread. A caller that runs several pieces of work in threads gives each a token, and the
piece whose token is set unwinds by `Cancelled`, which cleans up exactly as an interrupt does.
"""

from __future__ import annotations

import os
import select
import signal
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from debcore.errors import Interrupted

#: Seconds between two looks at the token where a descriptor cannot be waited for.
TICK = 0.2


class Cancelled(Interrupted):
    """The token of the work at hand was set."""

    def __init__(self) -> None:
        super().__init__(signal.SIGTERM)
        self.args = ("the caller",)


class Cancel:
    """A token that any thread may set, once and for good."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._set = False
        weakref.finalize(self, os.close, self._fd)

    def set(self) -> None:
        self._set = True
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        return self._set

    def fileno(self) -> int:
        """Readable once it is set: for select and poll."""
        return self._fd


_token: ContextVar[Cancel | None] = ContextVar("cancel", default=None)


@contextmanager
def cancelling(token: Cancel | None) -> Iterator[None]:
    """Let *token* stop what this thread does in the block. Errors: Cancelled, from the block."""
    before = _token.set(token)
    try:
        yield
    finally:
        _token.reset(before)


def current() -> Cancel | None:
    """The token of the work at hand, as long as it has not stopped it."""
    return _token.get()


def check() -> None:
    """Errors: Cancelled if the token of the work at hand is set; once, so that what cleans up is not stopped again."""
    token = _token.get()
    if token is not None and token.is_set():
        _token.set(None)
        raise Cancelled


def select_readable(fds: Sequence[int], timeout: float | None) -> list[int]:
    """Those of *fds* that can be read, after *timeout* seconds at most. Errors: Cancelled."""
    token = _token.get()
    also = [token.fileno()] if token is not None else []
    ready, _, _ = select.select([*fds, *also], [], [], timeout)
    check()
    return [fd for fd in ready if fd in fds]


def pause(seconds: float = TICK) -> None:
    """Errors: Cancelled, at once when the token of the work at hand is set."""
    select_readable([], seconds)
