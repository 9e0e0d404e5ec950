"""deb-mock from Python. Everything here is stable; the command line is written with it.

    from deb_mock.api import plan_build, run_build, start_build

    order = plan_build("hostname", preset="trixie", settings={"build.profiles": ["nocheck"]})
    result = run_build(order, on_event=print)          # in this thread
    print(result.status, [output.path for output in result.outputs])

    with start_build(order) as build:                  # in a thread of its own; leaving the block cancels it
        for event in build.events():
            print(event.type, event.data)
        result = build.result()

Chains, of several sources that need each other:

    from deb_mock.api import ask_chain, run_chain

    report = run_chain(ask_chain(["./libfoo", "./foo-utils#HEAD"], jobs=4), Path("chain"), on_event=print)
    print(report.status, [(member.source, member.state) for member in report.members])

How a build ends is `Result.status`, for all the reasons that exit statuses have. What raises is what the caller got
wrong before anything began (`Failure` and its kinds, from `plan_build` mostly), and a result that cannot be written.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from deb_mock.build import run_build as run_order
from deb_mock.buildlog import BuildLog
from deb_mock.order import Identity, Order
from deb_mock.plan import plan_build
from deb_mock.resultdir import clear_directory, remove_results
from debcore.cancel import Cancel, cancelling
from debcore.errors import BuildFailed, ConfigError, DepsUnmet, Failure, HostFailed, LimitHit
from debcore.job import Event, FailureReport, Lock, Output, Peaks, Result, Stage, Status
from debroot.store import Store

if TYPE_CHECKING:  # loaded when they are used: a build needs none of them
    from deb_mock.chain.calls import ChainMember, ChainPlan, ChainReport, ask_chain, load_chain, plan_chain, run_chain
    from deb_mock.chain.graph import Clause, Edge
    from deb_mock.chain.journal import Asked as ChainOrder

__all__ = [
    "Build",
    "BuildFailed",
    "Cancel",
    "ChainMember",
    "ChainOrder",
    "ChainPlan",
    "ChainReport",
    "Clause",
    "ConfigError",
    "DepsUnmet",
    "Edge",
    "Event",
    "Failure",
    "FailureReport",
    "HostFailed",
    "Identity",
    "LimitHit",
    "Lock",
    "Order",
    "Output",
    "Peaks",
    "Result",
    "Stage",
    "Status",
    "Store",
    "ask_chain",
    "load_chain",
    "plan_build",
    "plan_chain",
    "run_build",
    "run_chain",
    "start_build",
]


#: Names about chains → where they are.
_CHAINS = dict.fromkeys(
    ("ChainMember", "ChainPlan", "ChainReport", "ask_chain", "load_chain", "plan_chain", "run_chain"), "calls"
)
_CHAINS |= {"Clause": "graph", "Edge": "graph", "ChainOrder": "journal"}


def __getattr__(name: str) -> object:
    if name not in _CHAINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"deb_mock.chain.{_CHAINS[name]}")
    return getattr(module, "Asked" if name == "ChainOrder" else name)


def run_build(
    order: Order,
    *,
    store: Store | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_output: Callable[[bytes], None] | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Build *order* in this thread. Its directory holds the results, or nothing if it was refused or cancelled.

    *on_event* gets each event when it happens, *on_output* each piece of the build log; what they raise ends the build.
    *cancel* may be set from any thread: within a moment everything inside is ended and the status is `cancelled`.
    Errors: HostFailed if the result cannot be written, Failure if the directory cannot be used.
    """
    store = store or Store.open()
    made = clear_directory(order.directory)
    build_log = BuildLog(order.directory / "build.log", echo=on_output)
    try:
        with cancelling(cancel):
            result = run_order(order, store, build_log, listen=on_event)
    except BaseException:
        with contextlib.suppress(OSError):
            build_log.close()
        remove_results(order.directory, made=made)
        raise
    if result.status in (Status.INVALID, Status.CANCELLED):
        remove_results(order.directory, made=made)
        return result.model_copy(update={"outputs": ()})
    return result


def start_build(order: Order, *, store: Store | None = None, on_output: Callable[[bytes], None] | None = None) -> Build:
    """Begin *order* in a thread of its own and return at once. Builds do not wait for each other: start several."""
    return Build(order, store=store, on_output=on_output)


class Build:
    """A build that goes on beside the caller. Safe to use from several threads."""

    def __init__(self, order: Order, *, store: Store | None, on_output: Callable[[bytes], None] | None) -> None:
        self.order = order
        self._store = store
        self._on_output = on_output
        self._cancel = Cancel()
        self._news = threading.Condition()
        self._events: list[Event] = []
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"build of {order.directory.name}")
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def events(self) -> Iterator[Event]:
        """All events from the first, each as soon as it happens; ends with the build."""
        seen = 0
        while (event := self._next(seen)) is not None:
            seen += 1
            yield event

    def cancel(self) -> None:
        """Ask it to stop; `result` then says `cancelled`. Nothing happens if it has ended."""
        self._cancel.set()

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the end. Errors: as run_build; TimeoutError after *timeout* seconds, and the build goes on."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the build of {self.order.directory.name} still runs after {timeout:g} s")
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def __enter__(self) -> Build:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._result = run_build(
                self.order, store=self._store, on_event=self._tell, on_output=self._on_output, cancel=self._cancel
            )
        except BaseException as error:
            self._error = error
        with self._news:
            self._news.notify_all()

    def _tell(self, event: Event) -> None:
        with self._news:
            self._events.append(event)
            self._news.notify_all()

    def _next(self, seen: int) -> Event | None:
        with self._news:
            self._news.wait_for(lambda: len(self._events) > seen or self._ended())
            return self._events[seen] if len(self._events) > seen else None

    def _ended(self) -> bool:
        return self._result is not None or self._error is not None
