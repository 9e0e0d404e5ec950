"""Reading the audit log. `services.hub.log_audit` writes it; the database itself refuses to change or drop a line."""

from __future__ import annotations

from sqlalchemy import select

from deb_orchestrator.services.hub import Hub
from deb_orchestrator.store.clock import as_datetime
from deb_orchestrator.store.tables_domain import audit
from debcore.hub.doors import AuditEntry


def list_audit(
    hub: Hub, *, principal: str | None = None, action: str | None = None, subject: str | None = None,
    before: int | None = None, limit: int = 100,
) -> list[AuditEntry]:  # fmt: skip
    """Newest first. *action*: whole, or its beginning with a dot at the end; *before* is an entry's id."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if principal is not None:
        query = query.where(audit.c.principal == principal)
    if action is not None and action.endswith("."):
        query = query.where(audit.c.action.startswith(action, autoescape=True))
    elif action is not None:
        query = query.where(audit.c.action == action)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if before is not None:
        query = query.where(audit.c.id < before)
    with hub.db.read() as db:
        return [
            AuditEntry(
                id=row.id, at=as_datetime(row.at), principal=row.principal, action=row.action, subject=row.subject,
                data=row.data,
            )
            for row in db.execute(query)
        ]  # fmt: skip
