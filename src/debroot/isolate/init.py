"""PID 1 of the sandbox: starts the command, reaps, enforces limits, and ends when its parent does.

It is not dumpable and was executed outside of the user namespace, so root inside cannot trace it.
"""

from __future__ import annotations

import os
import resource
import select
import time

from debroot.isolate import kernel, mounts, seccomp
from debroot.isolate.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs as much as building the root
    from typing import Any

#: Capabilities that root inside never has, by number: modules, raw I/O, boot, time, accounting, MAC, audit, …
NEVER = {"SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_PACCT": 20, "SYS_BOOT": 22, "SYS_TIME": 25, "SYS_TTY_CONFIG": 26,
         "AUDIT_WRITE": 29, "AUDIT_CONTROL": 30, "MAC_OVERRIDE": 32, "MAC_ADMIN": 33, "SYSLOG": 34, "WAKE_ALARM": 35,
         "BLOCK_SUSPEND": 36, "AUDIT_READ": 37, "PERFMON": 38, "BPF": 39, "CHECKPOINT_RESTORE": 40}  # fmt: skip
#: Nor these when hardened: with SYS_ADMIN root inside may mount and unmount.
NEVER_HARDENED = {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_PTRACE": 19, "SYS_ADMIN": 21}

#: Seconds between two looks at what is used.
TICK = 1.0


def capability_mask(*, hardened: bool) -> int:
    """Capabilities of root inside, as a bit mask."""
    never = {*NEVER.values(), *(NEVER_HARDENED.values() if hardened else ())}
    return sum(1 << number for number in range(41) if number not in never)


def run_init(spec: dict[str, Any], fds: dict[str, int], report: int, lifetime: int, cord: int) -> None:
    """Never returns. *cord* reaches its end when our parent dies, *lifetime* when the caller does."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    if select.select([cord], [], [], 0)[0]:
        os._exit(1)
    disks = []
    if spec["upper"]:
        disks.append((_open_directory(spec["upper"]), 0, spec["in_memory"]))
    if "copy" in fds:  # a mount of its own, so that nothing else is seen in it
        disks.append((os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fds["copy"]), spec["copied"], False))
    kernel.set_hostname(spec["hostname"])
    if spec["domain"]:
        kernel.set_domainname(spec["domain"])
    if spec["network"] == "none":
        kernel.raise_loopback()
    if spec["door"]:
        kernel.open_door(*spec["door"])
    mounts.make_root(spec, fds)
    written = [bind for bind in spec["binds"] if bind["directory"] and not bind["readonly"]]
    disks += [(_open_directory(bind["target"]), 0, bind["in_memory"]) for bind in written]
    tmpfs = [_open_directory(target) for target in ("/dev/shm", *spec["tmpfs"])]  # noqa: S108
    if not spec["root"] and not spec["upper"]:  # changes are on a tmpfs of the sandbox's own
        tmpfs.append(_open_directory("/"))
    limits = spec["limits"]
    watch = Watch(limits["memory"], limits["disk"], tmpfs, disks)
    wake = kernel.open_child_signals()
    child = os.fork()
    if child == 0:
        _become_command(spec)
    _close_stdio()
    started = time.monotonic()
    status, limit = _guard(child, spec["timeout"], watch, wake, lifetime, cord)
    if time.monotonic() - started > TICK or limits["disk"]:
        watch.look_at_disk()  # not after short commands: a walk over a large tree would take longer than they did
    write_report(report, "ended", status, limit, watch.peak_memory, watch.peak_disk)
    os._exit(0)  # the kernel kills what is left inside


def write_report(fd: int, *words: object) -> None:
    """What the caller reads: words between zero bytes. `ended STATUS LIMIT MEMORY DISK` or `failed MESSAGE HINT`."""
    os.write(fd, "\0".join(str(word) for word in words).encode("utf-8", "surrogateescape"))


def _guard(child: int, timeout: float | None, watch: Watch, wake: int, lifetime: int, cord: int) -> tuple[int, str]:
    """Until the command ends, or must: its status, and the limit that was hit or ""."""
    started = time.monotonic()
    deadline: float | None = None  # after a request to terminate
    while True:
        ready, _, _ = select.select([wake, lifetime, cord], [], [], TICK)
        if cord in ready:
            os._exit(1)
        if lifetime in ready:
            message = os.read(lifetime, 64)
            if not message:
                os._exit(1)
            deadline = time.monotonic() + float(message.split()[-1])
            _terminate_all()
        if wake in ready:
            os.read(wake, 4096)
            status = _reap(child)
            if status is not None:
                return status, ""
        limit = watch.look()
        if timeout is not None and time.monotonic() - started > timeout:
            limit = "time"
        if limit is not None or (deadline is not None and time.monotonic() > deadline):
            return -9, limit or ""


def _terminate_all() -> None:
    try:
        os.kill(-1, kernel.SIGTERM)
    except ProcessLookupError:
        return


def _reap(child: int) -> int | None:
    """Collect every dead process; the exit status of *child* if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = os.waitstatus_to_exitcode(status)


def _become_command(spec: dict[str, Any]) -> None:
    """In the child: give up what it may not have, then execute. Never returns."""
    try:
        kernel.unblock_signals()
        for number in (kernel.SIGINT, kernel.SIGQUIT, kernel.SIGPIPE, kernel.SIGXFSZ):
            kernel.set_signal(number, kernel.SIG_DFL)
        if not spec["tty"]:
            os.setsid()
        os.umask(0o022)
        if spec["linux32"]:
            kernel.set_personality(kernel.PER_LINUX32)
        _set_rlimits(spec["limits"])
        if spec["hardened"]:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        for program in seccomp.make_filters(hardened=spec["hardened"], suppress_sync=spec["suppress_sync"]):
            kernel.install_filter(program)
        mask = capability_mask(hardened=spec["hardened"])
        kernel.drop_bounding(mask)
        uid, gid = spec["user"]
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        if uid == 0:
            kernel.set_capabilities(mask & _permitted())
        os.chdir(spec["cwd"])
        _execute(spec["argv"], spec["env"])
    except OSError as error:
        name = spec["argv"][0]
        os.write(2, f"{name}: {error.strerror} (in the sandbox, cwd {spec['cwd']})\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _execute(argv: list[str], env: dict[str, str]) -> None:
    """As execvpe(3), which Python's own would import modules for that stayed behind on the host."""
    failure: OSError = FileNotFoundError(2, "command not found")
    directories = [""] if "/" in argv[0] else [f"{path}/" for path in env.get("PATH", "/usr/bin:/bin").split(":")]
    for directory in directories:
        try:
            os.execve(f"{directory}{argv[0]}", argv, env)  # noqa: S606
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            failure = error
    raise failure


def _permitted() -> int:
    with open("/proc/self/status", "rb") as file:  # bytes: the codecs of Python stayed behind on the host
        return next(int(line.split()[1], 16) for line in file if line.startswith(b"CapPrm:"))


def _set_rlimits(limits: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits["processes"] is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (limits["processes"], limits["processes"]))


def _open_directory(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _close_stdio() -> None:
    """Init keeps no pipe of the caller open: its reader sees the end when the command's last process is gone."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
