"""Files of a snapshot archive by name and version: the machine interface of Debian's snapshot service.

It names files by SHA-1 and signs nothing, so what comes this way is trusted by its address alone; the report says how
many packages did. Every answer is hostile: sizes are bounded, and a .deb must be the one that was asked for.
Source: the file API of the project snapshot (salsa, snapshot-team).
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deb_mock.exact import Exact, Search
from debcore.errors import Failure
from debroot.bootstrap import core_tools
from debroot.layers import describe_deb
from debroot.resolve import download
from debroot.store import Store

log = logging.getLogger(__name__)

#: Bytes of an answer in JSON. One with a hundred files has 30 kB.
MAX_ANSWER = 4 * 1024 * 1024
SHA1 = re.compile(r"[0-9a-f]{40}")


def search_files(search: Search, snapshot: str) -> None:
    """Fetch what is missing from *snapshot*, one by one."""
    for exact in search.missing:
        try:
            _fetch_deb(search, snapshot, exact)
        except Failure as error:
            search.said.append(f"{snapshot}: {error}")


def _fetch_deb(search: Search, snapshot: str, exact: Exact) -> None:
    version = quote(exact.version, safe="")
    answer = _ask(search.store, f"{snapshot.rstrip('/')}/mr/binary/{exact.name}/{version}/binfiles?fileinfo=1")
    archs = (exact.arch,) if exact.arch else (search.native, "all")
    for digest in parse_binfiles(answer, archs=archs):
        with search.store.workplace("incoming") as place:
            path = _get(search.store, f"{snapshot.rstrip('/')}/file/{digest}", place / "incoming", digest)
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            package = describe_deb(path, sha256)
            if not exact.fits(package, search.native):
                raise Failure(f"{exact}: the file {digest} is {package.name} {package.version} {package.arch}")
            search.store.add_deb(path, sha256=sha256)
        search.offer([package], f"{snapshot} (by address, no signed index)")
        return
    raise Failure(f"has no {exact}")


def fetch_source_files(store: Store, snapshot: str, name: str, version: str, target: Path) -> list[str]:
    """The files of a source package into *target*; their names. Errors: Failure if it has no such source."""
    asked = f"{snapshot.rstrip('/')}/mr/package/{name}/{quote(version, safe='')}/srcfiles?fileinfo=1"
    names = parse_srcfiles(_ask(store, asked))
    with store.workplace("incoming") as place:
        for file, digest in names.items():
            path = _get(store, f"{snapshot.rstrip('/')}/file/{digest}", place / "incoming", digest)
            (target / file).write_bytes(path.read_bytes())
    return list(names)


def parse_binfiles(raw: bytes, *, archs: Sequence[str]) -> list[str]:
    """SHA-1 of the files for *archs*. Errors: Failure on what is no such answer."""
    try:
        result = json.loads(raw)["result"]
        found = [str(entry["hash"]) for entry in result if entry["architecture"] in archs]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Failure(f"answered with something that is no list of files: {error}") from error
    return [digest for digest in found if SHA1.fullmatch(digest)]


def parse_srcfiles(raw: bytes) -> Mapping[str, str]:
    """File name → SHA-1. Errors: Failure."""
    from debcore.path import check_file_name

    found: dict[str, str] = {}
    try:
        document = json.loads(raw)
        for entry in document["result"]:
            digest = str(entry["hash"])
            info: Any = document["fileinfo"][digest]
            name = check_file_name(str(info[0]["name"]), where="the snapshot")
            if SHA1.fullmatch(digest):
                found[name] = digest
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Failure(f"answered with something that is no list of source files: {error}") from error
    return found


def _ask(store: Store, uri: str) -> bytes:
    with store.workplace("incoming") as place:
        said = download(store, {"answer": (uri, "")}, place / "incoming", tools=core_tools(store))
        path = place / "incoming" / "answer"
        if path.is_symlink() or not path.is_file():
            raise Failure(f"{uri}: {said or 'no answer'}")
        with path.open("rb") as file:
            raw = file.read(MAX_ANSWER + 1)
    if len(raw) > MAX_ANSWER:
        raise Failure(f"{uri} answered with more than {MAX_ANSWER} bytes")
    return raw


def _get(store: Store, uri: str, directory: Path, digest: str) -> Path:
    said = download(store, {digest: (uri, "")}, directory, tools=core_tools(store))
    path = directory / digest
    if path.is_symlink() or not path.is_file():
        raise Failure(f"{uri}: {said or 'no answer'}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha1").hexdigest()
    if found != digest:
        raise Failure(f"{uri}: the content has SHA-1 {found}")
    return path
