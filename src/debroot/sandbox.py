"""The caller's side of the sandbox: what it is (a value) and running a command in it.

Always a user namespace of its own over a subordinate range, so root and rootless are one path. All that is mounted
or started lives in namespaces: when the caller dies, even by SIGKILL, the kernel takes everything with it.
"""

from __future__ import annotations

import marshal
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from debcore import cancel
from debcore.command import DEVNULL, Completed, Process, find_program, spawn
from debcore.errors import CommandFailed, Failure, HostFailed, LimitHit
from debcore.job import Limits, Peaks
from debroot.emulate import NATIVE, Emulation
from debroot.idmap import IdMap, find_idmap
from debroot.locks import hold_shared
from debroot.upper import can_use_tmpfs, is_in_memory, read_uppers

if TYPE_CHECKING:
    from debroot.cgroup import Group

LAUNCHER = Path(__file__).parent / "isolate" / "launch.py"

#: Seconds to wait for the kernel to end what was killed before the launcher itself is killed.
PATIENCE = 10.0

#: Environment of a command if the sandbox names none.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}


@dataclass(frozen=True, kw_only=True)
class Bind:
    """A file or directory of the host, seen inside."""

    source: Path  #: on the host, absolute
    target: str  #: inside, absolute; made if it is missing
    readonly: bool = True


class Doorkeeper(Protocol):
    """debroot.door.Door, which only sandboxes that have one need to load."""

    def opened(self) -> AbstractContextManager[tuple[int, str, int]]:
        """Descriptor for the launcher to hand the listener over, address and port to listen on."""


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """One isolated root. Without `root` it is an overlay of `lowers` under `upper`."""

    lowers: tuple[Path, ...] = ()  #: topmost first
    upper: Path | None = None  #: as Store.throwaway() gives it; None: changes are thrown away (on tmpfs where it can)
    root: Path | None = None  #: a directory used as / instead of an overlay, written to if the id map may
    copied: int | None = None  #: `root` is a copy in place of an overlay, and had so many bytes at first
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ("/tmp", "/var/tmp", "/run")  # noqa: S108 -- inside; empty file systems
    network: Literal["none", "host"] = "none"  #: none: own network namespace with loopback up
    door: Doorkeeper | None = None  #: who answers on that loopback, such as AptOnly.door
    hostname: str = "debootc"
    domain: str = ""  #: "": none
    user: tuple[int, int] = (0, 0)  #: uid, gid inside; 0 keeps the capabilities that dpkg needs
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))  #: complete
    limits: Limits = field(default_factory=Limits)
    hardened: bool = False  #: no_new_privs, and no CAP_SYS_ADMIN for root inside
    suppress_sync: bool = False  #: fsync & co. succeed at once (apt and dpkg phase only)
    emulation: Emulation = NATIVE  #: as emulate.find_emulation() gives it for the root's architecture
    tty: bool = False  #: the command keeps the caller's terminal, session and Ctrl-C


