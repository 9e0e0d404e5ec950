"""Who may read and change which suite: roles, and private suites, which only those read who may.

A private suite's snapshots and its companion of debug symbols are private too. A file of the pool is open if a suite
that ever held it is. No public suite inherits from a private one: its users could not fetch what it lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.services.hub import Conflict, Denied, Hub, NotFound, Principal
from deb_orchestrator.services.people import hash_token
from deb_orchestrator.services.publish_settings import debug_suite
from deb_orchestrator.services.suite_view import find_heirs, find_order, load_parents
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_doors import apt_credential, suite_role
from deb_orchestrator.store.tables_publish import (
    binary_package,
    source_package,
    suite_binary,
    suite_setting,
    suite_source,
)
from debcore.aptrepo.paths import base_of
from debcore.hub.model import Suite

_DEBUG = debug_suite("")


@dataclass(frozen=True)
class Caller:
    """Who asks for a file of the archive: somebody with a token, or an apt with a *password*, or nobody."""

    who: Principal | None = None
    password: str = ""


def list_private(db: Connection) -> frozenset[str]:
    """Suites that were said to be private."""
    query = sa.select(suite_setting.c.suite, suite_setting.c.value).where(suite_setting.c.name == "private")
    return frozenset(row.suite for row in db.execute(query) if row.value)


def is_private(name: str, private: Iterable[str]) -> bool:
    """*private*: from `list_private`."""
    base = base_of(name)
    return base in private or (base.endswith(_DEBUG) and base.removesuffix(_DEBUG) in private)


def may_read(db: Connection, who: Principal, name: str) -> bool:
    """Builders and signers read every suite: they could make nothing for it otherwise."""
    if who.scope != "client" or not is_private(name, list_private(db)):
        return True
    return _has_role(db, who, name, ("reader", "manager"))


def check_read(db: Connection, who: Principal, name: str) -> None:
    """Errors: NotFound, as if there were no such suite."""
    if not may_read(db, who, name):
        raise NotFound(f"there is no suite {name[:64]}", hint="list them with: deb-orchestrator suite list")


def list_hidden(db: Connection, who: Principal) -> frozenset[str]:
    """Private suites that *who* may not read; `is_private` with them says whether a name is hidden."""
    if who.scope != "client" or not (private := list_private(db)):
        return frozenset()
    mine = (suite_role.c.principal == who.name) & suite_role.c.role.in_(("reader", "manager"))
    return private - set(db.execute(sa.select(suite_role.c.suite).where(mine)).scalars())


def check_manage(db: Connection, who: Principal, name: str) -> None:
    """Errors: NotFound, Denied."""
    check_read(db, who, name)
    if who.scope != "admin" and not (who.scope == "client" and _has_role(db, who, name, ("manager",))):
        raise Denied(
            f"{who.name} may not change suite {name[:64]}",
            hint=f"an admin lets you: deb-orchestrator access grant {name[:64]} {who.name} manager",
        )


def check_all(hub: Hub, who: Principal, names: Iterable[str]) -> None:
    """Errors: NotFound for the first of *names* that *who* may not read."""
    with hub.db.read() as db:
        for name in names:
            check_read(db, who, name)


def list_readable(hub: Hub, who: Principal, suites: Sequence[Suite]) -> list[Suite]:
    """Those of *suites* that *who* may read."""
    with hub.db.read() as db:
        return [one for one in suites if may_read(db, who, one.name)]


def check_parents(db: Connection, name: str, parents: Sequence[str]) -> None:
    """Errors: Conflict if a public suite would inherit from a private one."""
    private = list_private(db)
    if not is_private(name, private) and (closed := [one for one in parents if is_private(one, private)]):
        raise Conflict(
            f"suite {name} is public and would show what {', '.join(closed)} keeps private",
            hint=f"make it private too: deb-orchestrator repo set {name} --private",
        )


def check_privacy(db: Connection, name: str, private: bool) -> None:
    """Before *name*, and its companion with it, becomes private or public. Errors: Conflict, as `check_parents`."""
    both, parents = (name, debug_suite(name)), load_parents(db)
    if private:
        known = list_private(db) | {name}
        heirs = sorted({heir for one in both for heir in find_heirs(parents, one)})
        if public := [one for one in heirs if not is_private(one, known)]:
            raise Conflict(f"public suites inherit from {name}: {', '.join(public)}", hint="make them private first")
        return
    known = list_private(db) - {name}
    above = sorted({one for own in both for one in find_order(parents, own)})
    if closed := [one for one in above if is_private(one, known)]:
        raise Conflict(f"{name} inherits from private suites: {', '.join(closed)}", hint="make them public first")


def may_fetch(db: Connection, caller: Caller, path: str) -> bool:
    """True if *caller* may have the file at *path* of the archive, should there be one."""
    private = list_private(db)
    top, _, rest = path.partition("/")
    if not private or top == "keys":
        return True
    if top == "dists":
        name = rest.partition("/")[0]
        return not is_private(name, private) or _may_fetch_of(db, caller, {base_of(name)})
    if top != "pool" or "/" not in rest:
        return True  # there is no such file
    holders = {base_of(name) for name in find_holders(db, path)}
    return any(not is_private(name, private) for name in holders) or _may_fetch_of(db, caller, holders, pool=True)


def find_credential(db: Connection, password: str) -> str | None:
    """The suite that an apt with *password* may read, should it be one that is known and has not expired."""
    if not password:
        return None
    mine = sa.select(apt_credential.c.suite).where(
        apt_credential.c.secret_hash == hash_token(password), apt_credential.c.expires_at > now(db)
    )
    return db.execute(mine).scalar_one_or_none()


def _may_fetch_of(db: Connection, caller: Caller, names: set[str], *, pool: bool = False) -> bool:
    """Of one of *names*; of the *pool*, also what a suite inherits that the caller may read."""
    if caller.who is not None and (
        caller.who.scope != "client" or any(_has_role(db, caller.who, name, ("reader", "manager")) for name in names)
    ):
        return True
    suite = find_credential(db, caller.password)
    if suite is None:
        return False
    known = {suite, debug_suite(suite)}
    if pool:
        parents = load_parents(db)
        for one in tuple(known):
            known |= set(find_order(parents, one))
    return not known.isdisjoint(names)


def find_holders(db: Connection, path: str) -> set[str]:
    """Suites that hold or held the file of the pool."""
    member, package = suite_binary.c, binary_package.c
    query = sa.select(member.suite).join(binary_package, package.id == member.package_id).where(package.path == path)
    holders = set(db.execute(query.distinct()).scalars())
    if holders:
        return holders
    parts = path.split("/")
    source = sa.select(source_package.c.id, source_package.c.stanza).where(source_package.c.name == parts[-2])
    ids = [row.id for row in db.execute(source) if parts[-1] in row.stanza.split()]
    query = sa.select(suite_source.c.suite).where(suite_source.c.package_id.in_(ids))
    return set(db.execute(query.distinct()).scalars())


def _has_role(db: Connection, who: Principal, name: str, roles: Sequence[str]) -> bool:
    names = {base_of(name), base_of(name).removesuffix(_DEBUG)}
    mine = (suite_role.c.principal == who.name) & suite_role.c.suite.in_(names) & suite_role.c.role.in_(roles)
    return db.execute(sa.select(suite_role.c.role).where(mine).limit(1)).first() is not None
