"""Wire models of what was and is: jobs, packages with their builds and suites, and who changed what."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from debcore.hub.model import BuildState, Event, Reason
from debcore.job.model import Wire


class Task(Wire):
    """A job, as Koji's tasks. `agent`: who has it, or had it last. `build` and what it builds, if it is of a build."""

    job: int
    kind: str
    state: str  #: blocked, queued, running, succeeded, failed or cancelled
    arch: str = ""
    owner: str = ""
    priority: int = 0
    attempt: int = 0
    created_at: datetime
    changed_at: datetime  #: when it came into its state
    ended_at: datetime | None = None
    agent: str | None = None
    build: int | None = None
    source: str = ""
    version: str = ""
    suite: str = ""
    outcome: str = ""
    reason: str = ""
    trace: str | None = None  #: that its lines in all logs carry


class Move(Wire):
    """One transition of a job."""

    at: datetime
    name: str
    state: str  #: after it
    attempt: int
    agent: str | None = None
    reason: str = ""


class TaskShow(Task):
    """A job, what it went through, oldest first, and why it is where it is."""

    moves: tuple[Move, ...] = ()
    why: tuple[Reason, ...] = ()


class PackageLine(Wire):
    """A source package. With a suite asked for: the version that it sees, and the suite which that is from."""

    source: str
    version: str = ""
    suite: str = ""


class PackageBuild(Wire):
    """`version` has the +bN of a binNMU; `arches` by state."""

    id: int
    version: str
    target: str
    suite: str
    state: BuildState
    created_at: datetime
    scratch: bool = False
    arches: dict[str, BuildState] = Field(default_factory=dict)


class InSuite(Wire):
    suite: str
    version: str


class Package(Wire):
    """A source package: which suites hold it themselves, and its builds, newest first."""

    name: str
    suites: tuple[InSuite, ...] = ()
    builds: tuple[PackageBuild, ...] = ()


class FoundPackage(Wire):
    """A binary package, its source, and the suites that hold it."""

    name: str
    source: str
    suites: tuple[str, ...]


class Found(Wire):
    """What has the words in its name, the best first; `build`: the number that was asked for."""

    build: int | None = None
    sources: tuple[str, ...] = ()
    packages: tuple[FoundPackage, ...] = ()
    suites: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Change(Event):
    """An event, and whose will it was; "" where it was nobody's."""

    who: str = ""


class History(Wire):
    """Newest first. `older`: what `before` is for what came before these; null: nothing did."""

    changes: tuple[Change, ...] = ()
    older: int | None = None
