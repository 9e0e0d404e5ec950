"""What is known of a build while it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from deb_mock.buildtype import Parts
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from deb_mock.pack import Tree
from deb_mock.plugins.apply import Applied
from debcore.errors import LimitHit
from debcore.job import CheckReport, Output, Peaks
from debroot.cgroup import prove_enforcers


@dataclass(frozen=True)
class Subject:
    """What the control file says before anything is unpacked."""

    source: str
    version: str
    fields: Mapping[str, str]
    parts: Parts
    found: Dsc | Tree  #: a tree is still to be packed


class State:
    """What is known so far; filled while the build goes on, read whatever happened."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.subject: Subject | None = None
        self.plugins: Applied | None = None
        self.peaks = Peaks()
        self.begun_at = datetime.now(UTC)
        self.reproducible: bool | None = None
        self.signed: bool | None = None
        self.tmpfs: bool | None = None
        self.outputs: tuple[Output, ...] = ()  #: of a build that succeeded, whatever the checks say
        self.checks: tuple[CheckReport, ...] = ()
        self.enforced = prove_enforcers(order.limits)
        self.remaining = Deadline(order.timeout).remaining


class Deadline:
    """The end of the time that a whole run may take."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds until the deadline. Errors: LimitHit if it has passed."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise LimitHit("its time is over", hint="raise it with --set limits.time=8h")
        return left
