"""Programs of other architectures in a sandbox: QEMU is in no root, and the host's binfmt_misc is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from debroot.bootstrap import tools_root
from debroot.emulate import NATIVE, PACKAGES, Emulation, find_emulation, has_own_binfmt, load_emulator
from debroot.resolve import fetch, resolve
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import Layer, Store

from .conftest import MAX_AGE
from .test_debroot_rootless import run_as_user

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: Debian's names, and what uname -m says there.
MACHINES = {"arm64": "aarch64", "armhf": "armv7l", "riscv64": "riscv64", "ppc64el": "ppc64le", "s390x": "s390x"}


def find_busybox(store: Store, tools: Layer, arch: str) -> Path:
    """A static program of *arch*, from the archive, in a place that anybody may read."""
    place = store.path.parent / f"busybox-{arch}"
    program = place / "usr/bin/busybox"
    if not program.is_file():
        sources = find_host_sources("trixie", security=False, updates=False)
        found = resolve(store, sources=sources, arch=arch, install=["busybox-static"], max_age=MAX_AGE)
        package = next(p for p in found.packages if p.name == "busybox-static")
        fetch(store, [package])
        with store.throwaway() as out:
            binds = (Bind(source=store.pool_path(package.sha256), target="/run/x.deb"),)
            box = Sandbox(lowers=tools.lowers(), binds=(*binds, Bind(source=out, target="/run/out", readonly=False)))
            run_in(box, ["dpkg-deb", "-x", "/run/x.deb", "/run/out"], idmap=store.idmap)
            program.parent.mkdir(parents=True)
            program.write_bytes((out / "usr/bin/busybox").read_bytes())
            program.chmod(0o755)
    return program


def run_foreign(tools: Layer, program: Path, emulation: Emulation, script: str = "uname -m") -> tuple[int, str]:
    """*script* by the shell of *program*, as an unprivileged user on a root of this machine's architecture."""
    bind = Bind(source=program, target="/opt/busybox")
    box = Sandbox(lowers=tools.lowers(), binds=(bind,), emulation=emulation, user=(1000, 1000))
    done = run_in(box, ["/opt/busybox", "sh", "-c", script], capture=True, check=False, timeout=300)
    return done.status, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize(
    "arch",
    ["arm64", *(pytest.param(arch, marks=pytest.mark.slow) for arch in ("armhf", "riscv64", "ppc64el", "s390x"))],
)
def test_a_foreign_program_runs_and_leaves_the_host_alone(store: Store, tools: Layer, arch: str) -> None:
    assert has_own_binfmt(), "this machine's kernel is too old for this test"
    program = find_busybox(store, tools, arch)
    before = sorted(Path("/proc/sys/fs/binfmt_misc").iterdir())
    binfmt = "/proc/sys/fs/binfmt_misc"
    script = f"uname -m; echo x 2>/dev/null >{binfmt}/register && echo writable; head -1 {binfmt}/qemu-*"
    status, said = run_foreign(tools, program, find_emulation(store, arch), script)
    assert (status, said.splitlines()) == (0, [MACHINES[arch], "enabled"])
    assert sorted(Path("/proc/sys/fs/binfmt_misc").iterdir()) == before


def test_without_emulation_the_kernel_refuses(store: Store, tools: Layer) -> None:
    status, said = run_foreign(tools, find_busybox(store, tools, "arm64"), NATIVE)
    assert (status, "Exec format error" in said) == (126, True)


def test_the_filters_hold_for_emulated_programs(store: Store, tools: Layer) -> None:
    """QEMU's own system calls are what seccomp sees."""
    program = find_busybox(store, tools, "arm64")
    status, said = run_foreign(
        tools, program, find_emulation(store, "arm64"), "/opt/busybox dmesg; wget -T 2 http://192.0.2.1/"
    )
    assert "Operation not permitted" in said
    assert "unreachable" in said
    assert status == 1


def test_a_32_bit_root_says_that_it_is_one(store: Store, tools: Layer) -> None:
    status, said = run_foreign(tools, find_busybox(store, tools, "i386"), find_emulation(store, "i386"))
    assert (status, said.strip()) == (0, "i686")


AS_USER = """
import os
from pathlib import Path
from debroot.emulate import Emulation, Emulator
from debroot.sandbox import Bind, Sandbox, run_in

assert os.getuid() == 42424
emulation = Emulation(Emulator({rule!r}, Path({program!r})))
bind = Bind(source=Path({busybox!r}), target="/tmp/busybox")
box = Sandbox(root=Path("/"), binds=(bind,), emulation=emulation)
print(run_in(box, ["/tmp/busybox", "uname", "-m"], capture=True).text.strip())
"""


def test_a_user_without_rights_emulates_too(store: Store, tools: Layer, cache_dir: Path) -> None:
    emulator = load_emulator(tools_root(store, packages=PACKAGES).lowers(), "aarch64")
    busybox = find_busybox(store, tools, "arm64")
    script = AS_USER.format(rule=emulator.rule, program=str(emulator.program), busybox=str(busybox))
    assert run_as_user(cache_dir, script) == "aarch64\n"
