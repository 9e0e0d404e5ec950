"""Wire models of what a hub keeps: retention, pins, and what a collection would remove or has removed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from debcore.hub.model import Name
from debcore.job.model import Sha256, Wire

Days = Annotated[int, Field(ge=0, le=36600)]


class Retention(Wire):
    """For how many days what nothing uses is kept."""

    automatic: bool = True  #: the hub collects by itself, every six hours
    scratch: Days = 14  #: what scratch builds made, from their end
    failed: Days = 30  #: sources and results of builds that no suite got, from their end
    superseded: Days = 90  #: packages that left their suites; a suite's states of these days can be had again
    logs: Days = 180  #: of all builds and checks, from their end
    indexes: Days = 3  #: of suites, after newer ones were published
    snapshots: Days | None = None  #: of suites, from when they were made; null: for ever


class PinFile(Wire):
    """A file by its content. `label` is for people, such as the package's name and version."""

    sha256: Sha256
    label: str = Field(default="", max_length=300)


class PinAsk(Wire):
    """What to keep: files, and packages `NAME` (as `suite` has it now) or `NAME=VERSION`, on all architectures."""

    note: str = Field(default="", max_length=1000)
    files: tuple[PinFile, ...] = Field(default=(), max_length=200_000)
    packages: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] = Field(default=(), max_length=10_000)
    suite: Name | None = None


class Pin(Wire):
    """`unknown`: files asked for that are none of the hub's, such as an image's packages from Debian's archive."""

    name: str
    note: str
    by: str
    created_at: datetime
    files: int
    size: int  #: bytes
    unknown: int = 0


class Collectable(Wire):
    """One blob: whether it would go, and why, or what keeps it."""

    sha256: str
    size: int  #: bytes
    goes: bool
    why: str
    names: tuple[str, ...] = ()  #: that builds, sources or suites give it


class Sum(Wire):
    files: int
    size: int  #: bytes


class CollectPlan(Wire):
    """What a collection would do now. `listed` ends at a bound; the sums do not."""

    goes: Sum
    stays: dict[str, Sum]  #: by what keeps them
    listed: tuple[Collectable, ...]
    left_off: int = 0


class Collected(Wire):
    """What a collection did. `marked`: goes with a collection at least an hour later, if nothing uses it then."""

    removed: Sum
    marked: Sum
    snapshots: tuple[str, ...] = ()  #: that were too old


class CollectJob(Wire):
    """A collection asked for. `result` comes with its end."""

    job: int
    state: str
    reason: str = ""
    result: Collected | None = None
