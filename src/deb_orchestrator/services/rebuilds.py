"""binNMUs: sources that a suite has already, built anew against what it has now."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy import Connection, select

from deb_orchestrator.domain.source import Binary, Source, find_levels, find_order, parse_names
from deb_orchestrator.services.hub import Hub, NotFound, Principal
from deb_orchestrator.services.requests import need_packages
from deb_orchestrator.services.suite_view import load_view, select_content
from deb_orchestrator.services.targets import find_target
from deb_orchestrator.store.tables_domain import source, source_file
from deb_orchestrator.store.tables_publish import binary_package, source_package
from debcore.deb822 import parse_stanza
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.suites import Rebuild, RebuildPlan
from debcore.job import BinNmu

_NUMBER = re.compile(r"\+b(\d{1,3})$")


def ask_binnmu(hub: Hub, who: Principal, target_name: str, ask: model.BinNmuAsk) -> str:
    """The request that rebuilds the sources, each as the binNMU after its last one. Asking twice is one request.

    Errors: NotFound (target, or a source that its suite does not see); Failure if the hub lacks the source's files.
    """
    with hub.db.read() as db:
        target = find_target(db, target_name)
        packages = tuple(_find_package(db, target, name, ask) for name in sorted(set(ask.sources)))
    needed = model.PackagesNeeded(target=target.name, arches=ask.arches or target.arches, packages=packages)
    return need_packages(hub, who, needed, retry=True)


def plan_rebuild(hub: Hub, target_name: str, of: Sequence[str]) -> RebuildPlan:
    """What build-depends on packages of the sources *of*, as the target's suite sees it.

    Errors: NotFound; Failure if some of it needs each other.
    """
    wanted = sorted(set(of))
    with hub.db.read() as db:
        view = load_view(db, find_target(db, target_name).suite)
        p, b = source_package.c, binary_package.c
        made: dict[str, list[Binary]] = {}
        for row in db.execute(select_content(view, "binary", b.name, b.arch, b.source)):
            made.setdefault(row.source, []).append(Binary(row.name, "deb", (row.arch,)))
        if missing := [name for name in wanted if name not in made]:
            raise NotFound(f"{view.suite} has no packages of {missing[0]}", hint="name sources, not binary packages")
        names = {binary.name for name in wanted for binary in made[name]}
        sources = [
            Source(row.name, row.version, tuple(dict.fromkeys(made.get(row.name, ()))), _read_needs(row.stanza))
            for row in db.execute(select_content(view, "source", p.name, p.version, p.stanza).order_by(p.name))
            if row.name not in wanted
        ]
        depending = [one for one in sources if names.intersection(one.build_depends)]
        any_ = [one for one in depending if one.has_any]
        return RebuildPlan(
            of=tuple(wanted),
            levels=tuple(
                tuple(
                    Rebuild(source=one.name, version=one.version, binnmu=_find_number(db, one.name, one.version))
                    for one in (any_[i] for i in level)
                )
                for level in find_levels(find_order(any_))
            ),
            by_hand=tuple(one.name for one in depending if not one.has_any),
        )


def _read_needs(stanza: str) -> tuple[str, ...]:
    fields = parse_stanza(stanza)
    return parse_names(",".join(fields.get(f"Build-Depends{part}", "") for part in ("", "-Arch", "-Indep")))


def _find_package(db: Connection, target: model.Target, name: str, ask: model.BinNmuAsk) -> model.NeededPackage:
    p = source_package.c
    view = load_view(db, target.suite)
    query = select_content(view, "source", p.version, p.sha256).where(p.name == name)
    held = db.execute(query.order_by(p.version_key.desc()).limit(1)).one_or_none()
    if held is None:
        raise NotFound(f"{target.suite} has no source {name}", hint=f"deb-orchestrator suite content {target.suite}")
    files = (
        select(source_file)
        .join(source, source.c.id == source_file.c.source_id)
        .where(source.c.dsc_sha256 == held.sha256)
        .order_by(source_file.c.name)
    )
    listed = tuple(model.SourceFile(name=f.name, sha256=f.sha256, size=f.size) for f in db.execute(files))
    if not listed:
        raise Failure(f"the hub has no source files of {name} {held.version}", hint="build it from its .dsc once")
    return model.NeededPackage(
        source=name, version=held.version, dsc_sha256=held.sha256, files=listed,
        binnmu=_make_entry(_find_number(db, name, held.version), ask),
    )  # fmt: skip


def _find_number(db: Connection, name: str, version: str) -> int:
    """One more than the highest that any suite has of this version; all architectures get the same."""
    p = binary_package.c
    query = select(p.version).where(p.source == name, p.source_version == version, p.arch != "all")
    found = (_NUMBER.search(text) for text in db.execute(query).scalars())
    return 1 + max((int(match[1]) for match in found if match), default=0)


def _make_entry(number: int, ask: model.BinNmuAsk) -> BinNmu:
    fields = {"number": number, "reason": ask.reason}
    try:
        return BinNmu.model_validate(fields if ask.maintainer is None else {**fields, "maintainer": ask.maintainer})
    except ValidationError as error:
        first = error.errors()[0]
        raise Failure(f"the changelog entry's {first['loc'][0]}: {first['msg']}", hint="Name <you@host>") from error
