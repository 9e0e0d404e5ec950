"""A hub's suites, as they are and as they were: places where packages are looked for.

`hub` is the one that is known here, `hub+URL` another, and `#SUITE` after either names one of its suites. The history
of a suite says up to which event it held a package, and the hub serves the suite as of there. Each is signed by the
suite's key, which the hub names: trust begins at its address.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from deb_mock.exact import Search, search_archive
from deb_mock.pack import fetch_dsc
from deb_mock.source import ArchiveSource
from debcore.aptrepo.paths import SUITE_NAME
from debcore.errors import ConfigError, Failure
from debcore.hub import model
from debcore.hub.credential import Credential, credential_path, find_credential, load_credential
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SnapshotAsk
from debcore.hub.suite_client import SuiteClient
from debcore.hub.suites import SuiteChange
from debcore.job import AptSource
from debroot.store import Store

log = logging.getLogger(__name__)

_PLACE = re.compile(r"hub(?:\+(?P<url>https?://[^#\s]+))?(?:#(?P<suite>[^#\s]+))?")
#: Suites of a hub, snapshots of a suite, and pages of its history that are looked at.
MAX_SUITES, MAX_SNAPSHOTS, MAX_PAGES = 32, 32, 100
PAGE = 1000


@dataclass(frozen=True)
class HubPlace:
    """Where to look. `url` None: the hub that is known here; `suite` None: all suites."""

    url: str | None
    suite: str | None

    def __str__(self) -> str:
        return f"hub{f' {self.url}' if self.url else ''}"


class _Client(SuiteClient, RepoClient):
    """What a search asks: histories and snapshots."""


def parse_place(text: str) -> HubPlace | None:
    """None: it is no hub but a snapshot archive. Errors: ConfigError on a suite's name that is none."""
    match = _PLACE.fullmatch(text)
    if match is None:
        return None
    if match["suite"] and not SUITE_NAME.fullmatch(match["suite"]):
        raise ConfigError("--snapshot", f"{match['suite'][:80]!r} is no suite of a hub")
    return HubPlace(match["url"] and match["url"].rstrip("/"), match["suite"])


def search_hub(search: Search, place: HubPlace) -> None:
    """Fetch what is missing from the suites as they are, then as they were when they held it. Failures are noted."""
    try:
        with _Client.of(_find_credential(place)) as client:
            suites = _find_suites(client, place)
            for suite in suites:
                search_archive(search, [_source(suite, suite.name, suite.apt_uri)], _origin(place, suite.name))
            for suite in suites if search.missing else ():
                wanted = {(exact.name, exact.version) for exact in search.missing}
                for source in find_snapshots(client, suite, wanted):
                    search_archive(search, [source], _origin(place, source.suites[0]))
                    if not search.missing:
                        return
    except Failure as error:
        search.said.append(f"{place}: {error}")


def fetch_hub_source(store: Store, place: HubPlace, source: ArchiveSource, target: Path) -> Path:
    """The .dsc of *source*, with its files, in *target*. Errors: Failure if no suite has it or had it."""
    said = []
    with _Client.of(_find_credential(place)) as client:
        for suite in _find_suites(client, place):
            now = _source(suite, suite.name, suite.apt_uri)
            for one in chain([now], find_snapshots(client, suite, {(source.name, source.version or "")})):
                try:
                    return fetch_dsc(store, source, (one,), target).path
                except Failure as error:
                    said.append(f"{one.suites[0]}: {error}")
    raise Failure(f"{place}: {'; '.join(said) or 'it has no suite'}")


def find_snapshots(client: _Client, suite: model.Suite, wanted: Collection[tuple[str, str]]) -> Iterator[AptSource]:
    """*suite* as of the last events at which it held what is *wanted* (name and version), newest first."""
    events = find_events(_read_history(client, suite.name), wanted)
    for event in sorted(events, reverse=True)[:MAX_SNAPSHOTS]:
        snapshot = client.make_live_snapshot(suite.name, SnapshotAsk(event=event))
        yield _source(suite, snapshot.name, snapshot.apt_uri)


def find_events(history: Iterable[SuiteChange], wanted: Collection[tuple[str, str]]) -> set[int]:
    """The last event before each of *wanted* (name and version) left, from a suite's changes, newest first. Pure."""
    left = set(wanted)
    events = set()
    for change in history:
        gone = {(moved.name, moved.old) for moved in change.packages} & left
        if gone:
            events.add(change.event - 1)
            left -= gone
        if not left:
            break
    return events


def _read_history(client: _Client, suite: str) -> Iterator[SuiteChange]:
    before: int | None = None
    for _ in range(MAX_PAGES):
        page = client.history(suite, before=before, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].event


def _find_suites(client: _Client, place: HubPlace) -> list[model.Suite]:
    """Those that have something published."""
    suites = [client.suite(place.suite)] if place.suite else client.suites()[:MAX_SUITES]
    return [suite for suite in suites if suite.generation and suite.key]


def _source(suite: model.Suite, name: str, uri: str) -> AptSource:
    return AptSource(
        uris=(uri,), suites=(name,), components=suite.components, signed_by=suite.key, types=("deb", "deb-src")
    )


def _origin(place: HubPlace, suite: str) -> str:
    return f"{place}, {suite} (signed)"


def _find_credential(place: HubPlace) -> Credential:
    """For a hub that is known here, its token and authority too."""
    given = find_credential(url=place.url)
    if given.token is None:
        with suppress(Failure):
            known = load_credential(credential_path())
            if known.url.rstrip("/") == given.url.rstrip("/"):
                return known
    return given
