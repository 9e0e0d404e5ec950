"""The hub's own work, in threads of its process: jobs of the pool `hub` (import, publish), and tending the rest."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

from sqlalchemy import insert, or_, select
from sqlalchemy.exc import OperationalError

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.events import TOPIC as EVENTS
from deb_orchestrator.dispatch.moves import CLASS, class_topic
from deb_orchestrator.dispatch.queue import find_heads
from deb_orchestrator.dispatch.wake import ALL
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.hosts import find_refusal
from deb_orchestrator.services import collect, publish
from deb_orchestrator.services.asking import ask_of_archives, ask_what_was_left
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.importing import admit_build, import_build
from deb_orchestrator.services.leftovers import give_up_imports, publish_what_was_left
from deb_orchestrator.services.progress import PROGRESS, advance, tell
from deb_orchestrator.services.publish_follow import follow_suite
from deb_orchestrator.services.room import make_room, tend_turns
from deb_orchestrator.services.solving import DoseSolver, Solver, solve_suite
from deb_orchestrator.services.targets import HUB_POOL
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import agent
from deb_orchestrator.store.tables_domain import build, build_arch, request, target
from deb_orchestrator.store.tables_publish import suite
from debcore.blobs import StoreAway
from debcore.errors import Failure, HostFailed
from debcore.trace import tracing

log = logging.getLogger(__name__)

REAP_S = 5.0
#: Seconds between two looks for uploads that nobody goes on with.
SWEEP_S = 3600.0
#: Seconds that a worker waits when the store of artifacts is away.
AWAY_S = 5.0
#: Seconds after which a worker looks for jobs although nothing was hinted at.
LOOK_S = 2.0


class Worker:
    """Claims and does jobs of one *pool*. *name* is this hub's agent name, its own for as long as it runs.

    *solver*: what those of the pool `solve` ask.
    """

    def __init__(self, hub: Hub, name: str, *, pool: str = HUB_POOL, solver: Solver | None = None) -> None:
        self._hub = hub
        self._agent = ensure_hub_agent(hub, name, pool)
        self._offer = jobs.Offer(pools=frozenset({pool}))
        self._solver = solver or DoseSolver()
        self._boot = secrets.token_hex(16)
        self._wake = threading.Event()
        self._owed: list[jobs.Claimed] = []
        self._others: Set[int] = frozenset()  # classes that are known not to be for us
        hub.wake.subscribe(self._hear)

    def run(self, stop: threading.Event) -> None:
        """Until *stop*; the job at hand is done first."""
        while not stop.is_set():
            self._wake.clear()
            try:
                self._release_owed()
                claimed = self.claim()
            except Exception:
                log.exception("the hub's worker cannot claim")
                stop.wait(LOOK_S)
                continue
            if claimed is None:
                self._wake.wait(LOOK_S)
            elif not self._try(claimed):
                stop.wait(AWAY_S)

    def claim(self) -> jobs.Claimed | None:
        with self._hub.db.read() as db:
            known = self._hub.classes.find(db)
            classes = [id_ for id_, wants in known.items() if not find_refusal(self._offer, wants)]
            self._others = known.keys() - set(classes)
            if not find_heads(db, self._agent, classes):
                return None
        with self._hub.db.write() as db:
            claim_id = secrets.token_urlsafe(16)
            return statements.claim(db, self._agent, claim_id, classes, self._boot, policy=self._hub.policy)

    def do(self, claimed: jobs.Claimed) -> bool:
        """The job, to its end. A fault of ours or the host's gives it back for another try.

        False: the store of artifacts or the database is away. That costs the job no try, and this worker waits a while.
        """
        started = time.monotonic()
        try:
            with tracing(claimed.trace):
                return self._do(claimed)
        finally:
            seconds = time.monotonic() - started
            self._hub.metrics.work.observe(seconds, kind=claimed.kind)
            said = {"action": "work", "job": claimed.job, "kind": claimed.kind, "seconds": round(seconds, 4)}
            with tracing(claimed.trace):
                log.debug("job %d (%s) was done", claimed.job, claimed.kind, extra=said)

    def _do(self, claimed: jobs.Claimed) -> bool:
        try:
            with self._beating(claimed):
                if claimed.kind == "import":
                    import_build(self._hub, claimed)  # ends the job in its own transaction
                elif claimed.kind == "admit":
                    admit_build(self._hub, claimed)  # likewise
                elif claimed.kind == "publish":
                    force = bool(claimed.spec.get("force"))
                    publish.publish_suite(self._hub.db, self._hub.blobs, claimed.spec["suite"], force=force)
                    self._finish(claimed, jobs.Outcome.SUCCEEDED, "")
                elif claimed.kind == "follow":
                    follow_suite(self._hub.db, self._hub.blobs, claimed.spec["suite"])
                    self._finish(claimed, jobs.Outcome.SUCCEEDED, "")
                elif claimed.kind == collect.KIND:
                    report = collect.collect(self._hub).model_dump(mode="json")
                    self._finish(claimed, jobs.Outcome.SUCCEEDED, "", report)
                elif claimed.kind == "resolve":
                    solve_suite(self._hub, self._solver, claimed.spec["suite"], claimed.spec["arch"])
                    self._finish(claimed, jobs.Outcome.SUCCEEDED, "")
                else:
                    self._finish(claimed, jobs.Outcome.INVALID, f"unknown kind {claimed.kind}")
        except jobs.JobError as error:
            log.info("job %d is not ours any more: %s", claimed.job, error)
        except StoreAway as failure:
            log.error("job %d (%s) waits: %s", claimed.job, claimed.kind, failure)
            self._release(claimed, str(failure))
            return False
        except OperationalError as error:
            log.error("job %d (%s) waits for the database: %s", claimed.job, claimed.kind, error.orig)
            self._owed.append(claimed)  # given back as soon as it can be told
            return False
        except HostFailed as failure:
            log.error("job %d (%s) goes back: %s", claimed.job, claimed.kind, failure)
            self._finish(claimed, jobs.Outcome.HOST, str(failure))
        except Failure as failure:
            self._finish(claimed, jobs.Outcome.INVALID, str(failure))
        except Exception as error:
            log.exception("job %d (%s) broke", claimed.job, claimed.kind)
            self._finish(claimed, jobs.Outcome.HOST, f"internal error: {type(error).__name__}")
        return True

    def wake(self) -> None:
        self._wake.set()

    def _try(self, claimed: jobs.Claimed) -> bool:
        """As `do`. Where not even the end of a job can be told, the worker goes on living."""
        try:
            return self.do(claimed)
        except Exception:
            log.exception("the end of job %d (%s) could not be told", claimed.job, claimed.kind)
            self._owed.append(claimed)
            return False

    def _release_owed(self) -> None:
        """What was at hand when the database went away."""
        while self._owed:
            self._release(self._owed[0], "the database was away")
            del self._owed[0]

    def _finish(self, claimed: jobs.Claimed, outcome: jobs.Outcome, reason: str, report: object = None) -> None:
        hash_ = hashlib.sha256(f"{outcome.value}:{reason}".encode()).hexdigest()
        result = {"outcome": outcome.value, "reason": reason, "report": report}
        try:
            with self._hub.db.write() as db:
                statements.finish(
                    db, claimed.job, claimed.attempt, claimed.grant, outcome, result, hash_,
                    reason=reason, policy=self._hub.policy,
                )  # fmt: skip
        except jobs.JobError as error:
            log.info("job %d is not ours any more: %s", claimed.job, error)

    def _release(self, claimed: jobs.Claimed, reason: str) -> None:
        try:
            with self._hub.db.write() as db:
                statements.release(db, claimed.job, claimed.attempt, claimed.grant, reason=reason)
        except jobs.JobError as error:
            log.info("job %d is not ours any more: %s", claimed.job, error)

    @contextmanager
    def _beating(self, claimed: jobs.Claimed) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(claimed, done), name=f"beat-{claimed.job}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self, claimed: jobs.Claimed, done: threading.Event) -> None:
        while not done.wait(claimed.lease_s / 4):
            try:
                with self._hub.db.write() as db:
                    policy = self._hub.policy
                    statements.beat(db, claimed.job, claimed.attempt, claimed.grant, policy=policy)
            except jobs.JobError:
                return
            except Exception:
                log.exception("a beat failed")

    def _hear(self, topics: frozenset[str]) -> None:
        others = {class_topic(id_) for id_ in self._others}
        if ALL in topics or any(topic.startswith(CLASS) and topic not in others for topic in topics):
            self._wake.set()


class Tender:
    """Reaps, acts on signatures, and lets follow what follows: every 5 s, and at once when something is hinted at."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._seen: dict[str, int] = {}
        self._swept = time.monotonic()
        self._wake = threading.Event()
        hub.wake.subscribe(self._hear)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._wake.clear()
            self._guarded(self.tend)
            if time.monotonic() - self._swept >= SWEEP_S:
                self._swept = time.monotonic()
                self._guarded(self._hub.blobs.sweep_incoming)
                self._guarded(self._collect)
            self._wake.wait(REAP_S)

    def tend(self) -> None:
        """One round; safe to repeat and to run on several hubs."""
        with self._hub.db.write() as db:
            statements.reap(db, policy=self._hub.policy)
        self._hub.seen.write(self._hub.db)
        publish.settle(self._hub.db, self._hub.blobs)
        with self._hub.db.write() as db:
            give_up_imports(db)
            publish_what_was_left(db)
            ask_what_was_left(db)
            ask_of_archives(db)
        with self._hub.db.write() as db:
            tend_turns(db)
            make_room(db)
        for name, live in self._find_work():
            with self._hub.db.write() as db:
                events = advance(db, name, published=self._seen.get(name) != live)
                if events:
                    tell(db, events)
            self._seen[name] = live

    def wake(self) -> None:
        self._wake.set()

    def _collect(self) -> None:
        with self._hub.db.write() as db:
            collect.ask_in_time(db)

    def _find_work(self) -> list[tuple[str, int]]:
        unstarted = (
            select(build.c.suite)
            .join(build_arch, build_arch.c.build_id == build.c.id)
            .where(build_arch.c.job_id.is_(None), build.c.cancelled.is_(False))
        )
        asked = select(target.c.suite).join(request, request.c.target == target.c.name).where(request.c.state == "open")
        query = select(suite.c.name, suite.c.live).where(or_(suite.c.name.in_(unstarted), suite.c.name.in_(asked)))
        with self._hub.db.read() as db:
            found = [(row.name, row.live) for row in db.execute(query)]
            changed = [(row.name, row.live) for row in db.execute(select(suite.c.name, suite.c.live))]
        return found + [one for one in changed if one not in found and self._seen.get(one[0]) != one[1]]

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:
            log.exception("tending failed; trying again in %g s", REAP_S)

    def _hear(self, topics: frozenset[str]) -> None:
        if topics & {PROGRESS, EVENTS, ALL}:
            self._wake.set()


def ensure_hub_agent(hub: Hub, name: str, pool: str = HUB_POOL) -> int:
    """The row by which this hub claims jobs of one of its own pools. It has no token: nobody can be it from outside."""
    with hub.db.write() as db:
        found = db.execute(select(agent.c.id).where(agent.c.name == name)).scalar_one_or_none()
        if found is not None:
            return int(found)
        values = {"name": name, "state": "approved", "pools": [pool], "slots": 4, "created_at": now(db)}
        return int(db.execute(insert(agent).values(**values).returning(agent.c.id)).scalar_one())
