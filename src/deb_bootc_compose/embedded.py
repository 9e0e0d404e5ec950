"""The hub of those who have none: `deb-orchestrator up` as a process that all composes of a user share.

STATE/attach.lock   held while a hub is looked for or started
STATE/lifetime      a FIFO: the hub holds its reading end, each compose a writing end. When the last writer is gone,
                    however it went, the hub reads end of file and leaves. Opening it for writing tells whether a hub
                    is there (ENXIO: none); a byte that it takes, whether it will stay.
STATE/ready.json    where it listens
STATE/hub.log       what it says
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from debcore.command import DEVNULL, Process, find_program, spawn
from debcore.errors import Failure, HostFailed
from debcore.http import Http
from debcore.hub.client import HubClient
from debcore.hub.credential import Credential, find_credential, load_token
from debcore.hub.model import PREFIX, Health
from debcore.path import write_file

log = logging.getLogger(__name__)

READY_TIMEOUT = 120.0  #: seconds that a new hub may take (a first start makes keys)
LEAVE_TIMEOUT = 120.0  #: seconds that one which leaves may take (it ends its builds)
LOOPBACK = "127.0.0.1"  #: where it listens
HEAR_TIMEOUT = 5.0  #: seconds in which a hub that stays takes a byte from the FIFO


@dataclass(frozen=True)
class HubAddress:
    """How to reach a hub. The token stays in its file."""

    url: str
    token_file: Path | None
    ca: Path | None = None

    def client(self) -> HubClient:
        token = load_token(self.token_file) if self.token_file else None
        return HubClient(self.url, token, ca=self.ca)

    def document(self) -> dict[str, str | None]:
        return {
            "url": self.url,
            "token_file": str(self.token_file) if self.token_file else None,
            "ca": str(self.ca) if self.ca else None,
        }

    @classmethod
    def of(cls, document: dict[str, str | None]) -> HubAddress:
        token_file, ca = document.get("token_file"), document.get("ca")
        return cls(str(document["url"]), Path(token_file) if token_file else None, Path(ca) if ca else None)


def default_state() -> Path:
    """DEBOOTC_HUB_STATE, else $XDG_STATE_HOME/deb-bootc-compose/hub."""
    given = os.environ.get("DEBOOTC_HUB_STATE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home, "deb-bootc-compose", "hub")


def find_tool(name: str) -> Path:
    """One of our own programs: beside this Python first, so that a virtual environment uses its own."""
    beside = Path(sys.executable).parent / name
    found = beside if beside.is_file() else find_program(name)
    if found is None:
        raise HostFailed(f"{name} is not installed", hint=f"apt install {name}, or name a hub with --hub URL")
    return found


def named_hub(url: str, *, token_file: Path | None = None) -> HubAddress:
    """A hub that somebody else runs; its token is in *token_file* or where the environment says."""
    credential: Credential = find_credential(url=url, token_file=token_file)
    file = token_file or (Path(os.environ["DEBOOTC_TOKEN_FILE"]) if os.environ.get("DEBOOTC_TOKEN_FILE") else None)
    return HubAddress(credential.url, file, credential.ca)


@contextmanager
def attached(state: Path, *, command: Sequence[str | Path] | None = None) -> Iterator[HubAddress]:
    """The shared hub of *state*, started if there is none; it may leave once the block ends (or we die).

    *command*: the hub's argv (default: `deb-orchestrator up`). Errors: HostFailed if it does not become ready.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    life: int | None = None
    started: Process | None = None
    try:
        with _locked(state):
            fifo = _make_fifo(state)
            life = _open_writer(fifo)
            address = _find_ready(state, life) if life is not None else None
            if address is None:
                if life is not None:
                    os.close(life)
                life, address, started = _start(state, fifo, command)
        yield address
    finally:
        if life is not None:
            os.close(life)
        if started is not None and started.poll() is None:
            started.returncode = (
                0  # it leaves when the last compose has gone, which need not be us: not ours to wait for
            )


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    fd = os.open(state / "attach.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _make_fifo(state: Path) -> Path:
    fifo = state / "lifetime"
    if not fifo.is_fifo():
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo, 0o600)
    return fifo


