"""Limits by control groups, where the host grants some: memory and processes of one whole sandbox.

Version 2 where our own group is delegated to us (`Delegate=yes`, a subtree that was given to our user, or a container's
whole tree), version 1 as root. Elsewhere the sandbox's init sums and kills, and rlimits bound processes.
Source: cgroups(7), cgroup-v2.rst of the kernel, https://systemd.io/CGROUP_DELEGATION.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from debcore.command import find_program, run
from debcore.errors import Failure
from debcore.job import Limits

log = logging.getLogger(__name__)

#: Prefix of the groups that we make; the id of the process that made one follows.
PREFIX = "debootc-"
#: Where our own processes go in a delegated group, so that it may have children with controllers.
MAIN = "debootc-main"

CONTROLLERS = ("memory", "pids")

#: Seconds that systemd has for an answer.
ASKING = 30.0

#: How often the processes of a group are moved away: one that forks meanwhile leaves a child behind.
ROUNDS = 20


@dataclass(frozen=True)
class Grant:
    """Directories in which groups may be made, by controller; both the same in version 2."""

    version: Literal[1, 2]
    parents: Mapping[str, Path]


@dataclass(frozen=True)
class Group:
    """The groups of one sandbox: one directory, or one for each controller."""

    version: Literal[1, 2]
    directories: Mapping[str, Path]

    @property
    def entrances(self) -> list[str]:
        """Files that a process writes 0 to, to move itself in."""
        return [str(path / "cgroup.procs") for path in dict.fromkeys(self.directories.values())]

    def find_limit_hit(self) -> str | None:
        """`memory` if the kernel killed for want of it, `processes` if a fork was refused, else None."""
        events = {1: "memory.oom_control", 2: "memory.events"}[self.version]
        if _read_count(self.directories.get("memory"), events, "oom_kill"):
            return "memory"
        return "processes" if _read_count(self.directories.get("pids"), "pids.events", "max") else None


def find_grant(proc: Path = Path("/proc/self")) -> Grant | None:
    """What this process may use; None if nothing. Changes nothing."""
    try:
        mounts = (proc / "mountinfo").read_text(errors="surrogateescape")
        own = (proc / "cgroup").read_text(errors="surrogateescape")
    except OSError:
        return None
    places = parse_places(mounts, own)
    unified = places.get("")
    if unified is not None:
        parent = unified.parent if unified.name == MAIN else unified
        if _is_delegated(parent):
            return Grant(2, dict.fromkeys(CONTROLLERS, parent))
    found = {name: places[name] for name in CONTROLLERS if name in places and os.access(places[name], os.W_OK)}
    return Grant(1, found) if found else None


def parse_places(mountinfo: str, own: str) -> dict[str, Path]:
    """Our own group's directory by controller; "" is version 2's.

    *mountinfo*, *own*: /proc/self/mountinfo and /proc/self/cgroup; proc_pid_mountinfo(5), cgroups(7).
    """
    paths = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            paths[name] = path
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        root, target = fields.split()[3:5]
        kind, _, options = (*rest.split(), "", "", "")[:3]
        held = {"cgroup2": [""], "cgroup": options.split(",")}.get(kind, [])
        for name in set(held) & paths.keys():
            inside = os.path.relpath(paths[name], root)
            if not inside.startswith(".."):
                found.setdefault(name, Path(target) / inside)
    return found


def find_enforcers(limits: Limits, grant: Grant | None) -> dict[str, str]:
    """Who holds each limit that is set: `cgroup1` or `cgroup2` (the kernel, at once), `init` (looks once a second and
    kills) or `rlimit` (for each user id inside)."""
    group = f"cgroup{grant.version}" if grant else ""
    held = grant.parents if grant else {}
    found = {}
    if limits.memory is not None:
        found["memory"] = group if "memory" in held else "init"
    if limits.processes is not None:
        found["processes"] = group if "pids" in held else "rlimit"
    if limits.disk is not None:
        found["disk"] = "init"
    return found


def prove_enforcers(limits: Limits) -> dict[str, str]:
    """As find_enforcers, for this process: a group counts only if one with *limits* could be made, which is tried."""
    grant = find_grant()
    with limiting(limits, grant) as group:
        return find_enforcers(limits, grant if group else None)


@contextmanager
def limiting(limits: Limits, grant: Grant | None) -> Iterator[Group | None]:
    """A group with *limits*, empty until a process enters it, and gone at exit.

    None where no limit is asked for that a group could hold, or the host refuses after all (said at DEBUG).
    """
    wanted = {"memory": limits.memory, "pids": limits.processes}
    if grant is None or not any(limit for name, limit in wanted.items() if name in grant.parents):
        yield None
        return
    _remove_stale(grant)
    try:
        group = _make(grant, wanted)
    except OSError as error:
        log.debug("no control group: %s", error)
        yield None
        return
    try:
        yield group
    finally:
        for path in set(group.directories.values()):
            _remove(path)


def _make(grant: Grant, wanted: Mapping[str, int | None]) -> Group:
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    if grant.version == 2:
        _enable(grant.parents["memory"])
    directories = {}
    for controller, parent in grant.parents.items():
        if wanted[controller] is None and grant.version == 1:
            continue
        directory = directories[controller] = parent / name
        directory.mkdir(exist_ok=True)
        if (limit := wanted[controller]) is not None:
            for file in _files(grant.version, controller):
                if (directory / file).exists():  # swap is not always accounted
                    (directory / file).write_text(str(0 if file == "memory.swap.max" else limit))
    return Group(grant.version, directories)


def _files(version: int, controller: str) -> tuple[str, ...]:
    """Files that take the limit, in the order in which they must be written."""
    if controller == "pids":
        return ("pids.max",)
    if version == 1:
        return ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    return ("memory.max", "memory.swap.max")


def _is_delegated(directory: Path) -> bool:
    """Ours to divide: systemd marked it, it was given to our user, or it is the root of what a container sees; and it
    has the controllers."""
    try:
        if not set(CONTROLLERS) <= set((directory / "cgroup.controllers").read_text().split()):
            return False
        marks = os.listxattr(directory)
        whole = not (directory.parent / "cgroup.procs").exists() and not Path("/run/systemd/system").exists()
        given = is_given(directory.stat().st_uid, directory.parent.stat().st_uid, os.geteuid())
    except OSError:
        return False
    if not all(os.access(directory / name, os.W_OK) for name in ("", "cgroup.procs")):
        return False
    return whole or given or "user.delegate" in marks or "trusted.delegate" in marks or _says_systemd(directory)


@cache
def _says_systemd(directory: Path) -> bool:
    """Whether the user's systemd has delegated this unit's group: version 252 leaves no mark that a user can see."""
    if f"user@{os.geteuid()}.service" not in directory.parts[:-1] or not find_program("systemctl"):
        return False
    argv = ["systemctl", "--user", "show", "--property=Delegate", "--value", "--", directory.name]
    try:
        return run(argv, timeout=ASKING).text.strip() == "yes"
    except Failure as error:
        log.debug("whether %s is delegated is not known: %s", directory.name, error)
        return False


def is_given(owner: int, above: int, uid: int) -> bool:
    """Whether an administrator gave a subtree to the user *uid*: its *owner* is the user, that of what is *above* not.

    Groups below one that is the user's prove nothing: the user's own systemd makes them, and divides them itself.
    Source: cgroup-v2.rst, "Model of Delegation".
    """
    return uid != 0 and owner == uid != above


def _enable(parent: Path) -> None:
    """Give children of *parent* the controllers; its own processes move into a child first, as version 2 demands of
    every group but the hierarchy's own root, which has no type."""
    control = parent / "cgroup.subtree_control"
    if set(CONTROLLERS) <= set(control.read_text().split()):
        return
    if (parent / "cgroup.type").exists():
        _move_processes(parent, parent / MAIN)
    control.write_text(" ".join(f"+{name}" for name in CONTROLLERS))


def _move_processes(parent: Path, main: Path) -> None:
    """All processes of *parent* into its child *main*."""
    main.mkdir(exist_ok=True)
    for _ in range(ROUNDS):
        pids = (parent / "cgroup.procs").read_text().split()
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                (main / "cgroup.procs").write_text(pid)


def _remove_stale(grant: Grant) -> None:
    """Groups of processes that were killed: nothing runs in them, for the kernel has ended it."""
    for parent in set(grant.parents.values()):
        for directory in parent.glob(f"{PREFIX}[0-9]*-*"):
            if not Path("/proc", directory.name.split("-")[1]).exists():
                _remove(directory)


def _remove(directory: Path) -> None:
    """A group that still has processes stays; the next one of ours removes it."""
    with suppress(OSError):
        directory.rmdir()


def _read_count(directory: Path | None, file: str, key: str) -> int:
    if directory is None:
        return 0
    with suppress(OSError, ValueError):
        lines = (line.split() for line in (directory / file).read_text().splitlines())
        return next((int(words[1]) for words in lines if words[0] == key), 0)
    return 0
