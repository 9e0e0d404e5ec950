"""What all services of a hub share, and the refusals that the API turns into HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from deb_orchestrator.dispatch.classes import ClassBook
from deb_orchestrator.dispatch.wake import Wake, make_wake
from deb_orchestrator.domain.jobs import POLICY, Policy
from deb_orchestrator.services.metrics import Metrics
from deb_orchestrator.services.seen import Seen
from deb_orchestrator.store import once
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables_domain import audit
from debcore.blobs import BlobStore
from debcore.errors import Failure
from debcore.hub.model import Scope


@dataclass(frozen=True, kw_only=True)
class Hub:
    """One hub process. `max_blob` bounds each upload (bytes)."""

    db: Database
    blobs: BlobStore
    state: Path
    max_blob: int = 8 * 2**30
    policy: Policy = field(default=POLICY)
    metrics: Metrics = field(default_factory=Metrics)
    seen: Seen = field(default_factory=Seen)
    classes: ClassBook = field(default_factory=ClassBook)

    @cached_property
    def wake(self) -> Wake:
        """Hints of this hub and, on PostgreSQL, of the others."""
        return make_wake(self.db)


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who calls: `agent` is the row's id for agents and signers. `csrf` is set for browser sessions."""

    name: str
    scope: Scope
    agent: int | None = None
    csrf: str | None = None

    def may(self, scope: Scope) -> bool:
        """True if this principal has *scope*; an admin is also a client."""
        return self.scope == scope or (self.scope == "admin" and scope == "client")


class NotFound(Failure):
    """404."""


class Conflict(Failure):
    """409."""


class Denied(Failure):
    """403: known, but not allowed."""


class LoginNeeded(Failure):
    """401: not known."""


def log_audit(db: Connection, who: Principal, action: str, subject: str, data: Mapping[str, Any] | None = None) -> None:
    """Add to the audit log; *data* holds no secrets. Errors: AlreadyDone if the call was made before."""
    once.mark(db)
    db.execute(
        insert(audit).values(at=now(db), principal=who.name, action=action, subject=subject, data=dict(data or {}))
    )
