"""The builder: claims jobs, one for each slot, and sees each through. It only ever connects outwards."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from deb_orchestrator.agent.attempt import TASK, Attempt, Tool, ask_tool, find_compose, find_deb_mock
from deb_orchestrator.agent.capacity import find_free_mb, find_memory_mb
from deb_orchestrator.agent.enrolment import enrol, find_token
from deb_orchestrator.agent.idle import IdleUpdates
from deb_orchestrator.agent.relay import relaying
from deb_orchestrator.agent.spool import Place, adopt_places, find_place, make_place
from debcore.errors import Failure, Interrupted
from debcore.http import HttpFailure
from debcore.hub.client import JobClient
from debcore.hub.model import BuildSpec, ClaimAsk, Claimed, Enrol
from debcore.trace import tracing

log = logging.getLogger(__name__)

#: Seconds that a claim is parked (proxies end what is silent for 60), and pauses after faults.
PARK_S = 50.0
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """*deb_mock*: its command line, for tests; else the one beside this Python, or on PATH."""

    url: str
    name: str
    state: Path
    arches: tuple[str, ...]
    ca: Path | None = None
    slots: int = 1
    deb_mock: tuple[str, ...] = ()
    emulates: tuple[str, ...] = ()  #: architectures that it can only emulate, and offers as such
    idle_updates: bool = True


def run_agent(settings: Settings) -> None:
    """Until a signal. Builds under way are then stopped and given back; results not handed in yet stay in the spool.

    Errors: Failure if the hub has revoked us, or another agent uses the state directory.
    """
    settings.state.mkdir(mode=0o711, parents=True, exist_ok=True)
    stop = threading.Event()
    token = find_token(settings.state)
    argv = settings.deb_mock or find_deb_mock(_from_environment())
    with (
        _alone(settings.state),
        JobClient(settings.url, token, ca=settings.ca, tries=3) as client,
        ExitStack() as stack,
    ):
        tool = replace(ask_tool(argv), compose=find_compose())
        ask = Enrol(
            name=settings.name, token=token, arches=settings.arches, version=version("deb-bootc-ecosystem"),
            capabilities=tuple(kind for kind in tool.offers if kind != "build"), emulates=settings.emulates,
            memory_mb=find_memory_mb(), disk_mb=find_free_mb(settings.state), slots=settings.slots,
        )  # fmt: skip
        enrol(client, ask, stop)
        relay = stack.enter_context(relaying(client.http))
        tool = replace(
            tool, apt_base=relay if settings.url.startswith("https:") else None, private_base=relay,
            hidden=(token, relay.rpartition("/")[2]),
        )  # fmt: skip
        agent = Agent(client, settings, tool, stop)
        agent.run()


class Agent:
    """The slots of one process and what they hold. `boot` names this run: the hub takes back what older ones held."""

    def __init__(self, client: JobClient, settings: Settings, tool: Tool, stop: threading.Event) -> None:
        self._client, self._settings, self._tool, self._stop = client, settings, tool, stop
        self._spool = settings.state / "spool"
        self._spool.mkdir(mode=0o711, exist_ok=True)
        self._boot = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._places: dict[Path, Place] = {}
        self._fatal: Failure | None = None
        self._idle = IdleUpdates(tool.argv, settings.state, lambda: bool(self._places))

    def run(self) -> None:
        adopted = list(adopt_places(self._spool))
        with self._lock:
            self._places = {place.path: place for place in adopted}
        threads = [
            threading.Thread(
                target=self._guard, args=(i, adopted[i :: self._settings.slots]), name=f"slot-{i}", daemon=True
            )
            for i in range(self._settings.slots)
        ]
        if self._settings.idle_updates:
            threading.Thread(target=self._idle.run, args=(self._stop,), name="idle", daemon=True).start()
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(0.2)
        except Interrupted:
            # Stopping has begun: another signal must not break it off half-way.
            for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(signum, signal.SIG_IGN)
            raise
        finally:
            self._stop.set()
            # A slot that is merely parked at the hub holds nothing, and ends with us.
            while self._places and any(thread.is_alive() for thread in threads):
                time.sleep(0.05)
        if self._fatal is not None:
            raise self._fatal

    def _guard(self, slot: int, adopted: list[Place]) -> None:
        try:
            for place in adopted:
                with self._holding(place), tracing(place.claimed.trace):
                    Attempt(self._client, place, self._tool, self._stop).report_adopted()
            self._work()
        except Failure as failure:
            self._fatal = failure
            self._stop.set()
        except Exception:
            log.exception("slot %d broke", slot)
            self._fatal = Failure("a slot of the agent broke", hint="its log has the details")
            self._stop.set()

    def _work(self) -> None:
        claim_id, faults = secrets.token_urlsafe(16), 0
        while not self._stop.is_set():
            try:
                claimed = self._claim(claim_id)
                faults = 0
            except HttpFailure as failure:
                if failure.code in (401, 403):
                    raise
                if failure.code == 409:  # the attempt that this id stood for is over
                    claim_id = secrets.token_urlsafe(16)
                faults = self._pause(failure, faults)
                continue
            except Failure as failure:
                faults = self._pause(failure, faults)
                continue
            if claimed is not None:
                claim_id = secrets.token_urlsafe(16)
                if self._stop.is_set():
                    self._client.release(claimed, "the agent stops")
                else:
                    with tracing(claimed.trace):
                        self._do(claimed)

    def _claim(self, claim_id: str) -> Claimed | None:
        with self._lock:
            held = tuple(place.held for place in self._places.values())
        ask = ClaimAsk(
            claim_id=claim_id,
            boot_id=self._boot,
            held=held,
            arches=self._settings.arches,
            api=self._tool.api,
            wait=PARK_S,
            disk_mb=find_free_mb(self._settings.state),
        )
        return self._client.claim(ask)

    def _do(self, claimed: Claimed) -> None:
        if claimed.kind not in self._tool.offers:
            log.error("job %d is of kind %s, which this agent does not know", claimed.job, claimed.kind)
            self._client.release(claimed, f"unknown kind {claimed.kind}")
            self._stop.wait(PAUSES[-1])
            return
        log.info("job %d, attempt %d", claimed.job, claimed.attempt)
        try:
            place = make_place(self._spool, claimed)
        except OSError as error:  # the disk is full: the hub should know, and give the job to another
            log.error("job %d has no room in the spool: %s", claimed.job, error.strerror)
            reason = f"no room in the agent's spool: {error.strerror}"
            Attempt(self._client, find_place(self._spool, claimed), self._tool, self._stop).report_fault(reason)
            return
        with self._holding(place):
            with suppress(ValidationError):  # the attempt says what is wrong with it
                if claimed.kind != TASK:  # that has no root of a preset
                    self._idle.note(BuildSpec.model_validate(claimed.spec))
            Attempt(self._client, place, self._tool, self._stop).run()

    def _pause(self, failure: Failure, faults: int) -> int:
        log.warning("%s", failure)
        self._stop.wait(PAUSES[min(faults, len(PAUSES) - 1)])
        return faults + 1

    @contextmanager
    def _holding(self, place: Place) -> Iterator[None]:
        with self._lock:
            self._places[place.path] = place
        try:
            yield
        finally:
            with self._lock:
                self._places.pop(place.path, None)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    fd = os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Failure(f"another agent uses {state}", hint="give each agent a --state of its own") from None
    try:
        yield
    finally:
        os.close(fd)


def _from_environment() -> tuple[str, ...]:
    """DEBOOTC_DEB_MOCK: the path of another deb-mock."""
    given = os.environ.get("DEBOOTC_DEB_MOCK")
    return (given,) if given else ()
