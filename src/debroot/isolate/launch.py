"""Executed as `python -I -S launch.py SPEC_FD`: namespaces, id map, then init.

Three processes: this one stays outside and writes the id map; its child enters the namespaces; the grandchild is
PID 1 inside. Each dies with its parent. The specification comes from a descriptor (debroot.sandbox.make_spec).
"""

from __future__ import annotations

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import marshal
import select

from debroot.isolate import init, kernel, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs as much as building the root
    from typing import Any, NoReturn

NAMESPACES = (
    kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)  # fmt: skip


def main() -> NoReturn:
    with open(int(sys.argv[1]), "rb") as file:
        spec = marshal.load(file)  # noqa: S302 -- from our caller, which is the same Python
    for fd in (spec["report"], spec["lifetime"], *spec["door"][:1], *spec["locks"]):
        os.set_inheritable(fd, False)
    if spec["tty"]:
        kernel.set_signal(kernel.SIGINT, kernel.SIG_IGN)
        kernel.set_signal(kernel.SIGQUIT, kernel.SIG_IGN)
    try:
        supervise(spec)
    except BaseException as error:
        report_failure(spec["report"], error)
    os._exit(1)


def supervise(spec: dict[str, Any]) -> NoReturn:
    """In the process outside."""
    if spec["base"]:
        os.chdir(spec["base"])
    fds = None
    if spec["privileged"]:
        try:
            fds = mounts.open_sources(spec)
        except PermissionError:  # root of a container that was given no CAP_SYS_ADMIN: as a user then
            fds = None
    unshared, tell = os.pipe()
    go, mapped = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(unshared)
        os.close(mapped)
        in_child(spec, fds, parent, tell, go)
    os.close(tell)
    os.close(go)
    for fd in (fds or {}).values():
        os.close(fd)
    if os.read(unshared, 1):
        write_maps(spec, child)
        os.write(mapped, b".")
    watched = os.pidfd_open(child)
    quiet = [0, 1, 2] if not spec["tty"] else []
    null = os.open("/dev/null", os.O_RDWR)
    for fd in quiet:
        os.dup2(null, fd)
    select.select([watched], [], [])
    _, status = os.waitpid(child, 0)
    os._exit(0 if status == 0 else 1)


def write_maps(spec: dict[str, Any], pid: int) -> None:
    """0 to count - 1 inside onto the subordinate ids; root writes the files itself, a user has newuidmap do it."""
    for kind in ("uid", "gid"):
        first, count = spec["maps"][kind]
        if spec["privileged"]:
            with open(f"/proc/{pid}/{kind}_map", "w", encoding="ascii") as file:
                file.write(f"0 {first} {count}\n")
            continue
        argv = [spec["programs"][kind], str(pid), "0", str(first), str(count)]
        status = os.spawnv(os.P_WAIT, argv[0], argv)  # noqa: S606
        if status != 0:
            hint = "compare /etc/subuid and /etc/subgid with `id`; newuidmap must be setuid root"
            raise mounts.CannotMake(f"{' '.join(argv)} failed with status {status}", hint)


def in_child(spec: dict[str, Any], fds: dict[str, int] | None, parent: int, tell: int, go: int) -> NoReturn:
    """Enter the namespaces, still as the caller: what only the caller may read is opened now. Then be root inside."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
        for entrance in spec["groups"]:  # before the cgroup namespace, so that the group is its root
            with open(entrance, "w", encoding="ascii") as file:
                file.write("0")
        try:
            kernel.unshare(NAMESPACES | (kernel.CLONE_NEWNET if spec["network"] == "none" else 0))
        except OSError as error:
            hint = "run `deb-mock doctor`: this host forbids user namespaces"
            raise mounts.CannotMake(f"no new namespaces: {error.strerror}", hint) from error
        os.write(tell, b".")
        if not os.read(go, 1):
            os._exit(1)  # the parent has reported why
        if fds is None:
            fds = mounts.open_sources(spec)
        if spec["apart"]:  # no path leads there for the ids inside; it is kept open until the overlay is mounted
            apart = f"/proc/self/fd/{os.open(spec['apart'], os.O_PATH | os.O_DIRECTORY)}"
            spec["upper"], spec["work"] = f"{apart}/{spec['upper']}", f"{apart}/{spec['work']}"
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)  # changing ids has cleared it
        if os.getppid() != parent:
            os._exit(1)
        cord, held = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)  # before init changes the root, which changes ours too
        pid = os.fork()
        if pid == 0:
            os.close(held)
            try:
                init.run_init(spec, fds, spec["report"], spec["lifetime"], cord)
            except BaseException as error:
                report_failure(spec["report"], error)
            os._exit(1)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        _, status = os.waitpid(pid, 0)
        os._exit(0 if status == 0 else 1)
    except BaseException as error:
        report_failure(spec["report"], error)
    os._exit(1)


def report_failure(fd: int, error: BaseException) -> None:
    """The message and its hint; the places in our code where it is not the host's fault."""
    message = str(error)
    if not isinstance(error, (OSError, mounts.CannotMake)):
        message = f"{type(error).__name__}: {error}"
        trace = error.__traceback__
        while trace is not None:
            message += f" [{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}]"
            trace = trace.tb_next
    init.write_report(fd, "failed", message, getattr(error, "hint", ""))


if __name__ == "__main__":
    main()
