"""Wire models of suites as repositories: what their owners choose, and states of them that stay."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from debcore.job.model import Wire


class SuiteSettings(Wire):
    """What a suite's owner chooses."""

    valid_s: int | None = Field(default=None, ge=3600, le=10 * 366 * 86400)  #: apt refuses what is older (seconds)
    contents: bool = True  #: Contents, for apt-file
    translation: bool = True  #: Translation-en
    xz: bool = False  #: Packages and Sources also in xz
    debug: bool = False  #: debug symbols go to the suite NAME-debug
    private: bool = False  #: read only by those who may


class SnapshotAsk(Wire):
    """Which state of a suite: as of an event or of a moment; neither: as it is now."""

    event: int | None = Field(default=None, ge=0, lt=2**63)
    at: datetime | None = None


class Snapshot(Wire):
    """A suite as it was at `event`, as a repository that stays as it is and has no Valid-Until."""

    name: str  #: NAME@EVENT, what apt calls the suite
    suite: str
    event: int
    at: datetime  #: of that event
    live: bool  #: False: its signature is awaited
    apt_uri: str


class SuiteKey(Wire):
    """A key by which a suite is signed."""

    number: int
    state: Literal["asked", "signing", "retired"]
    fingerprint: str = ""
    created_at: datetime
    retired_at: datetime | None = None