def _open_writer(fifo: Path) -> int | None:
    """None if no hub reads it."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def _find_ready(state: Path, life: int) -> HubAddress | None:
    """The hub that reads the FIFO, if it answers and is not about to leave."""
    try:
        address = HubAddress.of(json.loads((state / "ready.json").read_bytes()))
    except (OSError, ValueError, KeyError):
        return None
    if not _is_listening(life) or not _answers(address):
        return None
    log.info("using the hub that runs already: %s", address.url)
    return address


def _is_listening(life: int) -> bool:
    """Whether the hub still reads the FIFO: one that has seen the last compose go keeps it open until it has ended.

    A byte is written; a hub that stays takes it. Source: ioctl_pipe(2), FIONREAD.
    """
    gone = select.poll()
    gone.register(life, 0)  # POLLERR: no reader is left
    try:
        os.write(life, b".")
    except BrokenPipeError:
        return False
    end = time.monotonic() + HEAR_TIMEOUT
    while time.monotonic() < end and not gone.poll(0):
        (left,) = struct.unpack("i", fcntl.ioctl(life, termios.FIONREAD, struct.pack("i", 0)))
        if left == 0:
            return True
        time.sleep(0.01)
    return False


def _answers(address: HubAddress) -> bool:
    try:
        with Http(address.url, timeout=3, tries=1) as http:
            return Health.model_validate(http.json("GET", f"{PREFIX}/health")).ok
    except (Failure, ValueError):
        return False


def _start(state: Path, fifo: Path, command: Sequence[str | Path] | None) -> tuple[int, HubAddress, Process]:
    last = last_port(state)
    (state / "ready.json").unlink(missing_ok=True)
    _await_no_reader(fifo, state)
    port = last if is_free(last) else 0
    # A reader must be there for our writing end to open; the hub inherits exactly this one.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    life = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(reader, True)
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    argv = list(command or (find_tool("deb-orchestrator"), "up"))
    argv += [
        "--state",
        state / "state",
        "--port",
        str(port),
        "--ready-fd",
        str(ready_write),
        "--lifetime-fd",
        str(reader),
    ]
    log.info("starting a hub of our own (its log: %s)", state / "hub.log")
    try:
        with (state / "hub.log").open("ab") as output:
            process = spawn(
                argv, stdin=DEVNULL, stdout=output, stderr=output, pass_fds=(ready_write, reader), new_session=True
            )
        os.close(ready_write)
        ready_write = -1
        address = _await_ready(process, ready_read, state)
    except BaseException:
        os.close(life)
        raise
    finally:
        os.close(reader)
        os.close(ready_read)
        if ready_write != -1:
            os.close(ready_write)
    write_file(state / "ready.json", json.dumps(address.document()) + "\n", mode=0o600)
    return life, address, process


def last_port(state: Path) -> int:
    """Where this hub listened the last time, else 0, for any.

    Package lists are kept by the address of their archive: at another port all would be fetched again.
    """
    try:
        return urlsplit(json.loads((state / "ready.json").read_bytes())["url"]).port or 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _await_no_reader(fifo: Path, state: Path) -> None:
    """A hub that is leaving keeps the FIFO open until it has gone; two hubs never share a state directory."""
    told = False
    end = time.monotonic() + LEAVE_TIMEOUT
    while time.monotonic() < end:
        writer = _open_writer(fifo)
        if writer is None:
            return
        os.close(writer)
        if not told:
            log.info("waiting for the hub of an earlier compose to leave")
            told = True
        time.sleep(0.2)
    raise HostFailed(f"a hub in {state} neither answers nor leaves", hint=f"see {state}/hub.log, and end it")


def _await_ready(process: Process, ready: int, state: Path) -> HubAddress:
    """Its line on the ready descriptor. Errors: HostFailed with the end of its log."""
    line = b""
    end = time.monotonic() + READY_TIMEOUT
    while not line.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0:
            process.terminate()
            break
        if not select.select([ready], [], [], min(left, 1.0))[0]:
            if process.poll() is not None:
                break
            continue
        piece = os.read(ready, 65536)
        if not piece:
            break
        line += piece
    try:
        document = json.loads(line)
        return HubAddress(str(document["url"]), Path(document["token_file"]), None)
    except (ValueError, KeyError, TypeError) as error:
        process.terminate()
        process.wait()
        said, hint = _last_words(state / "hub.log")
        raise HostFailed(
            f"the embedded hub did not start: {said}",
            hint=f"{hint}; its state is {state}, and --hub URL names a running hub instead",
        ) from error


def _last_words(log_file: Path) -> tuple[str, str]:
    """The hub's own error message and hint, as it printed them last."""
    lines = log_file.read_text("utf-8", "replace").strip().splitlines()
    for number in reversed(range(len(lines))):
        if lines[number].startswith("deb-orchestrator: "):
            below = lines[number + 1].strip() if number + 1 < len(lines) else ""
            hint = below[1:-1] if below.startswith("[") else f"see {log_file}"
            return lines[number].removeprefix("deb-orchestrator: "), hint
    return (lines[-1] if lines else "it said nothing"), f"see {log_file}"
