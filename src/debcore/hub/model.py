"""Wire models of the hub's API, version 1: what clients, agents and the hub exchange as JSON.

Unknown fields are ignored; fields are only ever added as optional. Times are UTC.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from debcore.hub.checks import BuildCheck, CheckPlan
from debcore.hub.hosts import Amount, Requires
from debcore.job.model import BinNmu, Job, Result, Sha256, Trace, Verify, Wire

#: Versions of the API that this code speaks.
API: tuple[int, ...] = (1,)
PREFIX = "/api/v1"

#: Policy 5.6.1 and 5.6.12, names of suites and targets, Debian architectures.
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$", max_length=128)]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+:~-]+$", max_length=256)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]{0,63}$")]
Arch = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~:%_,=@-]{0,254}$")]
Scope = Literal["admin", "client", "agent", "signer"]


class Problem(Wire):
    """Body of every answer of 400 and above."""

    error: str
    hint: str = ""


class SourceFile(Wire):
    """One file of a source package; its content is the blob `sha256`."""

    name: FileName
    sha256: Sha256
    size: int = Field(ge=0)  #: bytes


class NeededPackage(Wire):
    """A source package to be built. `files` lists all its files, the .dsc among them."""

    source: SourceName
    version: Version
    dsc_sha256: Sha256
    files: tuple[SourceFile, ...] = Field(min_length=1, max_length=256)
    binnmu: BinNmu | None = None  #: build it anew, as this binNMU


class PackagesNeeded(Wire):
    """Message 1. All blobs named must be with the hub already."""

    target: Name
    arches: tuple[Arch, ...] = Field(min_length=1, max_length=16)
    packages: tuple[NeededPackage, ...] = Field(min_length=1, max_length=2000)
    scratch: bool = False  #: build, keep the files, and put them into no suite

    @property
    def id(self) -> str:
        """Hash of the content: the order of packages, architectures and files does not count."""
        content = self.model_dump(mode="json", exclude=None if self.scratch else {"scratch"})
        content["arches"] = sorted(set(content["arches"]))
        for package in content["packages"]:
            if package["binnmu"] is None:
                del package["binnmu"]  # it was not there when the first requests were named
            package["files"].sort(key=lambda file: file["name"])
        content["packages"].sort(key=lambda p: (p["source"], p["version"], p["dsc_sha256"]))
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class BinNmuAsk(Wire):
    """Build sources of a target's suite anew, in the order of their build-dependencies. `arches` (): the target's."""

    sources: tuple[SourceName, ...] = Field(min_length=1, max_length=2000)
    reason: Annotated[str, StringConstraints(pattern=r"^[^\n]+$", max_length=500)]
    maintainer: str | None = Field(default=None, max_length=200)  #: of the changelog entry
    arches: tuple[Arch, ...] = Field(default=(), max_length=16)


class RequestState(StrEnum):
    OPEN = "open"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PackageFailure(Wire):
    """Why one package of a request cannot be had."""

    source: str
    version: str
    arch: str | None = None
    build: int | None = None
    status: str = ""  #: debcore.job.Status of the build, or "refused", "cancelled", "blocked"
    reason: str


class Request(Wire):
    """Answer to message 1. `event` is the number of packages.ready (the suite holds all of it as of there)."""

    id: str
    target: str
    suite: str
    arches: tuple[str, ...]
    state: RequestState
    event: int | None = None
    failures: tuple[PackageFailure, ...] = ()
    builds: tuple[int, ...] = ()
    packages: tuple[NeededPackage, ...] = ()
    created_at: datetime
    scratch: bool = False


class BuildState(StrEnum):
    """wanna-build's words, `cancelled` and `kept`. A pure function of facts and the job."""

    NEEDS_BUILD = "needs-build"
    DEP_WAIT = "dep-wait"
    BD_UNINSTALLABLE = "bd-uninstallable"
    BUILDING = "building"
    BUILT = "built"  # the agent has finished; the hub is checking
    UPLOADED = "uploaded"  # accepted; not in a published generation yet
    INSTALLED = "installed"
    BUILD_ATTEMPTED = "build-attempted"  # the host's fault or a limit, no tries left
    FAILED = "failed"
    CANCELLED = "cancelled"
    KEPT = "kept"  # a scratch build that ended well

    @property
    def ended(self) -> bool:
        return self in ("installed", "kept", "failed", "cancelled", "build-attempted", "bd-uninstallable")


class Artifact(Wire):
    """A file that a build made; its content is the blob `sha256`."""

    name: str
    kind: str  #: debcore.job.Output.kind
    sha256: Sha256
    size: int
    package: str | None = None
    version: str | None = None
    arch: str | None = None


class BuildArch(Wire):
    """One architecture of a build."""

    arch: str
    state: BuildState
    reason: str = ""
    job: int | None = None
    attempt: int = 0
    agent: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    log_size: int = 0  #: bytes of the log the hub has
    log_complete: bool = False
    lock_sha256: str | None = None
    trace: Trace | None = None  #: by which its lines are found in the logs of hub, agent, deb-mock and signer
    reproducible: bool | None = None  #: the verdict of a build that was verified; null: it was not, or has not ended
    result: Result | None = None
    artifacts: tuple[Artifact, ...] = ()


class Build(Wire):
    """One source version built for one target. `state` is the state of the architecture that is furthest behind."""

    id: int
    source: str
    version: str
    target: str
    suite: str
    request: str | None
    state: BuildState
    created_at: datetime
    dsc_sha256: str
    arches: tuple[BuildArch, ...]
    waits_for: tuple[int, ...] = ()  #: builds that must be installed first
    scratch: bool = False
    binnmu: int | None = None  #: N of +bN
    checks: tuple[BuildCheck, ...] = ()  #: oldest first


