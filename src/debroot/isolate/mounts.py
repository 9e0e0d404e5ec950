"""Building the root inside the new mount namespace. Everything from the host comes as a detached mount (a descriptor).

So after pivot_root no path of the host is looked up any more: a symlink in a hostile root cannot lead out.
"""

from __future__ import annotations

import os

from debroot.isolate import kernel
from debroot.isolate.kernel import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs as much as building the root
    from typing import Any

#: Where the parts are laid out before pivot_root; every Linux host has it, and our mount on it is ours alone.
STAGE = "/tmp"  # noqa: S108
BINFMT = "/proc/sys/fs/binfmt_misc"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}


class CannotMake(Exception):
    """The root cannot be made; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def open_sources(spec: dict[str, Any]) -> dict[str, int]:
    """Detached mounts of all that the host lends: `root`, `bind0`, … and the device nodes."""
    fds = {f"dev/{name}": kernel.open_tree(f"/dev/{name}", recursive=False) for name in DEVICES}
    if spec["root"]:
        fds["root"] = kernel.open_tree(spec["root"])
    if spec["copied"] is not None:
        fds["copy"] = kernel.open_tree(spec["root"], recursive=False)
    if spec["emulator"]:
        fds["emulator"] = kernel.open_tree(spec["emulator"]["program"], recursive=False)
    if spec["privileged"]:
        fds["proc"] = kernel.open_tree("/proc")
    for number, bind in enumerate(spec["binds"]):
        try:
            fd = kernel.open_tree(bind["source"])
        except OSError as error:
            raise CannotMake(
                f"{bind['source']} cannot be bound into the root: {os.strerror(error.errno or 0)}"
            ) from error
        if bind["readonly"]:
            kernel.make_readonly(fd)
        fds[f"bind{number}"] = fd
    for fd in fds.values():
        # root opens before it is in a mount namespace of its own: where systemd shares all mounts, what is mounted
        # inside would appear on the host, and pivot_root refuses a shared root
        kernel.make_private(fd)
    return fds


def make_root(spec: dict[str, Any], fds: dict[str, int]) -> None:
    """Make the root, change into it, detach the host's. The working directory is the overlay's base directory."""
    kernel.mount("none", "/", "none", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    os.mkdir(f"{STAGE}/root")
    if "proc" in fds:
        # a container's masks over /proc would forbid us a new one; root's own copy has them unlocked, so it counts
        # as a whole /proc: mount_too_revealing() in fs/namespace.c
        os.mkdir(f"{STAGE}/proc")
        kernel.move_mount(fds["proc"], f"{STAGE}/proc")
    if spec["root"]:
        kernel.move_mount(fds["root"], f"{STAGE}/root")
    else:
        mount_overlay(spec)
    files = stage_files(spec)
    binfmt = register_emulator(spec["emulator"]["rule"], fds["emulator"]) if spec["emulator"] else None
    os.chdir(f"{STAGE}/root")
    kernel.pivot_root(".", ".")
    # "/" is the new root now; the old one lies over it as "." until the end, because the kernel
    # lets a user namespace mount a new /proc only while it can see a whole one.
    mount_api(fds)
    if binfmt is not None:
        kernel.move_mount(binfmt, BINFMT)
    for target in spec["tmpfs"]:
        make_directory(target)
        mode = "0755" if target == "/run" else "1777"
        kernel.mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode}")
    if "/run" in spec["tmpfs"]:
        os.mkdir("/run/lock")
        os.chmod("/run/lock", 0o1777)  # noqa: S103
    for target, fd in files.items():
        attach_file(fd, target)
    for number, bind in enumerate(spec["binds"]):
        attach(fds[f"bind{number}"], bind["target"], is_directory=bind["directory"])
    kernel.unmount(".")
    os.chdir("/")


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    """Options of one overlay that a user namespace may mount. Errors: CannotMake if they exceed the kernel's page."""
    stack = ":".join(_escape(lower).replace(":", "\\:") for lower in lowers)
    options = f"userxattr,lowerdir={stack},upperdir={_escape(upper)},workdir={_escape(work)}"
    if len(options.encode()) >= 4096:
        raise CannotMake(f"{len(lowers)} layers are too many for one overlay")
    return options


