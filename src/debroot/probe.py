"""What this host lacks for sandboxes, each with one line to paste."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from debcore.command import find_program, run
from debcore.errors import Failure
from debroot import emulate
from debroot.cgroup import find_grant
from debroot.idmap import COUNT, IdMap, find_idmap
from debroot.memory import find_obstacle
from debroot.sandbox import Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import default_path
from debroot.upper import can_use_tmpfs, describe_uppers, free_memory, read_uppers

#: Overlay mounts in a user namespace and mount_setattr: 5.11 and 5.12.
KERNEL = (5, 12)

#: Of a store without upper directories in which no root was made yet.
UNTRIED = "the first root shows whether changes can lie in memory; if not, each root is a whole copy"
INSTALL_KERNEL = "sudo apt install linux-image-$(dpkg --print-architecture)"
INSTALL_BACKPORT = f"{INSTALL_KERNEL} -t $(. /etc/os-release; echo $VERSION_CODENAME)-backports"

#: Bytes below which a compose or a large build will not fit.
ENOUGH_SPACE = 10 << 30

PROC_SYS = Path("/proc/sys")


@dataclass(frozen=True)
class Check:
    """One fact about the host."""

    name: str
    ok: bool
    detail: str
    fix: str = ""  #: one shell line, or "" if ok
    required: bool = True  #: False: something works less well without it


def run_checks() -> tuple[Check, ...]:
    """All checks, in the order in which they should be fixed. Changes nothing on the host."""
    return tuple(check() for check in CHECKS)


def check_kernel(release: str | None = None) -> Check:
    release = release or os.uname().release
    match = re.match(r"(\d+)\.(\d+)", release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    fix = "" if version >= KERNEL else f"{INSTALL_KERNEL} && sudo reboot"
    return Check("kernel", version >= KERNEL, f"{release}; {KERNEL[0]}.{KERNEL[1]} or newer is needed", fix)


def check_cgroup() -> Check:
    grant = find_grant()
    if grant is None:
        detail = "none may be made: limits of memory are held by a look each second"
        return Check("control groups", False, detail, suggest_delegation(), False)
    return Check("control groups", True, f"version {grant.version}: {', '.join(grant.parents)}", "", False)


def suggest_delegation(*, root: bool | None = None, systemd: Path = Path("/run/systemd/system")) -> str:
    """How to start deb-mock in a group that it may divide; root's is made by the system's manager."""
    root = os.geteuid() == 0 if root is None else root
    if systemd.exists():
        return f"systemd-run {'' if root else '--user '}--scope -p Delegate=yes deb-mock …"
    return "# give it a group of version 2: docs/explanation/isolation.md, Limits"


def check_tmpfs_upper() -> Check:
    """Whether the setting root.tmpfs can be followed."""
    if not can_use_tmpfs():
        return Check("tmpfs", False, "kernel below 6.6: throw-away changes lie on disk", INSTALL_BACKPORT, False)
    if (obstacle := find_obstacle(default_path())) is not None:
        fix = "sudo mount -o remount,exec /dev/shm" if "noexec" in obstacle else ""
        return Check("tmpfs", False, f"root.tmpfs has no effect: {obstacle}", fix, False)
    free = f"{free_memory() / 1e9:.1f} GB are free for root.tmpfs"
    return Check("tmpfs", True, f"throw-away changes can lie in memory, and {free}", "", False)


def check_programs() -> Check:
    """mmdebstrap makes the first tools root, newuidmap writes the id map of users without root."""
    wanted = {"apt-get": "apt", "dpkg": "dpkg", "mmdebstrap": "mmdebstrap", "gpgv": "gpgv"}
    if os.geteuid() != 0:
        wanted |= {"newuidmap": "uidmap", "newgidmap": "uidmap"}
    missing = sorted({package for program, package in wanted.items() if find_program(program) is None})
    detail = f"missing: {', '.join(missing)}" if missing else "all there"
    return Check("programs", not missing, detail, f"sudo apt install {' '.join(missing)}" if missing else "")


def check_subordinate_ids() -> Check:
    try:
        ids = find_idmap()
    except Failure as error:
        return Check("subordinate ids", False, str(error), error.hint)
    if not _is_mapped(ids):
        detail = f"{ids.first}-{ids.first + ids.count - 1} lie outside of the ids that this container has"
        return Check("subordinate ids", False, detail, f"export DEBOOTC_SUBID={_suggest_inside()}")
    return Check("subordinate ids", True, f"{ids.first}-{ids.first + ids.count - 1}")


def check_user_namespaces(sys_: Path = PROC_SYS) -> Check:
    """The switches that distributions and administrators have: the first that is off is named."""
    if _read(sys_ / "user/max_user_namespaces") == "0":
        return Check(
            "user namespaces", False, "user.max_user_namespaces is 0", _sysctl("user.max_user_namespaces=15000")
        )
    root = os.geteuid() == 0
    if not root and _read(sys_ / "kernel/unprivileged_userns_clone") == "0":
        fix = _sysctl("kernel.unprivileged_userns_clone=1")
        return Check("user namespaces", False, "kernel.unprivileged_userns_clone is 0", fix)
    if not root and _read(sys_ / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        fix = _sysctl("kernel.apparmor_restrict_unprivileged_userns=0")
        return Check("user namespaces", False, "AppArmor restricts user namespaces", fix)
    return Check("user namespaces", True, "allowed")


def check_proc(mountinfo: str | None = None) -> Check:
    """A container that covers parts of /proc keeps the kernel from letting us mount a new one."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    covered = [line.split()[4] for line in text.splitlines() if line.split()[4].startswith("/proc/")]
    covered = [path for path in covered if not path.startswith("/proc/sys/fs/binfmt_misc")]
    if not covered:
        return Check("/proc", True, "fully visible")
    if os.geteuid() == 0:
        return Check("/proc", True, "covered in part, which root may look behind")
    fix = "docker run --security-opt systempaths=unconfined …   # or podman run --security-opt unmask=ALL …"
    return Check("/proc", False, f"covered in part: {', '.join(covered[:3])}", fix)


