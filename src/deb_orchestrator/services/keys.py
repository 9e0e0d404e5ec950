"""Replacing a suite's key: a new one is added, both sign for as long as clients need, the old one is retired."""

from __future__ import annotations

from sqlalchemy import Connection

from deb_orchestrator.services.hub import Conflict, Hub, NotFound, Principal, log_audit
from deb_orchestrator.services.publish_keys import ask_key, list_keys, retire_key
from deb_orchestrator.services.publish_settings import request_publications
from deb_orchestrator.services.suites import find_suite_row
from deb_orchestrator.store.clock import as_datetime, now
from deb_orchestrator.store.tables_publish import suite_key
from debcore.hub.repos import SuiteKey


def get_keys(hub: Hub, name: str) -> list[SuiteKey]:
    """Errors: NotFound."""
    with hub.db.read() as db:
        find_suite_row(db, name)
        return _read(db, name)


def add_key(hub: Hub, who: Principal, name: str) -> list[SuiteKey]:
    """Have the signer make another key, by which all is signed too. Errors: NotFound; Conflict if one is under way."""
    with hub.db.write() as db:
        find_suite_row(db, name, lock=True)
        known = list_keys(db, name)
        if not any(key.state == "signing" for key in known):
            raise Conflict(f"suite {name} has no key yet", hint="its first publication makes one")
        if any(key.state == "asked" for key in known):
            raise Conflict(f"suite {name} is to get a new key already", hint="wait for the signer")
        number = known[-1].number + 1
        values = {"suite": name, "number": number, "state": "asked", "created_at": now(db)}
        db.execute(suite_key.insert().values(values))
        ask_key(db, name, number)
        log_audit(db, who, "suite.key.add", name, {"number": number})
        return _read(db, name)


def remove_key(hub: Hub, who: Principal, name: str, fingerprint: str) -> list[SuiteKey]:
    """It signs no more; all is signed anew by the others.

    Errors: NotFound; Conflict if no other key signs.
    """
    with hub.db.write() as db:
        find_suite_row(db, name, lock=True)
        signing = [key.fingerprint for key in list_keys(db, name, state="signing")]
        if fingerprint not in signing:
            raise NotFound(
                f"no key {fingerprint[:80]} signs suite {name}", hint="deb-orchestrator repo keys shows them"
            )
        if len(signing) == 1:
            raise Conflict("it is the only key that signs", hint="deb-orchestrator repo add-key makes another first")
        request_publications(db, name)
        log_audit(db, who, "suite.key.retire", name, {"fingerprint": fingerprint})
        retire_key(db, name, fingerprint)
        return _read(db, name)


def _read(db: Connection, name: str) -> list[SuiteKey]:
    return [
        SuiteKey(
            number=row.number, state=row.state, fingerprint=row.fingerprint or "",
            created_at=as_datetime(row.created_at),
            retired_at=as_datetime(row.retired_at) if row.retired_at is not None else None,
        )
        for row in list_keys(db, name)
    ]  # fmt: skip
