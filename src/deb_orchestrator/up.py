"""`deb-orchestrator up`: hub, web, signer and one builder on this host, with nothing to configure."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_orchestrator.home import default_state
from deb_orchestrator.hub import OPERATOR, HubServer, Listen
from deb_orchestrator.lifetime import Child
from deb_orchestrator.services import agents, queries, targets
from debcore.command import run
from debcore.errors import Failure, HostFailed
from debcore.hub.credential import credential_path
from debcore.hub.model import AgentState, Enrol, Target
from debcore.path import write_file

log = logging.getLogger(__name__)

SUITE = "trixie-local"
PRESET = "debian-trixie"
#: Seconds until the suite's first, empty generation must be signed.
READY_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Up:
    """What `up` has started."""

    url: str
    token_file: Path
    state: Path
    login_url: str


@contextmanager
def running(state: Path | None, *, port: int = 0, slots: int = 1) -> Iterator[tuple[Up, Callable[[], None]]]:
    """Everything started and the target ready; stopped at the end. Yields also a function to call every second.

    *state* None: the user's own, with the credential where other terminals find it.
    Errors: Failure if another hub runs there; HostFailed if the signer gives no key.
    """
    place = (state or default_state()).resolve()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_alone(place))
        server = HubServer(place, Listen(port=port))
        stack.callback(server.stop)
        server.start()
        credential = (credential_path() if state is None else place / "client.json").absolute()
        token_file = server.write_credential(credential)
        children = [_make_child(server, place, name, slots) for name in ("signer", "agent")]
        for child in children:
            stack.callback(child.stop)
            child.start()
        _make_target(server)

        def look_after() -> None:
            for child in children:
                child.watch()
            if not server.healthy:
                raise HostFailed("a part of the hub has ended", hint="see its log above; start it again")

        _await_suite(server, look_after)
        up = Up(url=server.url, token_file=token_file, state=place, login_url=server.make_login_url())
        document = {"url": up.url, "token_file": str(up.token_file), "pid": os.getpid()}
        write_file(place / "up.json", json.dumps(document) + "\n", mode=0o600)
        stack.callback((place / "up.json").unlink, missing_ok=True)
        yield up, look_after


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Held until all our children are gone, so that a successor meets no spool or keys in use."""
    fd = os.open(place / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Failure(f"a hub runs in {place} already", hint=f"its address is in {place}/up.json") from None
    try:
        yield
    finally:
        os.close(fd)


def _make_child(server: HubServer, place: Path, name: str, slots: int) -> Child:
    """Enrolled and approved without asking: both are ours, and their tokens never leave *place*."""
    home = place / name
    home.mkdir(mode=0o700, exist_ok=True)
    token_file = home / "token"
    if not token_file.exists():
        write_file(token_file, secrets.token_urlsafe(32) + "\n", mode=0o600)
    arch = run(["dpkg", "--print-architecture"]).text.strip()
    ask = Enrol(
        name="local" if name == "agent" else "local-signer", token=token_file.read_text().strip(),
        arches=(arch,) if name == "agent" else (), pool="default" if name == "agent" else "sign",
    )  # fmt: skip
    agents.enrol(server.hub, ask, state=AgentState.APPROVED)
    argv: list[str | Path] = [sys.executable, "-m", "deb_orchestrator", name, "--hub", server.url, "--state", home]
    argv += ["--name", ask.name]
    if name == "agent":
        argv += ["--slots", str(slots)]
    return Child(name, argv, output=place / f"{name}.log")


def _make_target(server: HubServer) -> None:
    known = {target.name for target in queries.list_targets(server.hub)}
    if SUITE not in known:
        arch = run(["dpkg", "--print-architecture"]).text.strip()
        targets.ensure_target(server.hub, OPERATOR, Target(name=SUITE, preset=PRESET, suite=SUITE, arches=(arch,)))


def _await_suite(server: HubServer, look_after: Callable[[], None]) -> None:
    end = time.monotonic() + READY_S
    while queries.get_suite(server.hub, SUITE, base_url=server.url).generation == 0:
        if time.monotonic() > end:
            raise HostFailed(
                f"the suite {SUITE} is not signed after {READY_S:g} s",
                hint="the hub's own log and signer.log in the state say why",
            )
        look_after()
        time.sleep(0.05)
