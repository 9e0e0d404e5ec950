"""Wire models of the job directory, version 1. Unknown fields are ignored; fields are only ever added as optional.

JSON Schemas are published in schemas/ (made by `make docs`), golden files in tests/golden/job/.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

#: Versions of the job directory that this code speaks, newest first; `TOOL job-api` prints them.
API: tuple[int, ...] = (1,)

#: W3C Trace Context: a trace id.
Trace = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_RELATIVE = r"^(?!.*(?:^|/)\.{1,2}(?:/|$))(?!.*//)[^/\0][^\0]*$"


def _check_relative(path: str) -> str:
    if not re.search(_RELATIVE, path, re.DOTALL):
        raise ValueError(f"{path!r} leads out of the directory")
    return path


#: A path below the job directory: no empty, `.` or `..` component, not absolute.
RelativePath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(_check_relative),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 1024, "pattern": _RELATIVE}),
]


class Wire(BaseModel):
    """Frozen, and deaf to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Input(Wire):
    """A file that the job starts from, already in the job directory."""

    path: RelativePath
    sha256: Sha256
    size: int = Field(ge=0)  #: bytes


class AptSource(Wire):
    """One apt source, deb822 semantics (sources.list(5)). `signed_by` is an armoured key, or null for [trusted=yes]."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    types: tuple[Literal["deb", "deb-src"], ...] = ("deb",)
    architectures: tuple[str, ...] = ()
    signed_by: str | None = None
    trusted: bool = False
    check_valid_until: bool = True  #: false for archives that stand still, such as snapshots
    pin: int | None = None  #: apt_preferences(5) priority


class Target(Wire):
    """What to build for."""

    preset: str  #: deb-mock preset, such as `debian-trixie-amd64`
    arch: str  #: host architecture of the result, Debian name
    sources: tuple[AptSource, ...] = ()  #: added to the preset's
    profiles: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  #: DEB_BUILD_OPTIONS
    build: Literal["full", "binary", "any", "all", "source"] = "binary"  #: as dpkg-buildpackage --build
    distribution: str | None = None  #: Distribution of the .changes; the changelog's if null
    build_arch: str | None = None  #: of the root, where it is not `arch`: a cross build


class Limits(Wire):
    """null: no limit. Bytes and seconds."""

    memory: int | None = None
    disk: int | None = None
    processes: int | None = None
    silence_s: int | None = 9000
    log: int | None = None


class BinNmu(Wire):
    """A rebuild of an unchanged source, binary-only: its packages have +bN after their version."""

    number: int = Field(ge=1, le=999)
    reason: Annotated[str, StringConstraints(pattern=r"^[^\n]+$", max_length=500)]
    maintainer: Annotated[str, StringConstraints(pattern=r"^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$", max_length=200)] = (
        "deb-orchestrator <deb-orchestrator@localhost>"
    )


class Verify(Wire):
    """A second build in other surroundings; `Result.reproducible` has the verdict, reproducible.json the reasons."""

    vary: tuple[str, ...] = ()  #: as `deb-mock build --vary` has it, such as `-build_path`; none: everything
    find_variation: bool = False  #: on a difference, build again and again to find which variation does it


class Checks(Wire):
    """What a job of kind check does with the packages that its source names. Paths are among the inputs."""

    names: tuple[str, ...] = ()  #: as `deb-mock check --list` has them; none: all
    policy: RelativePath | None = None  #: a policy file, which wins over the host's
    fail_on: tuple[str, ...] = ()  #: [CHECK:]LEVEL: findings of this level and graver fail
    log: RelativePath | None = None  #: the build log of the packages; build.log beside the .changes if null


class Job(Wire):
    """job.json."""

    api: int = 1
    kind: Literal["build", "check", "task"] = "build"
    job: str
    attempt: int = Field(default=1, ge=1)
    request: str | None = None
    build: str | None = None
    source: RelativePath | None = None  #: path of the .dsc (kind build) or of the .changes (kind check)
    inputs: tuple[Input, ...] = ()
    target: Target
    limits: Limits = Limits()
    deadline_s: int | None = None
    checks: Checks = Checks()  #: kind check
    secrets: tuple[str, ...] = ()  #: names only; values never stand in files
    binnmu: BinNmu | None = None
    verify: Verify | None = None  #: kind build: whether the same bytes come out again; null: not asked
    trace: Trace | None = None  #: that all log lines about it carry (W3C's trace id)
    task: dict[str, Any] = Field(default_factory=dict)  #: kind task: the task's own parameters


class Event(Wire):
    """One line of events.jsonl. `data` depends on `type`:

    stage.started {stage} · stage.ended {stage, ok, seconds} · progress {stage, text, done?, total?}
    · environment.ready {lock: path, lock_sha256, packages: count} · build.complete {status, outputs: [Output], logs}
    """

    n: int = Field(ge=1)  #: contiguous from 1
    at: str  #: RFC 3339, UTC
    type: str
    job: str | None = None
    attempt: int | None = None
    request: str | None = None
    build: str | None = None
    arch: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class Status(StrEnum):
    """How a job ended; `exit_status` gives the process status that follows from it."""

    BUILT = "built"
    INVALID = "invalid"  # configuration or input
    FAILED = "failed"  # the package's fault
    DEPS = "deps"  # dependencies cannot be met
    HOST = "host"  # this host's fault
    LIMIT = "limit"
    CANCELLED = "cancelled"

    @property
    def exit_status(self) -> int:
        return {"built": 0, "invalid": 3, "failed": 4, "deps": 5, "host": 6, "limit": 7, "cancelled": 143}[self.value]


class Output(Wire):
    """A file that the job made. What result.json does not list does not exist."""

    path: RelativePath
    sha256: Sha256
    size: int = Field(ge=0)
    kind: Literal["deb", "udeb", "dsc", "source", "changes", "buildinfo", "log", "lock", "file"] = "file"


class Stage(Wire):
    """Timing of one stage."""

    name: str
    seconds: float
    ok: bool


class UnmetStep(Wire):
    """One step of a chain: this package (name and version, or `build-dependencies`) needs that."""

    package: str
    depends: str


class Unmet(Wire):
    """Why dependencies cannot be met. missing: nothing gives `clause` of `package`; conflict: `package` conflicts with
    `clause`, which `other` gives. The chains lead from the build dependencies to `package` and to `other`."""

    kind: Literal["missing", "conflict"]
    package: str
    clause: str
    other: str = ""
    chain: tuple[UnmetStep, ...] = ()
    other_chain: tuple[UnmetStep, ...] = ()


class FailureReport(Wire):
    """Why it failed. `excerpt` is at most 40 lines around the first real error at byte `log_offset` of build.log."""

    stage: str
    kind: (
        str  #: compile, link, test, patch, debhelper, dependency, memory, disk, ...: docs/howto/read-a-failed-build.md
    )
    message: str
    excerpt: tuple[str, ...] = ()
    log_offset: int | None = None
    hint: str = ""
    unmet: tuple[Unmet, ...] = ()  #: dependencies that cannot be met, where that is the failure


class Peaks(Wire):
    """Highest values seen, bytes; null if not measured."""

    memory: int | None = None
    disk: int | None = None


class CheckFinding(Wire):
    """One thing that a check found, and what the policy made of it."""

    level: str  #: error, warning, info, pedantic, experimental, override, not-run
    tag: str
    subject: str = ""  #: package, test or file
    text: str = ""
    action: Literal["fatal", "warn", "ignore", "waived"]


class CheckReport(Wire):
    """One check of the quality gate. What could not be checked is `not-run`, never `passed`."""

    name: str
    outcome: Literal["passed", "failed", "not-run"]
    fatal: bool = False  #: it makes the build fail, by the policy
    reason: str = ""  #: of not-run
    tool: str = ""  #: program and version
    seconds: float = 0.0
    log: RelativePath | None = None
    findings: tuple[CheckFinding, ...] = ()  #: the gravest first, bounded
    counts: dict[str, int] = Field(default_factory=dict)  #: level → how many, of all


class Result(Wire):
    """result.json, written last."""

    api: int = 1
    job: str
    attempt: int = 1
    status: Status
    outputs: tuple[Output, ...] = ()
    failure: FailureReport | None = None
    checks: tuple[CheckReport, ...] = ()  #: the quality gate, in the order in which it ran
    stages: tuple[Stage, ...] = ()
    peaks: Peaks = Peaks()
    source: str | None = None
    version: str | None = None
    arch: str | None = None
    lock_sha256: Sha256 | None = None
    reproducible: bool | None = None  #: null: not verified; false too after an online step or an influence
    signed: bool | None = None  #: null: not asked; false: the signer failed, and the outputs are unsigned
    enforced: dict[str, str] = Field(default_factory=dict)  #: limit → who held it: cgroup2, cgroup1, init or rlimit
    tmpfs: bool | None = None  #: whether the build's changes to its root lay in memory; null: it did not come so far
    online: tuple[str, ...] = ()  #: steps that had the network, as the configuration declared
    influences: tuple[str, ...] = ()  #: what decided the result beside source and root; anything: not reproducible
