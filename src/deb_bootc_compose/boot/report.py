"""What a booted image says of itself, and whether that is what an OSTree image must say.

The guest runs the shell script `probe` and prints one line per question; parsing and judging is here.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class Mount(BaseModel):
    """A place in the running system."""

    model_config = ConfigDict(frozen=True)

    target: str
    fstype: str
    options: tuple[str, ...]
    source: str = ""  #: `composefs` where the root is one
    writable: bool  #: for root: not read-only and not immutable


class Deployment(BaseModel):
    """One line of `ostree admin status`."""

    model_config = ConfigDict(frozen=True)

    os: str
    commit: str
    serial: int
    booted: bool
    note: str  #: pending, rollback, staged; or empty
    version: str
    origin: str


class Growth(BaseModel):
    """The disk and its root, in bytes. `table`: SHA-256 of the partition table.

    `unit`: what may be left of the partition, for the file system cannot use a smaller piece.
    """

    model_config = ConfigDict(frozen=True)

    able: bool  #: the image has what makes it grow
    disk: int
    start: int
    partition: int
    filesystem: int
    unit: int = 4096
    table: str

    @property
    def problem(self) -> str:
        """Why the root does not reach to the end of its disk; empty if it does."""
        behind = self.disk - self.start - self.partition
        if behind > SPARE:
            return f"the root did not grow: {behind // 1024**2} MiB of the disk are behind its partition"
        if self.filesystem + self.unit <= self.partition:
            return f"the root did not grow: its file system has {self.filesystem} bytes of {self.partition}"
        return ""


class Timing(BaseModel):
    """Seconds. `boot` is the host's clock from power-on to the report, the others are the guest's since its kernel."""

    model_config = ConfigDict(frozen=True)

    boot: float
    initrd: float | None
    userspace: float | None
    multi_user: float | None
    finished: float | None  #: nothing is queued any more


class BootReport(BaseModel):
    """One boot. `problems` is empty if the image behaved."""

    model_config = ConfigDict(frozen=True)

    state: str  #: of systemctl is-system-running: running, degraded, maintenance, starting
    multi_user: bool
    failed_units: tuple[str, ...]
    waiting_jobs: tuple[str, ...]
    mounts: tuple[Mount, ...]
    deployments: tuple[Deployment, ...]
    packages: dict[str, str | None]  #: version of each package asked for; None: not installed
    kernel: str
    cmdline: str
    secure_boot: bool
    machine_id: str
    timing: Timing
    growth: Growth | None = None  #: None: the root is no partition, or the guest did not say
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def composefs(self) -> bool:
        """Whether the root is a composefs."""
        root = self.mount("/")
        return root is not None and root.source == "composefs"

    def mount(self, target: str) -> Mount | None:
        return next((m for m in self.mounts if m.target == target), None)


@dataclass(frozen=True)
class Answer:
    """What one question's command printed (both streams) and its exit status."""

    status: int
    text: str


#: Bytes that may stay free behind a root: the second partition table, and what makes whole MiB. `grow` has the same.
SPARE = 2 * 1024**2

PROBE = re.compile(r"PROBE (\S+) (\d+) (\S*)")
STATUS_HEAD = re.compile(
    r"(?P<booted>[* ]) (?P<os>\S+) (?P<commit>[0-9a-f]{64})\.(?P<serial>\d+)(?: \((?P<note>.+)\))?"
)


def is_complete(text: str) -> bool:
    return text.endswith("END\n") or "\nEND\n" in text


def parse_answers(text: str) -> dict[str, Answer]:
    """Answers by name; lines that are torn or not ours are left out."""
    answers = {}
    for line in text.splitlines():
        match = PROBE.fullmatch(line)
        if match is None:
            continue
        try:
            printed = base64.b64decode(match[3], validate=True).decode("utf-8", "replace")
        except binascii.Error:
            continue
        answers[match[1]] = Answer(int(match[2]), printed)
    return answers


def parse_deployments(text: str) -> tuple[Deployment, ...]:
    """Output of `ostree admin status`, of ostree 2025.2 and 2026.4."""
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        head = STATUS_HEAD.match(line)
        key, colon, value = line.strip().partition(": ")
        if head is not None:
            found.append({k: v or "" for k, v in head.groupdict().items()})
        elif colon and found:
            found[-1].setdefault(key.lower(), value)
    return tuple(
        Deployment(
            os=one["os"],
            commit=one["commit"],
            serial=int(one["serial"]),
            booted=one["booted"] == "*",
            note=one["note"],
            version=one.get("version", ""),
            origin=one.get("origin refspec", ""),
        )
        for one in found
    )


