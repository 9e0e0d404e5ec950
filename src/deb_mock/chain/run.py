"""Running a chain: what is ready begins, what ends is offered to those that follow, what comes next is prepared."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from deb_mock.chain.graph import find_makers
from deb_mock.chain.plan import Chain
from deb_mock.chain.schedule import State, find_doomed, find_next, find_ready
from deb_mock.chain.work import End, Workers
from deb_mock.logs import log_name
from deb_mock.offer import offer_debs
from deb_mock.order import Identity, Order
from deb_mock.outcome import describe
from deb_mock.roots import find_sources, install_build, make_base, processors, resolve_build
from debcore.cancel import current
from debcore.errors import Failure
from debcore.job import Event, Result, Status
from debroot.store import Store

log = logging.getLogger(__name__)

#: Name of the thread that prepares what comes next; no source can be called so.
PREPARING = "(next)"


@dataclass(frozen=True)
class Outcome:
    """How one source of the chain ended."""

    state: State
    result: Result | None = None
    reused: bool = False  #: it was built before
    seconds: float = 0.0


class Run:
    """One run of *chain*, with at most *jobs* builds at once. `outcomes` is filled as it goes on.

    *echo* and *listen* get pieces of build logs and events with the source's name, from the threads of the builds.
    """

    def __init__(
        self,
        chain: Chain,
        store: Store,
        *,
        echo: Callable[[str, bytes], None] | None = None,
        listen: Callable[[str, Event], None] | None = None,
    ) -> None:
        self.chain = chain
        self.store = store
        self.outcomes: dict[str, Outcome] = {name: Outcome(State.WAITING) for name in chain.members}
        self._echo, self._listen = echo, listen
        self._jobs = chain.asked.jobs or processors()
        self._began: dict[str, float] = {}
        self._prepared: set[str] = set()
        self._offered: dict[str, frozenset[str]] = {}  #: for sources that are tried again, whose packages they get

    def run(self) -> None:
        """Until nothing can go on. Errors: Failure of the host; whatever is raised, nothing runs afterwards."""
        self._adopt()
        with Workers[Result | None]() as workers:
            while True:
                self._begin(workers)
                if not workers.running:
                    if self.chain.asked.recurse and self._try_again():
                        continue
                    break
                self._end(workers.wait())
        for name in find_doomed(self.chain.graph, self._states()):
            self.outcomes[name] = Outcome(State.SKIPPED)

    @property
    def status(self) -> Status:
        """Built if everything is; else how the first source that failed did."""
        failed = [o.result.status for o in self.outcomes.values() if o.state is State.FAILED and o.result]
        return failed[0] if failed else Status.BUILT

    def _adopt(self) -> None:
        """What was built before, in order: what needs something that must be built again is built again too."""
        for name in (name for level in self.chain.levels for name in level):
            if all(self.outcomes[need].state is State.BUILT for need in self.chain.graph.needs[name]):
                done = self.chain.journal.find_done(self.chain.members[name], self.chain.identities[name])
                if done is not None:
                    self.outcomes[name] = Outcome(State.BUILT, done, reused=True)
        if kept := sum(outcome.reused for outcome in self.outcomes.values()):
            log.info("%d of %d were built before", kept, len(self.outcomes))

    def _begin(self, workers: Workers[Result | None]) -> None:
        failed = any(outcome.state is State.FAILED for outcome in self.outcomes.values())
        if failed and not (self.chain.asked.keep_going or self.chain.asked.recurse):
            return
        for name in find_ready(self.chain.graph, self._states()):
            if sum(one != PREPARING for one in workers.running) >= self._jobs:
                return
            self.outcomes[name] = Outcome(State.RUNNING)
            self._began[name] = time.monotonic()
            workers.start(name, lambda name=name: self._build(name))  # type: ignore[misc]
        if PREPARING not in workers.running:
            for name in find_next(self.chain.graph, self._states()):
                if name not in self._prepared:
                    self._prepared.add(name)
                    workers.start(PREPARING, lambda name=name: self._prepare(name))  # type: ignore[misc]
                    return

    def _end(self, end: End[Result | None]) -> None:
        if end.name == PREPARING:
            if end.error is not None and not isinstance(end.error, Failure):
                raise end.error
            return  # whatever was wrong, the build itself will say
        seconds = time.monotonic() - self._began[end.name]
        if end.error is not None:
            raise end.error
        result = end.value
        assert result is not None
        built = result.status is Status.BUILT
        self.outcomes[end.name] = Outcome(State.BUILT if built else State.FAILED, result, seconds=seconds)
        done = sum(outcome.state is State.BUILT for outcome in self.outcomes.values())
        if built:
            log.info(
                "%s %s built in %.0f s, %d of %d", result.source, result.version, seconds, done, len(self.outcomes)
            )
            self.chain.journal.write_index(self._debs(self.chain.members))
        else:
            place = self.chain.journal.directory(self.chain.members[end.name])
            log.error("%s: %s", end.name, "\n".join(describe(result, log=str(place / log_name(result)))))

    def _try_again(self) -> bool:
        """After others were built, sources that failed are tried with the packages of all of them."""
        built = frozenset(name for name, outcome in self.outcomes.items() if outcome.state is State.BUILT)
        failed = [name for name, outcome in self.outcomes.items() if outcome.state is State.FAILED]
        again = [name for name in failed if built - self._offers(name)]
        for name in again:
            log.info("%s is tried again with everything that was built", name)
            self._offered[name] = built
            self.outcomes[name] = Outcome(State.WAITING)
        return bool(again)

    def _states(self) -> dict[str, State]:
        return {name: outcome.state for name, outcome in self.outcomes.items()}

    def _offers(self, name: str) -> frozenset[str]:
        """The sources whose packages *name* may use. What else happens to be built must not change what it becomes."""
        return self._offered.get(name) or self.chain.graph.closure(name)

    def _debs(self, names: Collection[str]) -> tuple[Path, ...]:
        """The packages of those of *names* that are built, in the order of the chain."""
        found: list[Path] = []
        for name, outcome in self.outcomes.items():
            if name in names and outcome.state is State.BUILT and outcome.result is not None:
                found += self.chain.journal.debs(self.chain.members[name], outcome.result)
        return tuple(found)

    def _build(self, name: str) -> Result:
        from deb_mock.api import run_build

        member, choice = self.chain.members[name], self.chain.choices[name]
        directory = self.chain.journal.begin(member, self.chain.identities[name])
        order = Order(
            source=member.source,
            choice=choice,
            directory=directory,
            identity=Identity(job=name),
            debs=self._debs(self._offers(name)),
            distribution=self.chain.asked.distribution,
            timeout=choice.settings.limits.time,
        )
        echo, listen = self._echo, self._listen
        return run_build(
            order,
            store=self.store,
            cancel=current(),
            on_output=(lambda data: echo(name, data)) if echo else None,
            on_event=(lambda event: listen(name, event)) if listen else None,
        )

    def _prepare(self, name: str) -> None:
        """Install what *name* needs and is there already: its build then adds what the running ones give."""
        member, choice = self.chain.members[name], self.chain.choices[name]
        log.info("Preparing what %s needs", name)
        needs = self.chain.graph.closure(name)
        missing = [self.chain.members[n].node for n in needs if self.outcomes[n].state is not State.BUILT]
        clauses = [c.reduced for c in member.node.wants if not any(find_makers(c, missing))]
        sources = find_sources(choice)
        base = make_base(self.store, choice, sources)
        debs = offer_debs(self.store, self._debs(needs))
        resolution = resolve_build(
            self.store, choice, sources, base, ", ".join(clauses), member.conflicts, debs=debs
        )  # fmt: skip
        install_build(self.store, base, resolution)