def check_apt_source() -> Check:
    try:
        sources = find_host_sources("trixie")
    except Failure as error:
        return Check("apt source", False, str(error), error.hint.removeprefix("run `").replace("`, or", "   # or"))
    return Check("apt source", True, ", ".join(uri for source in sources for uri in source.uris))


def check_space() -> Check:
    path = default_path()
    there = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(there).free
    fix = "" if free >= ENOUGH_SPACE else "deb-mock clean --all   # or: export DEBOOTC_STORE=DIR on a larger disk"
    return Check("disk", free >= ENOUGH_SPACE, f"{free / 1e9:.0f} GB free at {there}", fix, required=False)


def check_store_disk() -> Check:
    """Which file system the store lies on, and what follows: an upper layer needs one that is no overlay and no NFS."""
    path = default_path()
    there = next(p for p in (path, *path.parents) if p.exists())
    kind = run(["stat", "--file-system", "--format=%T", there]).text.strip()
    if kind not in ("overlayfs", "nfs", "ecryptfs", "fuseblk", "aufs"):
        return Check("store", True, f"{there} lies on {kind}: {describe_uppers('disk')}")
    uppers = read_uppers(path)
    follows = describe_uppers(uppers) if uppers else UNTRIED
    fix = "export DEBOOTC_STORE=DIR   # on ext4, xfs or btrfs"
    return Check("store", False, f"{there} lies on {kind}: {follows}", fix, required=False)


def check_emulation(filesystems: Path = Path("/proc/filesystems"), *, modules: Path | None = None) -> Check:
    """Whether other architectures' programs can run. arm64 stands for all: the host's package registers all or none."""
    if not emulate.has_own_binfmt():
        lacks = emulate.find_host_binfmt("aarch64")
        detail = lacks or "the host's QEMU is registered"
        return Check("emulation", not lacks, detail, emulate.host_fix() if lacks else "", False)
    modules = modules or Path("/lib/modules") / os.uname().release
    if "binfmt_misc" in _read(filesystems) or any(modules.glob("kernel/fs/binfmt_misc.ko*")):
        return Check("emulation", True, "each root of another architecture registers QEMU for itself", "", False)
    return Check("emulation", False, "this kernel has no binfmt_misc", INSTALL_KERNEL, False)


def check_sandbox() -> Check:
    """The proof: a sandbox over the host's own files, with everything that a build gets."""
    try:
        done = run_in(Sandbox(root=Path("/")), ["sh", "-c", "id -u; unshare -Ur id -u"], capture=True, timeout=20)
    except Failure as error:
        return Check("sandbox", False, str(error), error.hint)
    return Check("sandbox", done.text.split() == ["0", "0"], "a root of our own works, and nests")


#: In the order in which they should be fixed; the last one needs all before it.
CHECKS: tuple[Callable[[], Check], ...] = (
    check_kernel,
    check_tmpfs_upper,
    check_cgroup,
    check_programs,
    check_subordinate_ids,
    check_user_namespaces,
    check_proc,
    check_apt_source,
    check_space,
    check_store_disk,
    check_emulation,
    check_sandbox,
)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _sysctl(setting: str) -> str:
    return f"echo {setting} | sudo tee /etc/sysctl.d/90-debootc.conf && sudo sysctl --system"


def parse_id_map(text: str) -> list[tuple[int, int]]:
    """(first, count) of the ids that exist in this user namespace: user_namespaces(7), uid_map."""
    return [(int(line.split()[0]), int(line.split()[2])) for line in text.splitlines() if line.strip()]


def _is_mapped(ids: IdMap) -> bool:
    ranges = parse_id_map(Path("/proc/self/uid_map").read_text())
    return any(first <= ids.first and ids.first + ids.count <= first + count for first, count in ranges)


def _suggest_inside() -> str:
    ranges = parse_id_map(Path("/proc/self/uid_map").read_text())
    wide = [(first, count) for first, count in ranges if count > COUNT]
    return str(wide[0][0] + wide[0][1] - COUNT) if wide else f"FIRST   # needs a container with more than {COUNT} ids"