def parse_properties(text: str) -> dict[str, str]:
    """Output of `systemctl show`: KEY=VALUE lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def parse_report(text: str, *, boot_seconds: float) -> BootReport:
    """The report without a judgement. Questions that have no answer count as bad: empty, not writable, not booted."""
    answers = parse_answers(text)

    def say(name: str) -> str:
        answer = answers.get(name)
        return answer.text.strip() if answer is not None else ""

    times = parse_properties(say("timestamps"))
    target = parse_properties(say("multi-user"))
    return BootReport(
        state=say("state").splitlines()[-1] if say("state") else "unknown",
        multi_user=target.get("ActiveState") == "active",
        failed_units=tuple(line.split()[0] for line in say("failed").splitlines() if line.strip()),
        waiting_jobs=tuple(" ".join(line.split()) for line in say("jobs").splitlines() if line.strip()),
        mounts=tuple(_mount(name.partition(":")[2], answers) for name in answers if name.startswith("mount:")),
        deployments=parse_deployments(answers["ostree"].text if "ostree" in answers else ""),
        packages={name.partition(":")[2]: _version(a) for name, a in answers.items() if name.startswith("package:")},
        kernel=say("kernel"),
        cmdline=say("cmdline"),
        secure_boot=say("secure-boot") == "1",
        machine_id=say("machine-id"),
        timing=Timing(
            boot=round(boot_seconds, 1),
            initrd=_seconds(times.get("InitRDTimestampMonotonic")),
            userspace=_seconds(times.get("UserspaceTimestampMonotonic")),
            multi_user=_seconds(target.get("ActiveEnterTimestampMonotonic")),
            finished=_seconds(times.get("FinishTimestampMonotonic")),
        ),
        growth=_growth(answers.get("growth")),
    )


def judge(report: BootReport, *, commit: str | None = None, ostree: bool = True) -> BootReport:
    """*report* with its problems: what an image must be, and that it runs *commit* if one is named.

    *ostree*: the system is a deployment of OSTree's.
    """
    problems = [f"unit {unit} failed" for unit in report.failed_units]
    if not report.multi_user:
        problems.append("multi-user.target was not reached")
    if report.state != "running":
        problems.append(f"the system is {report.state}")
    problems += [f"a job still waits: {job}" for job in report.waiting_jobs if report.state == "starting"]
    for target, writable in (("/", False), ("/usr", False), ("/sysroot", False), ("/etc", True), ("/var", True)):
        mount = report.mount(target)
        if mount is None or mount.writable != writable:
            problems.append(f"{target} is {'not ' if writable else ''}writable")
    usr = report.mount("/usr")
    if usr is None or "ro" not in usr.options:
        problems.append("/usr is not mounted read-only")
    booted = [d for d in report.deployments if d.booted]
    if not ostree:
        pass  # bootc's other backend: its status is judged apart
    elif len(booted) != 1:
        problems.append(f"`ostree admin status` names {len(booted)} booted deployments")
    elif commit is not None and booted[0].commit != commit:
        problems.append(f"it runs commit {booted[0].commit[:12]}, not {commit[:12]}")
    if report.growth is not None and report.growth.able and report.growth.problem:
        problems.append(report.growth.problem)
    problems += [f"package {name} is not installed" for name, version in report.packages.items() if version is None]
    return report.model_copy(update={"problems": tuple(problems)})


def _mount(target: str, answers: dict[str, Answer]) -> Mount:
    fstype, options, source = [*answers[f"mount:{target}"].text.split(maxsplit=2), "", "", ""][:3]
    writable = answers.get(f"writable:{target}", Answer(1, "")).status == 0
    told = tuple(options.split(",")) if options else ()
    return Mount(target=target, fstype=fstype, options=told, source=source.strip(), writable=writable)


def _growth(answer: Answer | None) -> Growth | None:
    if answer is None or answer.status != 0:
        return None
    told = parse_properties(answer.text)
    try:
        numbers = {name: int(told[name]) for name in ("disk", "start", "partition", "filesystem")}
        numbers |= {"unit": int(told["unit"])} if "unit" in told else {}
        return Growth(able=told["able"] == "yes", table=told["table"], **numbers)
    except (KeyError, ValueError):
        return None


def _version(answer: Answer) -> str | None:
    status, _, version = answer.text.partition(" ")
    return version if answer.status == 0 and status == "installed" else None


def _seconds(microseconds: str | None) -> float | None:
    if microseconds is None or not microseconds.isdigit() or microseconds == "0":
        return None
    return round(int(microseconds) / 1e6, 2)