def mount_overlay(spec: dict[str, Any]) -> None:
    upper, work = spec["upper"], spec["work"]
    if upper is None:
        upper, work = f"{STAGE}/upper", f"{STAGE}/work"
        os.mkdir(upper)
        os.mkdir(work)
    options = overlay_options(spec["lowers"], upper, work)
    try:
        kernel.mount("overlay", f"{STAGE}/root", "overlay", 0, options)
    except OSError as error:
        hint = "overlayfs in a user namespace needs kernel 5.11; the store may not lie on NFS or another overlay"
        raise CannotMake(f"{error.strerror} ({options})", hint) from error


def mount_api(fds: dict[str, int]) -> None:
    """/proc, /sys and /dev, all new."""
    hidden = MS_NOSUID | MS_NODEV | MS_NOEXEC
    for target in ("/proc", "/sys", "/dev"):
        make_directory(target)
    try:
        kernel.mount("proc", "/proc", "proc", hidden)
    except PermissionError as error:
        hint = "this host masks parts of /proc: start its container with --security-opt systempaths=unconfined"
        raise CannotMake("the kernel refuses a new /proc in this container", hint) from error
    try:
        kernel.mount("sysfs", "/sys", "sysfs", hidden | MS_RDONLY)
    except PermissionError:  # the host's network namespace, or a masked /sys: none is better than the host's
        kernel.mount("tmpfs", "/sys", "tmpfs", hidden | MS_RDONLY)
    kernel.mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=0755,size=1m")
    for name in DEVICES:
        attach(fds[f"dev/{name}"], f"/dev/{name}", is_directory=False)
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"/dev/{name}")
    kernel.mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")  # noqa: S108
    kernel.mount("mqueue", "/dev/mqueue", "mqueue", hidden)
    for name, target in LINKS.items():
        os.symlink(target, f"/dev/{name}")


def stage_files(spec: dict[str, Any]) -> dict[str, int]:
    """Our /etc/hosts and the like as read-only files outside of the overlay, so that no layer ever holds them."""
    staged = {}
    for number, (target, content) in enumerate(spec["files"].items()):
        path = f"{STAGE}/file{number}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(path, 0o644)
        staged[target] = kernel.open_tree(path, recursive=False)
        kernel.make_readonly(staged[target])
    return staged


def register_emulator(rule: str, program: int) -> int:
    """QEMU in this user namespace's own binfmt_misc, which is returned read-only and detached: registrations last as
    long as it is mounted somewhere. With the flag F in *rule* the kernel opens *program* now: the root needs no copy.
    """
    fields = rule.split(":")
    os.mkdir(f"{STAGE}/emulator")
    os.mkdir(f"{STAGE}/binfmt")
    # the interpreter's name stays: QEMU reads from it how it is called
    path = fields[6] = f"{STAGE}/emulator/{os.path.basename(fields[6])}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755))
    kernel.move_mount(program, path)
    try:
        kernel.mount("binfmt_misc", f"{STAGE}/binfmt", "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        with open(f"{STAGE}/binfmt/register", "wb", buffering=0) as register:
            register.write(":".join(fields).encode("ascii"))
    except OSError as error:
        hint = "sudo modprobe binfmt_misc; a container must allow mounts in its user namespaces"
        raise CannotMake(f"QEMU cannot be registered in binfmt_misc: {error.strerror}", hint) from error
    fd = kernel.open_tree(f"{STAGE}/binfmt", recursive=False)
    kernel.make_readonly(fd)
    return fd


def attach_file(fd: int, target: str) -> None:
    """Over *target*, which is made if it can be; a root without /etc is left alone."""
    real = os.path.realpath(target)
    try:
        if not os.path.exists(real):
            os.makedirs(os.path.dirname(real), exist_ok=True)
            os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        kernel.move_mount(fd, real)
    except OSError:
        return


def attach(fd: int, target: str, *, is_directory: bool) -> None:
    if is_directory:
        make_directory(target)
    elif not os.path.exists(target):
        make_directory(os.path.dirname(target))
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    kernel.move_mount(fd, target)
    os.close(fd)


def make_directory(path: str) -> None:
    """Symlinks, dangling ones too, are followed: all lie inside, as / is the new root already."""
    try:
        os.makedirs(os.path.realpath(path), exist_ok=True)
    except OSError as error:
        raise CannotMake(
            f"{path} is missing in the root and cannot be made: {os.strerror(error.errno or 0)}"
        ) from error


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,")
