"""Builds in threads of their own, whose ends are waited for in one place."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from debcore.cancel import Cancel, cancelling, select_readable

T = TypeVar("T")


@dataclass(frozen=True)
class End(Generic[T]):
    """How a piece of work ended: with a value or an error."""

    name: str
    value: T | None
    error: BaseException | None


class Workers(Generic[T]):
    """Leaving the block cancels what still runs and waits until it has unwound."""

    def __init__(self) -> None:
        self._ends: queue.SimpleQueue[End[T]] = queue.SimpleQueue()
        self._news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._running: dict[str, tuple[threading.Thread, Cancel]] = {}

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._running)

    def start(self, name: str, call: Callable[[], T]) -> None:
        """Run *call* in a thread that is named *name*."""
        cancel = Cancel()
        thread = threading.Thread(target=self._run, args=(name, call, cancel), name=name)
        self._running[name] = thread, cancel
        thread.start()

    def wait(self) -> End[T]:
        """The next end. Something must be running. Errors: Cancelled."""
        select_readable([self._news], None)
        os.eventfd_read(self._news)
        end = self._ends.get_nowait()
        self._running.pop(end.name)[0].join()
        return end

    def __enter__(self) -> Workers[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, cancel in self._running.values():
            cancel.set()
        for thread, _ in self._running.values():
            thread.join()
        os.close(self._news)

    def _run(self, name: str, call: Callable[[], T], cancel: Cancel) -> None:
        value: T | None = None
        problem: BaseException | None = None
        try:
            with cancelling(cancel):
                value = call()
        except BaseException as error:
            problem = error
        self._ends.put(End(name, value, problem))
        os.eventfd_write(self._news, 1)