class Reason(Wire):
    """One answer of `why`: a fact, and what would change it."""

    subject: str  #: such as `build 12 amd64`
    fact: str
    next: str = ""


class Suite(Wire):
    """A signed apt repository. `event` and `generation` are those of the live publication (0: none yet)."""

    name: str
    apt_uri: str
    key: str  #: armoured OpenPGP key; "" until the first publication
    event: int = 0
    generation: int = 0
    components: tuple[str, ...] = ("main",)
    arches: tuple[str, ...]
    private: bool = False  #: apt needs a credential


class Target(Wire):
    """Where builds take their root from and where results go. `preset` is one of deb-mock's.

    `build_suite`: the suite whose packages builds see; null: `suite`, to which the results go. `cross`: architectures
    that are cross-built, each with that of the builders. `verify`: every build is verified in this way.
    """

    name: Name
    preset: str
    suite: Name
    arches: tuple[Arch, ...]
    profiles: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    build_suite: Name | None = None
    cross: dict[Arch, Arch] = Field(default_factory=dict, max_length=16)
    verify: Verify | None = None
    checks: CheckPlan | None = None
    requires: Requires | None = None  #: of builders, besides the architecture


class Event(Wire):
    """One fact of the hub's event log. `superseded`: of an attempt that is not the job's current one."""

    n: int
    at: datetime
    type: str
    request: str | None = None
    build: int | None = None
    arch: str | None = None
    attempt: int | None = None
    job: int | None = None
    superseded: bool = False
    data: dict[str, Any] = Field(default_factory=dict)


class Health(Wire):
    ok: bool
    version: str
    api: tuple[int, ...]


class AgentState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REVOKED = "revoked"


class Enrol(Wire):
    """An agent asks to be let in. It made the token itself; the hub keeps only its hash."""

    name: Name
    token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{32,128}$")]
    arches: tuple[Arch, ...] = Field(default=(), max_length=64)
    capabilities: tuple[Annotated[str, StringConstraints(max_length=64)], ...] = Field(default=(), max_length=64)
    version: str = Field(default="", max_length=64)
    pool: Literal["default", "sign"] = "default"  #: what it wants to work on; `sign` is the signer's
    emulates: tuple[Arch, ...] = Field(default=(), max_length=64)  #: architectures that it can only emulate
    memory_mb: Amount | None = None
    disk_mb: Amount | None = None  #: free
    slots: int = Field(default=1, ge=1, le=1024)  #: jobs at once


class Agent(Wire):
    name: str
    state: AgentState
    pool: str = "default"
    arches: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    version: str = ""
    fingerprint: str = ""  #: start of the token's hash, to compare before approving
    seen_at: datetime | None = None
    jobs: tuple[int, ...] = ()
    trust: int = 0  #: of its pool
    emulates: tuple[str, ...] = ()
    memory_mb: int | None = None
    disk_mb: int | None = None
    slots: int = 1
    disabled: str | None = None  #: why it gets no new work
    quarantined_until: datetime | None = None  #: then it is tried with one job
    quarantine: str | None = None  #: its last fault


class Held(Wire):
    """A job attempt that an agent still works on."""

    job: int
    attempt: int


class ClaimAsk(Wire):
    """A claim with a client-made id: the same id again gets the same answer."""

    claim_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    boot_id: Annotated[str, StringConstraints(max_length=64)] = ""
    held: tuple[Held, ...] = ()
    arches: tuple[Arch, ...] = ()
    capabilities: tuple[str, ...] = ()
    api: tuple[int, ...] = (1,)  #: versions of the job directory that the agent's tool speaks
    wait: float = Field(default=0, ge=0, le=60)  #: seconds to park until there is work
    disk_mb: Amount | None = None  #: free now


class Claimed(Wire):
    """A job of one's own until the lease ends. `grant` authenticates everything about this attempt."""

    job: int
    attempt: int
    grant: str
    lease_s: float
    kind: str
    spec: dict[str, Any]
    trace: Trace | None = None  #: of the call that asked for it: all log lines about it carry it


class BuildSpec(Wire):
    """`spec` of a job of kind `build` or `check`: a job.json whose inputs are blobs, and the suite to work against."""

    job: Job
    suite: str


class BeatAsk(Wire):
    attempt: int


class Beat(Wire):
    cancel: bool
    lease_s: float
    make_room: bool = False  #: give the job back, for a more urgent one


class FinishAsk(Wire):
    """The end of an attempt. `hash` names the result: the same again is answered the same, another is refused."""

    attempt: int
    result: dict[str, Any]  #: kinds build and check: debcore.job.Result; kind sign: the signer's answer
    hash: Sha256


class ReleaseAsk(Wire):
    attempt: int
    reason: str = ""


class Finished(Wire):
    accepted: bool
    state: str  #: of the job


class AgentEvents(Wire):
    """Lines of deb-mock's events.jsonl that the hub wants: environment.ready. `n` makes repeats harmless."""

    attempt: int
    events: tuple[dict[str, Any], ...] = Field(max_length=1000)


class TokenAsk(Wire):
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    scope: Literal["admin", "client"]
    days: int = Field(default=90, ge=1, le=3650)


class Token(Wire):
    """`secret` is shown once, in the answer that makes it."""

    id: int
    name: str
    scope: Scope
    expires_at: datetime
    revoked: bool = False
    secret: str | None = None


class LoginLink(Wire):
    url: str
    expires_at: datetime
