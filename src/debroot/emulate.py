"""Running another architecture's programs: natively where the processor can, else by QEMU's user emulation.

From kernel 6.7 each user namespace has a binfmt_misc of its own, so a sandbox registers the QEMU of a tools root for
itself: nothing is installed on the host, nobody else sees it, and the file need not exist in the root. Older kernels
have one binfmt_misc for all; there the host's registration counts. Source: Documentation/admin-guide/binfmt-misc.rst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from debcore.command import run
from debcore.errors import HostFailed

if TYPE_CHECKING:
    from debroot.store import Store

#: binfmt_misc for each user namespace.
KERNEL = (6, 7)
PACKAGES = ("qemu-user-binfmt",)
REMAKE = "deb-mock clean --all, and try again"
HOST_BINFMT = Path("/proc/sys/fs/binfmt_misc")

#: Debian's architectures as QEMU calls them, where it emulates them.
QEMU = {
    "alpha": "alpha",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "armel": "arm",
    "armhf": "arm",
    "hppa": "hppa",
    "i386": "i386",
    "loong64": "loongarch64",
    "m68k": "m68k",
    "mips64el": "mips64el",
    "mipsel": "mipsel",
    "powerpc": "ppc",
    "ppc64": "ppc64",
    "ppc64el": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "sh4": "sh4",
    "sparc64": "sparc64",
}

#: 32-bit architectures that a 64-bit kernel runs itself, under the personality that makes uname(2) say so.
COMPATIBLE = {"i386": "amd64", "armhf": "arm64", "armel": "arm64"}


@dataclass(frozen=True)
class Emulator:
    """One registration: a line of binfmt.d(5), and the file on this host that its interpreter is."""

    rule: str
    program: Path


@dataclass(frozen=True)
class Emulation:
    """What a sandbox needs beside the root."""

    emulator: Emulator | None = None
    linux32: bool = False


NATIVE = Emulation()


def find_emulation(store: Store, arch: str) -> Emulation:
    """What running programs of *arch* takes on this host. Errors: HostFailed with the line to paste."""
    from debroot.bootstrap import host_arch, tools_root

    host = host_arch()
    if arch == host:
        return NATIVE
    if COMPATIBLE.get(arch) == host and can_run_32bit(host):
        return Emulation(linux32=True)
    name = QEMU.get(arch)
    if name is None:
        raise HostFailed(f"programs of {arch} cannot run here: QEMU has no user emulation of it", hint=cross_hint(arch))
    if not has_own_binfmt():
        check_host_binfmt(name, arch)
        return NATIVE
    return Emulation(load_emulator(tools_root(store, packages=PACKAGES).lowers(), name))


def cross_hint(arch: str) -> str:
    """The way that needs no emulation."""
    return f"build on a machine of that architecture, or cross-build with --host={arch}"


def load_emulator(lowers: Sequence[Path], name: str) -> Emulator:
    """QEMU's own registration in the layers of a tools root. Errors: HostFailed if this QEMU has none."""
    file = _find_file(lowers, f"usr/share/qemu/binfmt.d/qemu-{name}.conf")
    if file is None:
        raise HostFailed(f"the tools root's QEMU has no registration for {name}", hint=REMAKE)
    rule = file.read_text("ascii").strip()
    fields = rule.split(":")
    # the interpreter is a link whose name tells QEMU about the flag P; the program itself lies in /usr/bin
    program = _find_file(lowers, f"usr/bin/qemu-{name}")
    if len(fields) != 8 or program is None:
        raise HostFailed(f"the tools root's QEMU for {name} is damaged", hint=REMAKE)
    return Emulator(rule, program)


def _find_file(lowers: Sequence[Path], name: str) -> Path | None:
    return next((path for root in lowers if (path := root / name).is_file() and not path.is_symlink()), None)


def has_own_binfmt(release: str | None = None) -> bool:
    """Whether the kernel gives each user namespace its own binfmt_misc."""
    found = re.match(r"(\d+)\.(\d+)", release or os.uname().release)
    return found is not None and (int(found[1]), int(found[2])) >= KERNEL


def can_run_32bit(host: str) -> bool:
    """Whether this machine's kernel and processor run its 32-bit sister architecture."""
    if host == "amd64":
        return Path("/proc/sys/abi/vsyscall32").exists()  # there with IA32_EMULATION
    # arm64 refuses the personality on processors without AArch32: arch/arm64/kernel/sys.c
    return run(["setarch", "linux32", "true"], check=False).status == 0


def find_host_binfmt(name: str, binfmt: Path | None = None) -> str:
    """What the host lacks for QEMU's *name*, or "" if its registration works inside any root.

    Flag F: the interpreter was opened when it was registered, so that it needs no file in the root.
    """
    binfmt = binfmt or HOST_BINFMT
    if not (binfmt / "status").exists():
        return "binfmt_misc is not mounted"
    for file in sorted(binfmt.iterdir()):
        if file.name in ("register", "status"):
            continue
        try:
            text = file.read_text()
        except OSError:
            continue
        interpreter = re.search(r"^interpreter (\S+)", text, re.M)
        flags = re.search(r"^flags: (\S*)", text, re.M)
        if interpreter is None or not re.search(rf"(^|[/-]){re.escape(name)}(-static|-binfmt-P)?$", interpreter[1]):
            continue
        if not text.startswith("enabled"):
            return f"{file.name} is disabled in binfmt_misc"
        return "" if flags is not None and "F" in flags[1] else f"{file.name} is registered without the flag F"
    return f"no interpreter for {name} is registered in binfmt_misc"


def host_fix() -> str:
    """One shell line for hosts whose kernel has one binfmt_misc for all."""
    return (
        "sudo apt install qemu-user-static && "
        "(mountpoint -q /proc/sys/fs/binfmt_misc || sudo mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc) && "
        "sudo dpkg-reconfigure qemu-user-static"
    )


def check_host_binfmt(name: str, arch: str) -> None:
    """Errors: HostFailed with the line to paste."""
    lacks = find_host_binfmt(name)
    if lacks:
        raise HostFailed(
            f"programs of {arch} cannot run here: {lacks}, and this kernel is older than 6.7", hint=host_fix()
        )
