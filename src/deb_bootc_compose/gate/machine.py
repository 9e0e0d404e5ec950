"""One machine that boots several times: it does its plan by itself, and the host reads what it says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.boot.qemu import Machine, network_credentials, qemu_argv, report_credentials
from deb_bootc_compose.boot.run import POLL, ROOM, VARS, last_lines, open_parts
from debcore.errors import BuildFailed, LimitHit
from debroot.sandbox import Bind, run_in, start_in
from debroot.store import Store

log = logging.getLogger(__name__)

WWW = "/www"
URL = "http://10.0.2.2"  #: of the host, as QEMU's user network has it

Say = Callable[[str], None]

LAYOUT = "/layout"
REGISTRY_SCRIPT = "/registry.py"
REGISTRY_PORT = 5000
#: Of an image in the registry, as the guest names it. Every tag there names the one image.
IMAGE = f"10.0.2.2:{REGISTRY_PORT}/deb-bootc-gate:latest"
BLANK_DIR = "/blank"
BLANK_DISK = f"{BLANK_DIR}/disk.qcow2"


@dataclass(frozen=True)
class Bootc:
    """A registry with one image, and a blank disk to install it onto, which outlives the machine."""

    layout: Path
    digest: str  #: of the manifest: sha256:…
    blank: Path | None = None  #: a directory, owned by root inside, for the disk `disk.qcow2`
    size: int = 0  #: bytes of the blank disk

    packages = ("python3",)

    def binds(self) -> list[Bind]:
        script = Path(__file__).with_name("registry.py")
        found = [Bind(source=self.layout.resolve(), target=LAYOUT), Bind(source=script, target=REGISTRY_SCRIPT)]
        if self.blank is not None:
            found.append(Bind(source=self.blank, target=BLANK_DIR, readonly=False))
        return found

    def serve(self) -> tuple[str, ...]:
        return ("python3", "-I", REGISTRY_SCRIPT, LAYOUT, self.digest, str(REGISTRY_PORT))

    def make_blank(self) -> list[str]:
        return ["qemu-img", "create", "-q", "-f", "qcow2", BLANK_DISK, str(self.size)]


@dataclass(frozen=True)
class Line:
    """A line of the guest, and when it was seen: seconds since power-on."""

    at: float
    text: str


@dataclass(frozen=True)
class Boot:
    """What one boot said; `since` is when the machine was started for it, in seconds from power-on."""

    since: float
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line.text}\n" for line in self.lines)

    def at(self, begin: str) -> float | None:
        """When the first line that begins so was seen."""
        return next((line.at for line in self.lines if line.text.startswith(begin)), None)


def run_plan(
    store: Store, image: Path, *, plan: Sequence[str], environment: Mapping[str, str], key: str, binds: Sequence[Bind],
    console_log: Path, patience: float, say: Say, memory: int = 2048, cpus: int = 2,
    arch: str = "amd64", bootc: Bootc | None = None,
) -> tuple[Boot, ...]:  # fmt: skip
    """Boot *image* once for each word of *plan* (see `guest`), on a disk with ROOM behind it; nothing written stays.

    *patience*: seconds in which the next line must come. *key*: of whom updates are signed by, armoured, or empty.
    *bootc*: what a machine has whose bootc is asked; an image that bootc made is booted as it is, without ROOM.
    Errors: LimitHit if the guest falls silent, BuildFailed if the machine stops: both say where, and quote the console.
    """
    here = Path(__file__)
    credentials = report_credentials(
        (), patience=int(patience * 0.7), script=here.with_name("guest").read_bytes(),
        environment={"PLAN": " ".join(plan), **environment}, files={"debootc.key": key.encode()},
    )  # fmt: skip
    with ExitStack() as stack:
        made_by_bootc = bootc is not None and bootc.blank is None
        parts = stack.enter_context(
            open_parts(
                store, image, secure_boot=not made_by_bootc, binds=[*binds, *(bootc.binds() if bootc else ())],
                arch=arch, room=0 if made_by_bootc else ROOM, more=bootc.packages if bootc else (),
            )
        )  # fmt: skip
        if bootc is not None and bootc.blank is not None:
            run_in(parts.sandbox, bootc.make_blank(), capture=True)
        console = stack.enter_context(console_log.open("wb"))
        report = stack.enter_context((parts.host_dir / "report").open("wb"))
        machine = Machine(
            disk=parts.disk, disk_format=parts.disk_format, arch=arch, firmware_vars=VARS, report=True,
            www=None if bootc else WWW, registry=bootc.serve() if bootc else (),
            blank=BLANK_DISK if bootc is not None and bootc.blank is not None else None,
            secure_boot=not made_by_bootc, reboots=True, memory=memory, cpus=cpus,
            credentials={**credentials, **network_credentials()},
        )  # fmt: skip
        started = time.monotonic()
        running = stack.enter_context(start_in(parts.sandbox, qemu_argv(machine), stdout=console, stderr=report))
        lines: list[Line] = []
        heard = time.monotonic()
        while not lines or lines[-1].text != "DONE":
            status = running.poll()
            text = Path(report.name).read_text("utf-8", "replace")
            whole = text[: text.rfind("\n") + 1].splitlines()
            for new in whole[len(lines) :]:
                lines.append(Line(round(time.monotonic() - started, 1), new))
                heard = time.monotonic()
                _tell(new, plan, say)
            if lines and lines[-1].text == "DONE":
                break
            hint = f"the console's log is {console_log}"
            if status is not None:
                raise BuildFailed(f"the machine stopped {where(lines, plan)}{last_lines(console_log)}", hint=hint)
            if time.monotonic() - heard > patience:
                raise LimitHit(f"nothing more was heard {where(lines, plan)}{last_lines(console_log)}", hint=hint)
            time.sleep(POLL)
    return tuple(split_boots(lines))


def split_boots(lines: Sequence[Line]) -> list[Boot]:
    """A boot begins with its BOOT line and takes its time from the line NEXT of the one before."""
    found: list[tuple[float, list[Line]]] = []
    since = 0.0
    for line in lines:
        if line.text.startswith("BOOT "):
            found.append((since, []))
        if found:
            found[-1][1].append(line)
        if line.text == "NEXT":
            since = line.at
    return [Boot(start, tuple(said)) for start, said in found]


def where(lines: Sequence[Line], plan: Sequence[str]) -> str:
    """How far the plan came, in words for a message."""
    number = sum(line.text.startswith("BOOT ") for line in lines)
    if lines and lines[-1].text == "NEXT":
        return f"while it was starting again after `{plan[number - 1]}`"
    broken = sum(line.text == "BROKEN" for line in lines)
    if lines and lines[-1].text == "BROKEN":
        return f"after the broken system had been started {broken} times"
    return f"in boot {number} of {len(plan)}" if number else "before its first system was up"


def _tell(line: str, plan: Sequence[str], say: Say) -> None:
    word, _, rest = line.partition(" ")
    if word == "BOOT":
        say(f"boot {rest} of {len(plan)}")
    elif word == "PROBE" and rest.split()[0] in ("install", "upgrade", "rollback"):
        name, status = rest.split()[:2]
        say(f"{name}: {'done' if status == '0' else f'failed with status {status}'}")
    elif word == "BROKEN":
        say("the broken system was started")
