"""A throw-away machine with bookworm's kernel, systemd and control groups of version 2, in QEMU without KVM.

Two disks: the system, made from packages by mke2fs without mounting anything, and a payload, which the guest sees
twice, once for root and once for an ordinary user. What the guest writes is thrown away; its report comes by the
second serial line. Source: qemu-system-x86_64(1), mke2fs(8), kernel-parameters.txt.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from deb_bootc_compose.boot.run import qemu_tools
from debcore.command import run
from debroot.bootstrap import tools_root
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in, start_in
from debroot.store import Layer, Store

#: The kernel is always bookworm's, 6.1; the rest is of the release whose Python has our dependencies' extensions.
KERNEL_SUITE = "bookworm"
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}

KERNEL_PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools")
SYSTEM_PACKAGES = (
    "systemd-sysv", "udev", "dbus", "dbus-user-session", "libpam-systemd", "kmod", "mount", "e2fsprogs", "python3",
    "procps", "uidmap", "mmdebstrap", "gpgv", "ca-certificates",
)  # fmt: skip

WORK = "/machine"
#: What the guest's report ends with.
END = '{"end": true}'
POLL = 0.5

#: The user that builds in the guest.
USER, UID = "builder", 1000

UNIT = """\
[Unit]
Description=What the host wants to know
After=multi-user.target systemd-user-sessions.service

[Service]
Type=oneshot
ExecStartPre=/bin/mkdir -p /srv/root /srv/user
ExecStartPre=/bin/mount /dev/vdb /srv/root
ExecStartPre=/bin/mount /dev/vdc /srv/user
ExecStart=/usr/bin/python3 -B /srv/root/inside_guest.py
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=journal+console
StandardError=journal+console
TimeoutStartSec=infinity
"""

#: In the system's own root, with its layers at /layers/0 (topmost) and so on: one file system of all of them.
MAKE_SYSTEM = """set -eu
cd {work}
mkdir top overlaywork
mount -t overlay -o userxattr,lowerdir={lowers},upperdir={work}/top,workdir={work}/overlaywork none /mnt
mkdir -p /mnt/usr/lib/modules
cp -a /modules/. /mnt/usr/lib/modules/
cp -r /files/. /mnt/
for name in passwd group shadow; do cat "/files/etc/$name.more" >> "/mnt/etc/$name"; rm "/mnt/etc/$name.more"; done
install -d -o {uid} -g {uid} -m 700 /mnt/home/{user}
mke2fs -q -t ext4 -E assume_storage_prezeroed=1 -d /mnt system.img 2560M
umount /mnt
rm -rf top overlaywork
"""


@dataclass(frozen=True)
class Heard:
    """What came out of the machine."""

    report: str  #: lines of JSON
    console: str
    seconds: float


def system_files(directory: Path, *, first_id: int) -> None:
    """Files that make the packages a machine: an account with subordinate ids, and the unit that runs the payload."""
    contents = {
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",  # a known one: this is no first boot
        "etc/hostname": "guest\n",
        "etc/fstab": "/dev/vda / ext4 rw 0 0\n",
        "etc/passwd.more": f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/sh\n",
        "etc/group.more": f"{USER}:x:{UID}:\n",
        "etc/shadow.more": f"{USER}:!:20000::::::\n",
        "etc/subuid": f"root:{first_id}:65536\n{USER}:{first_id}:65536\n",
        "etc/subgid": f"root:{first_id}:65536\n{USER}:{first_id}:65536\n",
        f"var/lib/systemd/linger/{USER}": "",
        "etc/systemd/system/guest-test.service": UNIT,
    }
    for name, content in contents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    wants = directory / "etc/systemd/system/default.target.wants"
    wants.mkdir()
    (wants / "guest-test.service").symlink_to("../guest-test.service")


def parse_name(requirement: str) -> str | None:
    """The distribution that a line of Requires-Dist names; None for an extra's."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return None if match is None or "extra ==" in requirement else match[0]


def find_dependencies(name: str = "deb-bootc-ecosystem") -> set[str]:
    """The installed distributions that *name* needs, all the way down."""
    found: set[str] = set()
    todo = [name]
    while todo:
        try:
            requires = metadata.distribution(todo.pop()).requires or []
        except metadata.PackageNotFoundError:
            continue  # for another Python or platform
        new = {word for line in requires if (word := parse_name(line))} - found
        found |= new
        todo += new
    return found


