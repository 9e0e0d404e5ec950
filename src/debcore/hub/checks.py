"""Wire models of checks: what a target or a person wants looked at, and what was found."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from debcore.job.model import CheckReport, FailureReport, Wire

#: As `deb-mock check --list` has them: a hub does not know them all.
CheckName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
#: LEVEL or CHECK:LEVEL, as deb-mock's --fail-on.
FailOn = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,31}:)?[a-z][a-z-]{0,31}$")]


class CheckPlan(Wire):
    """What is checked of each build of a target, once the hub has taken its packages.

    `gate`: they get into the suite only if all of it passes. `policy` is the text of a policy file of deb-mock; it
    wins over the builder's own.
    """

    names: tuple[CheckName, ...] = Field(min_length=1, max_length=32)
    fail_on: tuple[FailOn, ...] = Field(default=(), max_length=32)
    policy: Annotated[str, StringConstraints(max_length=65536)] | None = None
    gate: bool = False


class ChecksAsk(Wire):
    """The plan of a target; null: nothing is checked."""

    plan: CheckPlan | None = None


class CheckAsk(Wire):
    """Check a build now. `names` (): all that deb-mock has. `arches` (): all of the build.

    `gate`: try the gate of the build's target again, with what it asks for now; names, fail_on and policy do not count.
    """

    names: tuple[CheckName, ...] = Field(default=(), max_length=32)
    fail_on: tuple[FailOn, ...] = Field(default=(), max_length=32)
    policy: Annotated[str, StringConstraints(max_length=65536)] | None = None
    arches: tuple[str, ...] = Field(default=(), max_length=16)
    gate: bool = False


class CheckState(StrEnum):
    """A pure function of the order's job and result."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"  # the policy refuses what was found
    ERROR = "error"  # it could not be looked at, and there are no tries left
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in ("queued", "running")


class BuildCheck(Wire):
    """One order to check the packages of one architecture of a build."""

    id: int
    arch: str
    job: int
    state: CheckState
    gate: bool = False
    names: tuple[str, ...] = ()  #: (): all
    by: str = ""  #: who asked; `target NAME`: the target's plan
    reason: str = ""
    agent: str | None = None
    created_at: datetime
    ended_at: datetime | None = None
    failure: FailureReport | None = None
    reports: tuple[CheckReport, ...] = ()  #: without findings in lists of builds
