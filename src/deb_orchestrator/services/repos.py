"""What people decide about a suite as a repository."""

from __future__ import annotations

from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.services.access import check_privacy
from deb_orchestrator.services.hub import Hub, Principal, log_audit
from deb_orchestrator.services.publish_content import NewSuite, ensure_suite
from deb_orchestrator.services.publish_settings import debug_suite, find_settings, request_followers, store_settings
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.services.targets import enqueue_publish
from debcore.hub.repos import SuiteSettings


def get_settings(hub: Hub, name: str) -> SuiteSettings:
    """Errors: NotFound."""
    with hub.db.read() as db:
        find_suite_row(db, name)
        return find_settings(db, name)


def set_settings(hub: Hub, who: Principal, name: str, settings: SuiteSettings) -> SuiteSettings:
    """Keep them; a generation that has them is published by itself. Errors: NotFound."""
    with hub.db.write() as db:
        find_suite_row(db, name)
        before = find_settings(db, name)
        if settings.private != before.private:
            check_privacy(db, name, settings.private)
        store_settings(db, name, settings)
        if settings == before:
            return settings
        if settings.debug:
            _ensure_debug(db, name)
        if settings.valid_s != before.valid_s:
            enqueue_publish(db, name, force=True)
        request_followers(db, name, anew=True)
        said = settings.model_dump(mode="json")
        log_audit(db, who, "suite.set", name, said)
        append_events(db, [NewEvent(type="suite.set", data={"suite": name, "settings": said}, by=who.name)])
    return settings


def _ensure_debug(db: Connection, name: str) -> None:
    row = find_suite_row(db, name)
    new = NewSuite(
        name=debug_suite(name), origin=row.origin, description=f"Debug symbols of {name}",
        components=tuple(row.components), arches=tuple(row.arches), valid_s=row.valid_s,
    )  # fmt: skip
    if ensure_suite(db, new):
        enqueue_publish(db, new.name)
