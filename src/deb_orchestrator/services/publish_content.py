"""What suites hold: packages are imported once, and each membership says from which event on and until which.

Callers verify signatures, build and uploader first; here stand only the rules of the archive itself:
one content under one name and version for ever, and no suite goes backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from deb_orchestrator.dispatch.events import NewEvent, append_events, last_event
from deb_orchestrator.services.publish_import import NewBinary, NewSource, import_binaries, import_sources
from deb_orchestrator.services.publish_members import (
    Holding,
    find_superseded_binaries,
    find_superseded_sources,
    list_names,
)
from deb_orchestrator.services.publish_settings import find_companions
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables_publish import (
    binary_package,
    source_package,
    suite,
    suite_binary,
    suite_source,
)
from debcore.aptrepo.paths import ARCHITECTURE, COMPONENT, SUITE_NAME, check_name
from debcore.errors import Failure


@dataclass(frozen=True, kw_only=True)
class NewSuite:
    """A suite to make. Empty texts are made from the name."""

    name: str
    codename: str = ""
    origin: str = "deb-orchestrator"
    label: str = ""
    description: str = ""
    components: tuple[str, ...] = ("main",)
    arches: tuple[str, ...] = ("amd64",)
    valid_s: int | None = None  #: seconds that apt accepts a publication; None: no end


def ensure_suite(conn: Connection, new: NewSuite) -> bool:
    """Make the suite unless it is there; True if it was made. Errors: Failure on a bad name."""
    check_name(new.name, SUITE_NAME, what="suite name")
    check_name(new.codename or new.name, SUITE_NAME, what="codename")
    for component in new.components:
        check_name(component, COMPONENT, what="component")
    for arch in new.arches:
        check_name(arch, ARCHITECTURE, what="architecture")
    if conn.execute(sa.select(suite.c.name).where(suite.c.name == new.name)).first():
        return False
    conn.execute(
        suite.insert().values(
            name=new.name, codename=new.codename or new.name, origin=new.origin, label=new.label or new.name,
            description=new.description, components=list(new.components), arches=list(new.arches),
            valid_s=new.valid_s, created_at=now(conn),
        )
    )  # fmt: skip
    return True


def add_to_suite(
    conn: Connection,
    suite_name: str,
    *,
    sources: Sequence[NewSource] = (),
    binaries: Sequence[NewBinary] = (),
    also: Sequence[int] = (),
    request: str | None = None,
    build: int | None = None,
) -> int:
    """Import packages and put them into the suite; return the event from which on it holds them.

    What they supersede leaves the suite at the same event: older versions of a source, of a binary of the same name
    and architecture, and binaries that older versions of the source built for the architectures that come now
    (architecture all too, once no older binary for a real architecture stays).
    Debug symbols go to the companion suite, if there is one.
    *also* are ids of binaries that were imported before.
    Adding what is there is no event: the number returned is then that of the last one.
    Call it last in the transaction, for it takes an event number.

    Errors: Failure if a file, source or binary of this name and version has another content, if the suite holds a
    newer version, or does not know the architecture or component.
    """
    row = conn.execute(sa.select(suite).where(suite.c.name == suite_name).with_for_update()).first()
    if row is None or "@" in suite_name:  # a snapshot never changes
        raise Failure(f"there is no suite {suite_name}", hint="deb-orchestrator suite list")
    debug = [binary for binary in binaries if binary.is_debug]
    if debug and (others := find_companions(conn, suite_name)[1:]):
        add_to_suite(conn, others[0], binaries=debug, request=request, build=build)
        binaries = [binary for binary in binaries if not binary.is_debug]
    for component in {source.component for source in sources} | {binary.component for binary in binaries}:
        if component not in row.components:
            raise Failure(f"suite {suite_name} has no component {component}")
    source_ids = import_sources(conn, sources)
    binary_ids = [*import_binaries(conn, binaries, row.arches), *also]
    return change_members(conn, suite_name, source_ids, binary_ids, request=request, build=build)


def change_members(
    conn: Connection,
    suite_name: str,
    source_ids: Sequence[int],
    binary_ids: Sequence[int],
    *,
    request: str | None = None,
    build: int | None = None,
    by: str = "",
) -> int:
    """Put packages that are imported into the suite, whose row the caller has locked; as `add_to_suite`."""
    held_sources, held_binaries = Holding(suite_source, suite_name), Holding(suite_binary, suite_name)
    new_sources = held_sources.missing(conn, source_ids)
    new_binaries = held_binaries.missing(conn, binary_ids)
    if not new_sources and not new_binaries:
        return last_event(conn)
    old_sources = find_superseded_sources(conn, held_sources, new_sources)
    old_binaries = find_superseded_binaries(conn, held_binaries, new_binaries)
    data = {"suite": suite_name, "sources": list_names(conn, source_package, new_sources)}
    data["binaries"] = list_names(conn, binary_package, new_binaries)
    n = append_events(conn, [NewEvent(type="suite.changed", data=data, request=request, build=build, by=by)])
    held_sources.change(conn, n, gone=old_sources, come=new_sources)
    held_binaries.change(conn, n, gone=old_binaries, come=new_binaries)
    return n
