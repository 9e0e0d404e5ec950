"""What a suite holds, in the order of an index; kept from one publication to later ones, which read what moved since.

To list 70,000 packages takes longer than all else that a publication does. A kept list says as of which event it is, so
any of them will do, however old, and whoever kept it. Only a suite that inherits nothing and has no package list has
one: what others see may change without a change of what they hold.
"""

from __future__ import annotations

import hashlib
import json
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
import zstandard
from sqlalchemy import Connection

from deb_orchestrator.services.publish_blocks import SqlBlockCache
from deb_orchestrator.services.publish_members import chunks
from deb_orchestrator.services.suite_view import View, active, select_content
from deb_orchestrator.store.tables_publish import binary_package, source_package, suite_binary, suite_source

#: Name, id, component, architecture ("" of sources), and whether it is a udeb.
Member = tuple[str, int, str, str, bool]
#: Changes since a list was kept after which another is kept, and after which it serves no more.
_RENEW, _MOST = 200, 5000
_RECIPE = "members-1"
_TABLES = {"source": (suite_source, source_package), "binary": (suite_binary, binary_package)}


def list_members(conn: Connection, cache: SqlBlockCache, view: View, kind: str, event: int) -> list[Member]:
    """What the suite sees as of *event*, the last of this snapshot, by name, version and id; *kind*: source, binary."""
    if len(view.order) > 1 or view.has_rules or view.at is not None:
        return _read(conn, view, kind)
    key = hashlib.sha256(f"{kind} {view.suite}".encode()).hexdigest()
    kept = cache.find(_RECIPE, key)
    moved, members = _MOST, None
    if kept is not None:
        since, old = _unpack(kept)
        ids = _find_moved(conn, view, kind, since)
        if len(ids) < _MOST:
            moved, members = len(ids), _catch_up(conn, view, kind, old, ids)
    if members is None:
        moved, members = _MOST, _read(conn, view, kind)
    if moved >= _RENEW:
        cache.replace(_RECIPE, key, _pack(event, members))
    return members


def _read(conn: Connection, view: View, kind: str, *, names: list[str] | None = None) -> list[Member]:
    """All, or those of *names*. Sorted here: a database would carry whole rows about, and each has its own alphabet."""
    _, package = _TABLES[kind]
    c = package.c
    udeb = c.path.endswith(".udeb") if kind == "binary" else sa.false()
    arch = c.arch if kind == "binary" else sa.literal("")
    query = select_content(
        view, kind, c.name, c.version_key, c.id, c.component, arch.label("arch"), udeb.label("udeb"),
        few=names is not None,
    )  # fmt: skip
    if names is not None:
        query = query.where(c.id.in_(sa.select(c.id).where(c.name.in_(names))))
    rows = sorted(conn.execute(query).all(), key=itemgetter(0, 1, 2))
    return [(name, id_, component, arch, bool(udeb)) for name, _, id_, component, arch, udeb in rows]


def _find_moved(conn: Connection, view: View, kind: str, since: int) -> list[int]:
    """Ids of what came or left after the event, _MOST at most."""
    table, _ = _TABLES[kind]
    c = table.c
    ends = [
        sa.select(c.package_id).where(c.suite == view.suite, end > since) for end in (c.created_event, c.revoked_event)
    ]
    return list(conn.execute(sa.union(*ends).limit(_MOST)).scalars())


def _catch_up(conn: Connection, view: View, kind: str, old: list[Member], moved: list[int]) -> list[Member] | None:
    """*old* with what the names of *moved* have now. None if that is not as many as the suite holds."""
    table, package = _TABLES[kind]
    names = {
        name
        for chunk in chunks(moved)
        for name in conn.execute(sa.select(package.c.name).where(package.c.id.in_(chunk))).scalars()
    }
    members = [one for one in old if one[0] not in names] if names else old
    for chunk in chunks(sorted(names)):
        members += _read(conn, view, kind, names=chunk)
    members.sort(key=itemgetter(0))  # of one name all are old or all are new, in their order
    number = sa.select(sa.func.count()).select_from(table).where(table.c.suite == view.suite, active(table, None))
    return members if conn.execute(number).scalar_one() == len(members) else None


def _pack(event: int, members: list[Member]) -> bytes:
    columns: list[Any] = [list(column) for column in zip(*members, strict=True)]
    return zstandard.compress(json.dumps([event, *columns], separators=(",", ":")).encode(), 3)


def _unpack(data: bytes) -> tuple[int, list[Member]]:
    event, *columns = json.loads(zstandard.decompress(data))
    return event, list(zip(*columns, strict=True))
