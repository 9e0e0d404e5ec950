"""Where each .deb of an image comes from: the build of the hub that made it, or the archive's signed Release file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.lock import Lock, LockedPackage
from debcore.hub.model import Build
from debcore.path import write_file

NAME = "hub-builds.json"  #: in logs/, written when the lock is made
PAGES = 20  #: of a source's builds that are looked through
PAGE = 50


class Builds(Protocol):
    """What is asked of a hub."""

    def builds(self, *, source: str | None = None, before: int | None = None, limit: int = 50) -> list[Build]: ...

    def build(self, id_: int) -> Build: ...


def find_records(hub: Builds, packages: Iterable[LockedPackage], *, url: str | None) -> dict[str, dict[str, Any]]:
    """SHA-256 of a .deb → the build that made exactly these bytes. *url*: the hub's, if it has a lasting one."""
    wanted: dict[str, set[str]] = {}
    for package in packages:
        wanted.setdefault(package.source or package.name, set()).add(package.sha256)
    found: dict[str, dict[str, Any]] = {}
    for source, hashes in sorted(wanted.items()):
        for record_of in _records(hub, source, url):
            found |= {sha256: record for sha256, record in record_of.items() if sha256 in hashes - found.keys()}
            if hashes <= found.keys():
                break
    return found


def _records(hub: Builds, source: str, url: str | None) -> Iterator[dict[str, dict[str, Any]]]:
    """Of each build of *source*, the newest first: its .debs by SHA-256."""
    before: int | None = None
    for _ in range(PAGES):
        page = hub.builds(source=source, before=before, limit=PAGE)
        for listed in page:
            yield dict(records_of(hub.build(listed.id), url=url))
        if len(page) < PAGE:
            return
        before = page[-1].id


def records_of(build: Build, *, url: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pure."""
    for arch in build.arches:
        info = next((one for one in arch.artifacts if one.kind == "buildinfo"), None)
        record = {
            "build": build.id, "url": f"{url.rstrip('/')}/builds/{build.id}" if url else None, "request": build.request,
            "target": build.target, "suite": build.suite, "source": build.source, "version": build.version,
            "dsc_sha256": build.dsc_sha256, "arch": arch.arch, "job": arch.job, "attempt": arch.attempt,
            "buildinfo": {"name": info.name, "sha256": info.sha256} if info else None,
            "lock_sha256": arch.lock_sha256, "reproducible": arch.reproducible,
        }  # fmt: skip
        for artifact in arch.artifacts:
            if artifact.kind in ("deb", "udeb"):
                yield artifact.sha256, record


def write_records(directory: ComposeDirectory, records: Mapping[str, Mapping[str, Any]]) -> None:
    write_file(directory.logs / NAME, json.dumps(records, indent=1, sort_keys=True) + "\n")


def load_records(path: Path) -> dict[str, dict[str, Any]]:
    """{} if there are none, or they are damaged: then it is not known who built what."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return (
        {str(key): value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}
    )


def origin_of(
    package: LockedPackage, lock: Lock, *, stage: str, records: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """One package's line of builds.json."""
    if stage == "hub":
        return {"origin": "hub", "build": records.get(package.sha256)}
    if stage == "derived":
        return {"origin": "base"}
    return {"origin": "archive", "uri": _without_user(package.uri), "releases": releases_of(package, lock.releases)}


def _without_user(uri: str | None) -> str | None:
    """Credentials of a private archive stay in the lock."""
    if uri is None:
        return None
    scheme, found, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}"


def releases_of(package: LockedPackage, releases: Mapping[str, str]) -> dict[str, str]:
    """The Release files, with their SHA-256, of the archive that it came from: one of them vouches for its hash.

    apt's name of a Release file is its address with `_` for `/`. Source: apt's /var/lib/apt/lists.
    """
    uri = (package.uri or "").replace("%2b", "+").replace("%7e", "~").replace("%3a", ":")
    base, found, _ = uri.partition(f"/{package.filename}")
    if not found or not package.filename:
        return {}
    place = f"{base.partition('://')[2].rpartition('@')[2].replace('/', '_')}_dists_"
    return {name: digest for name, digest in releases.items() if name.startswith(place)}


def origins(
    lock: Lock, key: str, records: Mapping[str, Mapping[str, Any]]
) -> list[tuple[LockedPackage, dict[str, Any]]]:
    """Every package of a variant with where it is from, sorted."""
    variant = lock.variants[key]
    stages: dict[tuple[str, str, str, str], str] = {}
    for stage, packages in variant.stages.items():
        stages |= {package.key: stage for package in packages}
    return [
        (package, origin_of(package, lock, stage=stages[package.key], records=records))
        for package in sorted(variant.installed.values(), key=lambda package: package.key)
    ]
