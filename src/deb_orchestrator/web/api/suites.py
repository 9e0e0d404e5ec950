"""Suites: what they are, what they inherit and take, what they held and hold."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from deb_orchestrator.services import access, asking, queries, suite_content, suite_history, suite_packages, suites
from deb_orchestrator.web.api.context import Admin, Anybody, HubDep, SuiteManager, SuiteReader, base_url
from debcore.hub import model
from debcore.hub import suites as wire

router = APIRouter(prefix="/suites")

#: As PostgreSQL's bigint bounds it.
Event = Annotated[int, Query(ge=0, lt=2**63)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Source = Annotated[wire.RuleSource, Path()]


@router.get("")
def list_suites(hub: HubDep, who: Anybody, request: Request) -> list[model.Suite]:
    """Those that the caller may read."""
    return access.list_readable(hub, who, queries.list_suites(hub, base_url=base_url(request)))


@router.get("/{name}")
def get_suite(hub: HubDep, _who: SuiteReader, name: str, request: Request) -> model.Suite:
    return queries.get_suite(hub, name, base_url=base_url(request))


@router.put("/{name}")
def make_suite(hub: HubDep, who: Admin, name: model.Name, wanted: wire.SuiteAsk, request: Request) -> model.Suite:
    """Make the suite unless it is there; 409 if it has other settings."""
    suites.make_suite(hub, who, name, wanted)
    return queries.get_suite(hub, name, base_url=base_url(request))


@router.get("/{name}/parents")
def get_parents(hub: HubDep, _who: SuiteReader, name: str, at: Event | None = None) -> wire.Inheritance:
    """As of event *at*, or now."""
    return suites.get_inheritance(hub, name, at)


@router.put("/{name}/parents")
def set_parents(hub: HubDep, who: SuiteManager, name: str, ask: wire.ParentsAsk) -> wire.Inheritance:
    """Inherit from these, the first is asked first; 422 on a loop."""
    access.check_all(hub, who, ask.parents)
    suites.set_parents(hub, who, name, ask.parents)
    return suites.get_inheritance(hub, name)


@router.get("/{name}/archive")
def get_archive(hub: HubDep, _who: SuiteReader, name: str) -> wire.Archive:
    """The outside archive below the suite, and those of what it inherits from."""
    return asking.get_archive(hub, name)


@router.put("/{name}/archive")
def set_archive(hub: HubDep, who: Admin, name: str, archive: wire.Archive) -> wire.Archive:
    """With it, a solver decides before a builder is taken. Without sources none is known."""
    return asking.set_archive(hub, who, name, archive)


@router.get("/{name}/rules")
def list_rules(hub: HubDep, _who: SuiteReader, name: str, at: Event | None = None) -> list[wire.Rule]:
    """The package list that counts, inherited lines included."""
    return suites.list_rules(hub, name, at)


@router.put("/{name}/rules/{source}")
def set_rule(hub: HubDep, who: SuiteManager, name: str, source: Source, ask: wire.RuleAsk) -> list[wire.Rule]:
    """*source* `*`: all that no other rule names."""
    suites.set_rule(hub, who, name, source, ask)
    return suites.list_rules(hub, name)


@router.delete("/{name}/rules/{source}", status_code=204)
def remove_rule(hub: HubDep, who: SuiteManager, name: str, source: Source) -> Response:
    suites.set_rule(hub, who, name, source, None)
    return Response(status_code=204)


@router.get("/{name}/packages")
def get_content(
    hub: HubDep, _who: SuiteReader, name: str, at: Event | None = None,
    after: Annotated[str, Query(max_length=1000)] = "", offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=10000)] = 1000,
) -> wire.SuiteContent:  # fmt: skip
    """What the suite sees as of event *at*, inherited packages included. For a given event the pages never change.

    *after*: what the page before says. *offset* costs more the larger it is."""
    return suite_content.get_content(hub, name, at, after=after, offset=offset, limit=limit)


@router.post("/{name}/packages")
def add_package(hub: HubDep, who: SuiteManager, name: str, ask: wire.PackageAsk) -> dict[str, int]:
    """Put a source that the hub has, and its binaries, into the suite; `event` is the one from which on it has them."""
    return {"event": suite_packages.add_package(hub, who, name, ask)}


@router.delete("/{name}/packages/{source}")
def remove_package(hub: HubDep, who: SuiteManager, name: str, source: model.SourceName) -> dict[str, int]:
    """What the suite itself holds of a source goes; what it inherits stays."""
    return {"event": suite_packages.remove_package(hub, who, name, source)}


@router.post("/{name}/merge")
def merge_suite(hub: HubDep, who: SuiteManager, name: str, ask: wire.MergeAsk) -> dict[str, int]:
    """Take all that another suite itself holds, at one event or not at all."""
    return {"event": suite_packages.merge_suite(hub, who, name, ask.suite)}


@router.get("/{name}/history")
def list_history(
    hub: HubDep, _who: SuiteReader, name: str, before: Event | None = None, limit: Limit = 50
) -> list[wire.SuiteChange]:
    """The suite's own changes, newest first; *before* is an event."""
    return suite_history.list_history(hub, name, before=before, limit=limit)


@router.get("/{name}/diff")
def diff_suite(hub: HubDep, _who: SuiteReader, name: str, old: Event, new: Event | None = None) -> wire.SuiteDiff:
    """What changed for the suite's users from event *old* to event *new* (default: the last)."""
    return suite_history.diff_suite(hub, name, old, new)


@router.post("/{name}/revert")
def revert_suite(hub: HubDep, who: SuiteManager, name: str, ask: wire.RevertAsk) -> dict[str, int]:
    """The suite's own packages, parents and rules are again those of an event; `event` is the new one."""
    return {"event": suite_history.revert_suite(hub, who, name, ask.event)}
