"""The boot gate: an image boots in QEMU and reports; the image itself is never written to."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.boot.override import NOTHING, OVERLAY, Override
from deb_bootc_compose.boot.qemu import (
    MACHINES,
    QEMU_SUITE,
    DiskFormat,
    Machine,
    check_machine,
    firmware,
    qemu_argv,
    report_credentials,
)
from deb_bootc_compose.boot.report import BootReport, is_complete, judge, parse_report
from debcore.errors import BuildFailed, ConfigError, LimitHit
from debroot.bootstrap import tools_root
from debroot.sandbox import ENVIRONMENT, Bind, Running, Sandbox, run_in, start_in
from debroot.store import Layer, Store

log = logging.getLogger(__name__)

#: dpkg's rule (deb-control(5), Package).
PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?")

#: Seconds between looks at the report.
POLL = 0.25

MACHINE = "/machine"
DISK = f"{MACHINE}.img"
LARGER = f"{MACHINE}/larger.qcow2"
VARS = f"{MACHINE}/vars.fd"

#: Bytes by which a gate's disk is larger than its image: the system must take them.
ROOM = 1024**3

#: Terminal control that firmware and GRUB put into a console log.
CONTROL = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>cM78])|[\x00-\x08\x0b-\x1f\x7f]")


def qemu_tools(store: Store, arch: str = "amd64", more: Sequence[str] = ()) -> Layer:
    """The tools root that run_boot uses; making it early shows its cost apart. *more*: packages beside QEMU's."""
    check_machine(arch)
    return tools_root(store, suite=QEMU_SUITE, packages=(*MACHINES[arch], *more))


def run_boot(
    store: Store,
    image: Path,
    *,
    packages: Sequence[str] = (),
    commit: str | None = None,
    timeout: float = 600.0,
    console_log: Path,
    secure_boot: bool = True,
    memory: int = 2048,
    cpus: int = 2,
    arch: str = "amd64",
    override: Override = NOTHING,
    room: int = 0,
) -> BootReport:
    """Boot *image* (of a format that we make) once, return its judged report; what the guest writes is thrown away.

    *packages*: names whose installed version is asked for. *commit*: what must be running. *timeout*: seconds from
    power-on to the report. *console_log* gets everything the machine prints. *memory* is in MiB. *override*: what is
    laid over the image. *room*: bytes by which its disk is larger than the image.
    Errors: LimitHit without a report in time, BuildFailed if the machine stops before it: both quote the console.
    """
    for name in packages:
        if not PACKAGE_NAME.fullmatch(name):
            raise ConfigError("packages", f"{name!r} is no package name")
    with ExitStack() as stack:
        parts = stack.enter_context(
            open_parts(store, image, secure_boot=secure_boot, binds=override.binds(), arch=arch, room=room)
        )
        console = stack.enter_context(console_log.open("wb"))
        report = stack.enter_context((parts.host_dir / "report").open("wb"))
        machine = Machine(
            disk=parts.disk,
            disk_format=parts.disk_format,
            arch=arch,
            firmware_vars=VARS,
            report=True,
            secure_boot=secure_boot,
            memory=memory,
            cpus=cpus,
            credentials={
                **report_credentials(packages, patience=max(30, int(timeout * 0.7))),
                **override.credentials,
            },
            kernel=override.boots,
            overlay=OVERLAY if override.disk else None,
        )
        log.info("Booting %s in QEMU, without KVM: about a minute", image.name)
        started = time.monotonic()
        running = stack.enter_context(start_in(parts.sandbox, qemu_argv(machine), stdout=console, stderr=report))
        text = await_report(running, Path(report.name), started + timeout, console_log)
        seconds = time.monotonic() - started
    return judge(parse_report(text, boot_seconds=seconds), commit=commit)


def await_report(running: Running, report: Path, deadline: float, console_log: Path) -> str:
    """The report's text when it is complete. *deadline* is of time.monotonic(). Errors: LimitHit, BuildFailed."""
    while True:
        status = running.poll()
        text = report.read_text("utf-8", "replace")
        if is_complete(text):
            return text
        hint = f"the console's log is {console_log}"
        if status is not None:
            raise BuildFailed(f"the machine stopped before its system was up{last_lines(console_log)}", hint=hint)
        if time.monotonic() > deadline:
            raise LimitHit(f"the image did not come up in time{last_lines(console_log)}", hint=hint)
        time.sleep(POLL)


def last_lines(console_log: Path, count: int = 5) -> str:
    """The end of the console as text to append to a message."""
    text = CONTROL.sub("", console_log.read_text("utf-8", "replace")[-8192:])
    lines = [line.strip() for line in text.splitlines() if line.strip()][-count:]
    return "; the console ends:\n  " + "\n  ".join(lines) if lines else "; the console is empty"


@dataclass(frozen=True)
class Parts:
    """What a machine is put together from."""

    sandbox: Sandbox
    disk: str  #: as the sandbox has it
    disk_format: DiskFormat
    host_dir: Path  #: a private directory of the caller, gone with the machine


@contextmanager
def open_parts(
    store: Store,
    image: Path,
    *,
    secure_boot: bool,
    network: bool = False,
    tty: bool = False,
    binds: Sequence[Bind] = (),
    arch: str = "amd64",
    room: int = 0,
    more: Sequence[str] = (),
) -> Iterator[Parts]:
    """Sandbox with QEMU, fresh firmware variables, the image opened for reading. *network*: the host's, for ssh.

    *room*: bytes that the disk has behind what is the image's; the image is then what lies under a file that is empty.
    *more*: packages that the sandbox has beside QEMU's.
    """
    layer = qemu_tools(store, arch, more)
    with ExitStack() as stack:
        stack.enter_context(store.using(layer))
        scratch = stack.enter_context(store.throwaway())
        host_dir = stack.enter_context(store.scratch())
        sandbox = Sandbox(
            lowers=layer.lowers(),
            binds=(
                Bind(source=scratch, target=MACHINE, readonly=False),
                Bind(source=image.resolve(), target=DISK),
                *binds,
            ),
            network="host" if network else "none",
            tty=tty,
            cwd=MACHINE,
            env={**ENVIRONMENT, "TMPDIR": MACHINE},
        )
        _, template = firmware(secure_boot, arch)
        run_in(sandbox, ["cp", template, VARS], capture=True)
        disk, kind = DISK, find_format(image)
        if room:
            make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", DISK, "-F", kind, LARGER]
            run_in(sandbox, make, capture=True)
            run_in(sandbox, ["qemu-img", "resize", "-q", "-f", "qcow2", LARGER, f"+{room}"], capture=True)
            disk, kind = LARGER, "qcow2"
        yield Parts(sandbox, disk, kind, host_dir)


#: How the formats that we make begin; a dynamic VHD has a copy of its footer there.
MAGIC: Mapping[bytes, DiskFormat] = {b"QFI\xfb": "qcow2", b"KDMV": "vmdk", b"conectix": "vpc"}


def find_format(image: Path) -> DiskFormat:
    """QEMU's name of the format of *image*."""
    with image.open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "raw")