def copy_code(source: Path, directory: Path) -> None:
    """Our modules and what they import, as `code` and `site` of *directory*."""
    shutil.copytree(source, directory / "code", symlinks=True)
    for name in find_dependencies():
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for file in distribution.files or []:
            if ".." not in file.parts and Path(str(file.locate())).is_file():
                target = directory / "site" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), target)


def copy_store(store: Store, layers: Iterable[Layer], debs: Iterable[str], target: Path) -> None:
    """A store with exactly *layers* (linked, not copied) and the .debs with these SHA-256."""
    for name in ("layers", "pool", "roots", "tmp", "resolved", "apt", "locks"):
        (target / name).mkdir(parents=True)
    shutil.copy(store.path / "FORMAT", target)
    for layer in layers:
        run(["cp", "--archive", "--link", layer.path, target / "layers"])
    for sha256 in debs:
        there = target / "pool" / sha256[:2] / sha256
        there.parent.mkdir(exist_ok=True)
        shutil.copy(store.pool_path(sha256), there)


def make_payload(directory: Path, image: Path) -> None:
    """The disk with the content of *directory*, whose owners may be any ids of the host."""
    used = int(run(["du", "--summarize", "--block-size=1M", directory]).text.split()[0])
    run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", directory, image, f"{used * 5 // 4 + 512}M"], timeout=600)
    image.chmod(0o644)  # QEMU runs under mapped ids


def qemu_argv(*, memory: int = 2048, cpus: int = 2) -> list[str]:
    """The command; its files lie where `boot` binds them. *memory* in MiB."""
    argv = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35",
        "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(cpus), "-m", str(memory), "-nic", "none",
        "-device", "virtio-rng-pci", "-kernel", "/boot/vmlinuz", "-initrd", "/boot/initrd.img",
        "-append", "root=/dev/vda rw console=ttyS0 systemd.unified_cgroup_hierarchy=1 panic=-1 quiet",
        "-serial", f"file:{WORK}/console", "-serial", f"file:{WORK}/report",
    ]  # fmt: skip
    for disk in (f"{WORK}/system.img", "/payload.img", "/payload.img"):
        argv += ["-drive", f"if=virtio,format=raw,snapshot=on,file={disk}"]
    return argv


def boot(store: Store, payload: Path, place: Path, *, timeout: float) -> Heard:
    """Boot once with the payload disk and listen until the report ends, the machine stops, or *timeout* seconds are
    over; whoever reads the report sees whether it is whole."""
    kernel = tools_root(store, suite=KERNEL_SUITE, packages=KERNEL_PACKAGES)
    system = tools_root(store, suite=SUITES[sys.version_info[:2]], packages=SYSTEM_PACKAGES)
    qemu = qemu_tools(store)
    files = place / "files"
    system_files(files, first_id=store.idmap.first)
    with ExitStack() as stack:
        for layer in (kernel, system, qemu):
            stack.enter_context(store.using(layer))
        scratch = stack.enter_context(store.throwaway())
        work = Bind(source=scratch, target=WORK, readonly=False)
        lowers = [Bind(source=path, target=f"/layers/{number}") for number, path in enumerate(system.lowers())]
        modules = Bind(source=next(kernel.path.glob("root/**/lib/modules")), target="/modules")
        script = MAKE_SYSTEM.format(work=WORK, lowers=":".join(bind.target for bind in lowers), user=USER, uid=UID)
        bench = Sandbox(
            lowers=system.lowers(),
            binds=(work, *lowers, modules, Bind(source=files, target="/files")),
            suppress_sync=True,
        )
        run_in(bench, ["sh", "-c", script], capture=True)
        (vmlinuz,) = kernel.path.glob("root/boot/vmlinuz-6.1.*")
        (initrd,) = kernel.path.glob("root/boot/initrd.img-6.1.*")
        machine = Sandbox(
            lowers=qemu.lowers(),
            binds=(
                work,
                Bind(source=vmlinuz, target="/boot/vmlinuz"),
                Bind(source=initrd, target="/boot/initrd.img"),
                Bind(source=payload, target="/payload.img"),
            ),
            env={**ENVIRONMENT, "TMPDIR": WORK},
        )
        started = time.monotonic()
        running = stack.enter_context(start_in(machine, qemu_argv()))
        while running.poll() is None and time.monotonic() - started < timeout:
            if END in read(scratch / "report"):
                break
            time.sleep(POLL)
        running.kill()
        return Heard(read(scratch / "report"), read(scratch / "console"), time.monotonic() - started)


def read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").replace("\r", "")
    except FileNotFoundError:
        return ""