class Running:
    """A command in a sandbox. Leaving the `with` block, or dying, ends everything inside."""

    def __init__(
        self,
        argv: Sequence[str],
        process: Process,
        lifetime: int,
        report: int,
        undo: ExitStack,
        group: Group | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self._group = group
        self.pid = process.pid  #: of the launcher, outside
        self.peaks = Peaks()  #: known once it has ended
        self._process = process
        self._lifetime: int | None = lifetime
        self._report = report
        self._undo = undo
        self._outcome: int | Failure | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Exit status, negative for a signal. Errors: LimitHit, HostFailed (the sandbox could not be made),
        TimeoutError after *timeout* seconds (the command goes on), Cancelled (it goes on too, until it is killed)."""
        if self._outcome is None:
            ended = os.pidfd_open(self.pid) if self._process.returncode is None else None
            if ended is not None:
                try:
                    if not cancel.select_readable([ended], timeout):
                        raise TimeoutError(f"{self.argv[0]} still runs after {timeout:g} s")
                finally:
                    os.close(ended)
            self._outcome = self._read_report()
        if isinstance(self._outcome, Failure):
            raise self._outcome
        return self._outcome

    def poll(self) -> int | None:
        """As wait(), or None while it runs."""
        try:
            return self.wait(0)
        except TimeoutError:
            return None

    def terminate(self, grace: float = 10.0) -> None:
        """SIGTERM to every process inside; after *grace* seconds, SIGKILL. Returns when all are gone."""
        if self._lifetime is not None and self._process.poll() is None:
            with suppress(BrokenPipeError):
                os.write(self._lifetime, f"T {grace:g}\n".encode())
        with suppress(TimeoutError, Failure):
            self.wait(grace + PATIENCE)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to everything inside; returns when all are gone."""
        if self._lifetime is None:
            return
        os.close(self._lifetime)
        self._lifetime = None
        with suppress(TimeoutError, Failure):
            self.wait(PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._outcome is None:
            self._outcome = self._read_report()
        self._undo.close()

    def _read_report(self) -> int | Failure:
        self._process.wait()
        with os.fdopen(self._report, "rb") as file:
            kind, *words = file.read().decode("utf-8", "replace").split("\0")
        if kind == "failed":
            return HostFailed(f"the sandbox cannot be made: {words[0]}", hint=words[1])
        hit = self._group.find_limit_hit() if self._group else None
        if hit and (kind != "ended" or words[0] != "0"):
            return LimitHit(f"{self.argv[0]} was ended: its {hit} limit was hit")
        if kind != "ended":
            if self._lifetime is None:
                return -9
            return HostFailed("the sandbox was killed from outside", hint="look for the OOM killer with `dmesg`")
        status, limit, memory, disk = words
        self.peaks = Peaks(memory=int(memory), disk=int(disk))
        if limit:
            return LimitHit(f"{self.argv[0]} was ended: its {limit} limit was hit")
        return int(status)

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def make_spec(sandbox: Sandbox, argv: Sequence[str], idmap: IdMap, *, timeout: float | None) -> dict[str, Any]:
    """What the launcher is told, without the descriptors. Pure but for looking at the host's files."""
    if (sandbox.root is None) == (not sandbox.lowers):
        raise Failure("a sandbox has either lowers or a root")
    if sandbox.door is not None and sandbox.network != "none":
        raise Failure("a door needs a network namespace of its own")
    base, parts = _split_paths(sandbox)
    in_memory = sandbox.upper is not None and is_in_memory(sandbox.upper)
    upper = sandbox.upper.name if in_memory and sandbox.upper else parts[-1] if sandbox.upper else None
    emulator = sandbox.emulation.emulator
    return {
        "argv": list(argv),
        "env": dict(sandbox.env),
        "cwd": sandbox.cwd,
        "user": list(sandbox.user),
        "hostname": sandbox.hostname,
        "domain": sandbox.domain,
        "network": sandbox.network,
        "maps": {"uid": [idmap.first, idmap.count], "gid": [idmap.gid, idmap.count]},
        "privileged": os.geteuid() == 0,
        "programs": {"uid": str(find_program("newuidmap") or ""), "gid": str(find_program("newgidmap") or "")},
        "base": base,
        "lowers": parts[: len(sandbox.lowers)],
        "upper": upper,
        "work": str(Path(upper).with_name("work")) if upper else None,
        "apart": str(sandbox.upper.parent) if in_memory and sandbox.upper else None,
        "in_memory": in_memory,
        "copied": sandbox.copied,
        "root": str(sandbox.root) if sandbox.root is not None else None,
        "binds": [
            {
                "source": str(b.source),
                "target": b.target,
                "readonly": b.readonly,
                "directory": b.source.is_dir(),
                "in_memory": is_in_memory(b.source),
            }
            for b in (*sandbox.binds, *_find_terminal(sandbox))
        ],
        "tmpfs": list(sandbox.tmpfs),
        "files": _make_files(sandbox),
        "limits": sandbox.limits.model_dump(),
        "hardened": sandbox.hardened,
        "suppress_sync": sandbox.suppress_sync,
        "tty": sandbox.tty,
        "linux32": sandbox.emulation.linux32,
        "emulator": {"rule": emulator.rule, "program": str(emulator.program)} if emulator else None,
        "timeout": timeout,
    }


def start_in(
    sandbox: Sandbox,
    argv: Sequence[str],
    *,
    idmap: IdMap | None = None,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    timeout: float | None = None,
) -> Running:
    """Start *argv* inside and return at once. None for stdin is /dev/null (the caller's with `tty`), for the others
    the caller's own.

    *timeout*: seconds of wall time after which init kills everything (LimitHit from wait).
    The layers it uses are locked (shared) until it ends. Errors: HostFailed.
    """
    ids = idmap or find_idmap()
    with ExitStack() as later, ExitStack() as undo:
        sandbox = _place_changes(sandbox, ids, later)
        spec = make_spec(sandbox, argv, ids, timeout=timeout)
        used = [*sandbox.lowers, *([sandbox.upper] if sandbox.upper else []), *([sandbox.root] if sandbox.root else [])]
        locks = [undo.enter_context(hold_shared(path.parent)) for path in used if (path.parent / "lock").exists()]
        report, report_end = _pipe(undo)
        lifetime_end, lifetime = _pipe(undo)
        door = later.enter_context(sandbox.door.opened()) if sandbox.door else ()
        group = later.enter_context(_limiting(sandbox, ids))
        spec["groups"] = group.entrances if group else []
        if group and "pids" in group.directories:
            spec["limits"]["processes"] = None  # an rlimit of the same size would be hit first, and is not counted
        if group and "memory" in group.directories:
            spec["limits"]["memory"] = None  # init counts pages that processes share once for each
        spec |= {"locks": locks, "report": report_end, "lifetime": lifetime_end, "door": door}
        file = undo.enter_context(tempfile.TemporaryFile())
        marshal.dump(spec, file)
        file.seek(0)
        process = spawn(
            [sys.executable, "-I", "-S", LAUNCHER, str(file.fileno())],
            stdin=stdin if stdin is not None or sandbox.tty else DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={"PATH": os.defpath},
            pass_fds=[file.fileno(), report_end, lifetime_end, *locks, *door[:1]],
            new_session=not sandbox.tty,
        )
        return Running(argv, process, os.dup(lifetime), os.dup(report), later.pop_all(), group)


def run_in(
    sandbox: Sandbox,
    argv: Sequence[str],
    *,
    idmap: IdMap | None = None,
    stdin: int | IO[bytes] | bytes | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    timeout: float | None = None,
    check: bool = True,
    capture: bool = False,
) -> Completed:
    """Run *argv* inside to the end. *capture* returns what it printed (stdout and stderr must then be None).

    Errors: CommandFailed on a status other than 0 (if *check*), LimitHit, HostFailed.
    """
    with ExitStack() as undo:
        if isinstance(stdin, bytes):
            source = undo.enter_context(tempfile.TemporaryFile())
            source.write(stdin)
            source.seek(0)
            stdin = source
        out = err = None
        if capture:
            stdout = out = undo.enter_context(tempfile.TemporaryFile())
            stderr = err = undo.enter_context(tempfile.TemporaryFile())
        running = undo.enter_context(
            start_in(sandbox, argv, idmap=idmap, stdin=stdin, stdout=stdout, stderr=stderr, timeout=timeout)
        )
        status = running.wait()
        done = Completed(tuple(argv), status, _content(out), _content(err))
    if check and status != 0:
        raise CommandFailed(argv, status, (done.stderr or done.stdout).decode("utf-8", "replace"))
    return done


def find_growing(sandbox: Sandbox) -> list[Path]:
    """Directories in memory that what runs in *sandbox* writes to."""
    writable = (bind.source for bind in sandbox.binds if not bind.readonly)
    places = [path for path in (sandbox.upper, *writable) if path is not None]
    return [path for path in places if is_in_memory(path) and path.is_dir()]


def _limiting(sandbox: Sandbox, ids: IdMap) -> AbstractContextManager[Group | None]:
    limits = sandbox.limits
    if limits.memory is None and limits.processes is None:
        return nullcontext()
    from debroot.cgroup import find_grant, limiting

    grant = find_grant()
    places = find_growing(sandbox)
    if grant and limits.memory is not None and places:  # a new group knows nothing of what an earlier one wrote there
        from debroot.memory import subtract_held

        limits = limits.model_copy(update={"memory": subtract_held(limits.memory, places, ids)})
    return limiting(limits, grant)


def _place_changes(sandbox: Sandbox, ids: IdMap, later: ExitStack) -> Sandbox:
    """*sandbox* with what its overlay lacks on this host: an upper on disk, or a copy instead of the overlay."""
    if not sandbox.lowers:
        return sandbox
    store = sandbox.lowers[0].parents[2] if len(sandbox.lowers[0].parents) > 2 else None
    if store is not None and read_uppers(store) == "none":
        from debroot.flatten import copied

        root, size = later.enter_context(copied(sandbox, store, ids))
        return replace(sandbox, root=root, copied=size, lowers=(), upper=None)
    if sandbox.upper is None and not can_use_tmpfs():
        from debroot.store import Store

        upper = later.enter_context(Store.open(sandbox.lowers[0].parents[2], idmap=ids).throwaway())
        return replace(sandbox, upper=upper)
    return sandbox


def _content(file: IO[bytes] | None) -> bytes:
    if file is None:
        return b""
    file.seek(0)
    return file.read()


def _pipe(undo: ExitStack) -> tuple[int, int]:
    """(reading end, writing end), closed with *undo*."""
    ends = os.pipe2(os.O_CLOEXEC)
    for end in ends:
        undo.callback(os.close, end)
    return ends


def _split_paths(sandbox: Sandbox) -> tuple[str | None, list[str]]:
    """The directory that all parts of the overlay lie in, and the parts relative to it: mount options are bounded."""
    if sandbox.root is not None:
        return None, []
    near = [sandbox.upper] if sandbox.upper and not is_in_memory(sandbox.upper) else []  # the launcher opens the other
    paths = [p.absolute() for p in (*sandbox.lowers, *near)]
    base = os.path.commonpath([p.parent for p in paths])
    return base, [os.path.relpath(p, base) for p in paths]


def _find_terminal(sandbox: Sandbox) -> tuple[Bind, ...]:
    """The caller's terminal as /dev/console, which is where ttyname(3) finds it."""
    if not sandbox.tty or not os.isatty(0):
        return ()
    return (Bind(source=Path(os.ttyname(0)), target="/dev/console", readonly=False),)


def _make_files(sandbox: Sandbox) -> dict[str, str]:
    """Files that each sandbox shows over the root's own."""
    names = f"{sandbox.hostname}.{sandbox.domain} {sandbox.hostname}" if sandbox.domain else sandbox.hostname
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {names}\n::1 localhost ip6-localhost ip6-loopback\n"
    files = {"/etc/hosts": hosts, "/etc/hostname": f"{sandbox.hostname}\n"}
    if sandbox.network == "host":
        for path in ("/etc/hosts", "/etc/resolv.conf"):
            with suppress(OSError):
                files[path] = Path(path).read_text()
    return files
