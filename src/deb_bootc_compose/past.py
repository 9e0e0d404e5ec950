"""Archives as they were at a time: an id goes into URIs that have a place for it, and Debian's mirrors become its
snapshot service.

An id is a time in UTC, such as 20261120T000000Z; the service answers with the state that it saw last before. What it
serves has expired by its Valid-Until, so that is not asked for; signatures are checked as ever.
Source: sources.list(5) of apt 3 (Snapshot), the interface of Debian's snapshot service.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deb_bootc_compose.manifest import Manifest
from deb_bootc_compose.manifest.model import Source
from debcore.errors import CommandFailed, ConfigError, Failure
from debcore.job import AptSource

#: Where an id goes in a URI, as apt has it; and the name of the archive (debian, debian-security) in a service's.
PLACE = "@SNAPSHOTID@"
ARCHIVE = "@ARCHIVE@"
#: Below which the project's own mirrors are.
DEBIAN = ".debian.org"
#: What the host's mirror is called where sources have names.
HOST = "debian"
#: The environment variable that names another service than the manifest's `snapshot-service`.
SERVICE = "DEBOOTC_SNAPSHOTS"
#: What apt says of a state that is not there.
NOT_THERE = ("404", "File not found", "does not have a Release file")


def chosen(source: Source, manifest: Manifest) -> str:
    """The id of *source*: its own, or that of the manifest where it can be had; "" for the archive as it is."""
    if source.snapshot != "":
        return source.snapshot or ""
    whole = all(PLACE in uri or archive_of(uri, source.suites) for uri in source.uris)
    return (manifest.compose.snapshot or "") if whole else ""


def described(manifest: Manifest) -> dict[str, Any]:
    """Parameters of the lock: nothing where nothing is of a past time, so that identities stay what they were."""
    compose = manifest.compose
    found = {source.name: at for source in compose.sources if (at := chosen(source, manifest))}
    if not compose.sources and compose.snapshot:
        found = {HOST: compose.snapshot}
    return {"snapshots": found, "snapshot-service": compose.snapshot_service} if found else {}


def check(manifest: Manifest) -> None:
    """Nothing that is meant to be of a past time is taken as it is now.

    Errors: ConfigError at the line of a source that has an id and no place for it, or the reverse.
    """
    compose = manifest.compose
    if compose.hub.event != "latest" and (compose.builds or compose.hub.target is None):
        where = manifest.origins.get("hub.event", str(manifest.path))
        why = "and `builds` are of later ones" if compose.builds else "and no `target` names a suite"
        hint = "leave out `builds`" if compose.builds else "hub: {target: NAME, event: N}"
        raise ConfigError(where, f"the hub is asked for event {compose.hub.event}, {why}", hint=hint)
    if _wants_service(manifest) and not service_of({"snapshot-service": compose.snapshot_service}):
        where = manifest.origins.get("snapshot", str(manifest.path))
        hint = f'snapshot-service: "URI with {ARCHIVE} and {PLACE}", or export {SERVICE}=URI'
        raise ConfigError(where, "no service is named that keeps what Debian's archive was", hint=hint)
    for index, source in enumerate(compose.sources):
        at = chosen(source, manifest)
        is_suite = any(suite.partition("/")[0].startswith(compose.suite) for suite in source.suites)
        meant = bool(source.snapshot) or (source.snapshot == "" and bool(compose.snapshot) and is_suite)
        for number, uri in enumerate(source.uris):
            where = manifest.origins.get(f"sources.{index}.uris.{number}", str(manifest.path))
            if PLACE in uri and not at:
                hint = 'say `snapshot: "20261120T000000Z"`, of the source or of all'
                raise ConfigError(
                    where, f"{source.name}: {uri} has a place for a snapshot, and none is named", hint=hint
                )
            if meant and PLACE not in uri and not archive_of(uri, source.suites):
                hint = f"write {PLACE} where its addresses have the time, or `snapshot: null` to take it as it is"
                raise ConfigError(where, f"{source.name}: {uri} has no place for a snapshot", hint=hint)


def _wants_service(manifest: Manifest) -> bool:
    """Whether a mirror of Debian's is read as it was: others have a place for the time in their own addresses."""
    sources = manifest.compose.sources
    if not sources:
        return bool(manifest.compose.snapshot)
    return any(
        archive_of(uri, one.suites) for one in sources if chosen(one, manifest) for uri in one.uris if PLACE not in uri
    )


def turn(found: AptSource, at: str, service: str) -> AptSource:
    """*found* as it was at *at*; "": as it is."""
    if not at:
        return found
    uris = tuple(_turn(uri, found.suites, at, service) for uri in found.uris)
    for parts in map(urlsplit, uris):
        if parts.scheme in ("file", "copy") and not Path(unquote(parts.path)).is_dir():
            raise _missing(at, f"{parts.path} is no directory")
    return found.model_copy(update={"uris": uris, "check_valid_until": False})


def turn_host(found: Sequence[AptSource], at: str, service: str) -> tuple[AptSource, ...]:
    """The host's sources, whatever mirror they name."""
    if not at:
        return tuple(found)
    return tuple(
        one.model_copy(update={"uris": (_at(service, _of_suites(one.suites), at),), "check_valid_until": False})
        for one in found
    )


def service_of(params: Mapping[str, Any]) -> str:
    """The pattern of the snapshot service, "" for none. Errors: Failure if the environment's has no place for an id."""
    said = os.environ.get(SERVICE, "").strip()
    if said and PLACE not in said:
        raise Failure(f"{SERVICE} is {said!r}", hint=f"it is a URI with {PLACE} in it, and {ARCHIVE} if it has several")
    return said or str(params.get("snapshot-service") or "")


def _turn(uri: str, suites: Sequence[str], at: str, service: str) -> str:
    if PLACE in uri:
        return uri.replace(PLACE, at)
    archive = archive_of(uri, suites)
    return _at(service, archive, at) if archive else uri


def _at(service: str, archive: str, at: str) -> str:
    return service.replace(ARCHIVE, archive).replace(PLACE, at)


def archive_of(uri: str, suites: Iterable[str]) -> str:
    """The name that the snapshot service has for the archive of *uri*, if it is Debian's own; else ""."""
    parts = urlsplit(uri)
    host, last = parts.hostname or "", parts.path.strip("/").rpartition("/")[2]
    if not host.endswith(DEBIAN) or host.startswith("snapshot."):
        return ""
    return last if last.startswith("debian") else _of_suites(suites)


def _of_suites(suites: Iterable[str]) -> str:
    return "debian-security" if any(suite.partition("/")[0].endswith("-security") for suite in suites) else "debian"


@contextmanager
def explaining(params: Mapping[str, Any]) -> Iterator[None]:
    """Errors: Failure naming the snapshots where apt finds none."""
    try:
        yield
    except CommandFailed as error:
        named = sorted(set(params.get("snapshots", {}).values()))
        if not named or not any(words in error.output for words in NOT_THERE):
            raise
        lines = [line.strip() for line in error.output.splitlines() if any(words in line for words in NOT_THERE)]
        raise _missing(" or ".join(named), lines[0]) from error


def _missing(at: str, why: str) -> Failure:
    hint = "name a time at which the archive was kept, or another service: `snapshot-service`, or export"
    return Failure(f"there is no snapshot {at}: {why}", hint=f"{hint} {SERVICE}=URI")
