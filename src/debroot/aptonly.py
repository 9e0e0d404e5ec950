"""The `apt-only` network: a sandbox reaches its suites as they were last verified, and nothing else.

Index files are those that apt's own verification accepted, so the apt inside can check the signatures again. A .deb is
served if one of these indexes lists it, fetched by its SHA-256 into the pool first. All else is refused and kept.
"""

from __future__ import annotations

import logging
import mmap
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from debcore.errors import Failure
from debcore.job import AptSource
from debcore.version import compare_versions, parse_version
from debroot.aptconf import make_pins, make_sources
from debroot.debfile import parse_fields
from debroot.door import ADDRESS, Door, Refusal
from debroot.indexes import Indexes
from debroot.localrepo import make_repository
from debroot.resolve import fetch
from debroot.sources import list_name
from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

#: Where the archive is, seen from inside.
URI = f"http://{ADDRESS[0]}:{ADDRESS[1]}"
#: Name of the suite of new packages.
NEW = "new"
#: Refusals that are kept; more are only counted.
MAX_REFUSED = 200

#: Settings of the apt inside. Indexes are served as apt keeps them: by name and not compressed.
APT_CONF = """Acquire::By-Hash "no";
Acquire::Languages "none";
Acquire::Retries "0";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Dpkg::Use-Pty "false";
"""

#: apt asks for these first, and takes the file itself when it gets none of them.
COMPRESSED = (".xz", ".gz", ".bz2", ".lzma", ".lz4", ".zst")


@dataclass(frozen=True)
class Suite:
    """One (source, suite) pair: its verified files by name, and the text of its Packages files."""

    uri: str
    files: Mapping[str, int]  #: path below the address → descriptor
    packages: tuple[mmap.mmap, ...]


@dataclass(frozen=True)
class Made:
    """A binary package of the suites, and the version of the source that it was built from."""

    package: Package
    source_version: str


class AptOnly:
    """What one target's sandboxes may fetch. `Sandbox.door` is its `door`."""

    def __init__(self, store: Store, tools: Layer, sources: Sequence[AptSource], suites: Mapping[str, Suite]) -> None:
        self.refused: list[str] = []  #: requests that were refused, in order
        self.door = Door(self.find, self._refuse)
        self._store, self._tools, self._suites, self._sources = store, tools, suites, tuple(sources)
        self._new: dict[str, Path] = {}
        self._lock = threading.Lock()

    def files(self, *, new: bool = True) -> dict[str, bytes]:
        """What the apt inside needs, by path below its root; *new*: with the suite of new packages, before all others.

        Pins go by suite, because all hosts are one in there.
        """
        own = AptSource(uris=(f"{URI}/{NEW}",), suites=(NEW,), trusted=True)
        rest = [s.model_copy(update={"uris": (f"{URI}/{n}",)}) for n, s in enumerate(self._sources)]
        pins = make_pins((source.pin, [f"release n={suite}" for suite in source.suites]) for source in self._sources)
        texts = {
            "etc/apt/apt.conf.d/50debootc": APT_CONF,
            "etc/apt/preferences.d/debootc": pins,
            "etc/apt/sources.list.d/debootc.sources": make_sources([own, *rest] if new and self._new else rest),
        }
        return {path: text.encode() for path, text in texts.items()}

    def offer(self, repository: Path) -> None:
        """Serve the files of *repository* (debroot.localrepo) as the suite of new packages."""
        for path in repository.rglob("*"):
            if path.is_file():
                self._new[f"/{NEW}/{path.relative_to(repository)}"] = path

    def find(self, path: str) -> IO[bytes]:
        """The file at *path*. Errors: Refusal."""
        plain = unquote(path)
        if not plain.isascii() or not plain.isprintable():
            raise Refusal("no path of an archive", 400)
        if plain in self._new:
            return self._new[plain].open("rb")
        name = plain.removeprefix("/").partition("/")[0]
        for key, suite in self._suites.items():
            if plain in suite.files:
                return _reopen(suite.files[plain])
            if key.partition(" ")[0] == name and (package := find_package(suite, plain.removeprefix(f"/{name}/"))):
                return self._open_deb(package)
        raise Refusal("the suite's indexes do not list it", 404, quiet=self._is_expected(plain))

    def find_newest(self, name: str) -> Package | None:
        """The newest binary package *name* of the suites."""
        found = [package for suite in self._suites.values() for package in find_named(suite, name)]
        return max(found, key=lambda package: parse_version(package.version), default=None)

    def find_made(self, source: str) -> list[Made]:
        """What the suites have of *source*, the newest of each name and architecture, sorted by name."""
        newest: dict[tuple[str, str], Made] = {}
        for suite in self._suites.values():
            for made in find_built(suite, source):
                key = made.package.name, made.package.arch
                known = newest.get(key)
                if known is None or compare_versions(known.package.version, made.package.version) < 0:
                    newest[key] = made
        return [newest[key] for key in sorted(newest)]

    def _is_expected(self, path: str) -> bool:
        """Whether apt asks for *path* on its way to a file that is there."""
        served = {*self._new, *(name for suite in self._suites.values() for name in suite.files)}
        for signed in ("/InRelease", "/Release.gpg"):
            if path.endswith(signed):
                return path.removesuffix(signed) + "/Release" in served
        return any(path.removesuffix(end) in served for end in COMPRESSED)

    def _open_deb(self, package: Package) -> IO[bytes]:
        path = self._store.pool_path(package.sha256)
        if not path.exists():
            try:
                fetch(self._store, [package], tools=self._tools)
            except Failure as error:
                raise Refusal(str(error), 502) from error
        return path.open("rb")

    def _refuse(self, what: str) -> None:
        log.debug("apt-only: refused %s", what)
        with self._lock:
            if len(self.refused) < MAX_REFUSED:
                self.refused.append(what)


def find_package(suite: Suite, filename: str) -> Package | None:
    """The stanza of *suite* with this Filename."""
    wanted = b"\nFilename: " + filename.encode() + b"\n"
    for text in suite.packages:
        if (at := text.find(wanted)) >= 0:
            return _parse_package(suite, text, at)
    return None


def find_named(suite: Suite, name: str) -> Iterator[Package]:
    """Every stanza of *suite* for the package *name*."""
    for text in suite.packages:
        for at in _find_lines(text, f"Package: {name}\n".encode()):
            if (package := _parse_package(suite, text, at)) is not None:
                yield package


def find_built(suite: Suite, source: str) -> Iterator[Made]:
    """Every package of *suite* that was built from *source*: its Source says so, or its name where it has none."""
    for line in (f"Source: {source}\n", f"Source: {source} (", f"Package: {source}\n"):
        for text in suite.packages:
            for at in _find_lines(text, line.encode()):
                if (made := _parse_made(suite, text, at)) is not None and made[0] == source:
                    yield made[1]


def _find_lines(text: mmap.mmap, begin: bytes) -> Iterator[int]:
    """Where lines of *text* begin so."""
    if text[: len(begin)] == begin:
        yield 0
    at = text.find(b"\n" + begin)
    while at >= 0:
        yield at + 1
        at = text.find(b"\n" + begin, at + 1)


def _parse_made(suite: Suite, text: mmap.mmap, at: int) -> tuple[str, Made] | None:
    """The source of the stanza around *at*, and what was built."""
    fields = _fields_around(text, at)
    package = _make_package(suite, fields)
    if package is None:
        return None
    name, _, version = fields.get("source", package.name).partition(" ")
    return name, Made(package, version.strip("() ") or package.version)


def _parse_package(suite: Suite, text: mmap.mmap, at: int) -> Package | None:
    """The package of the stanza around *at*; None if it lacks what a fetch needs."""
    return _make_package(suite, _fields_around(text, at))


def _fields_around(text: mmap.mmap, at: int) -> Mapping[str, str]:
    start, end = text.rfind(b"\n\n", 0, at) + 1, text.find(b"\n\n", at)
    return parse_fields(text[start : end if end >= 0 else len(text)].decode("utf-8", "replace").lstrip())


def _make_package(suite: Suite, fields: Mapping[str, str]) -> Package | None:
    filename = fields.get("filename", "")
    if not filename or not fields.get("sha256") or not fields.get("size", "").isdigit():
        return None
    return Package(
        name=fields.get("package", ""), version=fields.get("version", ""), arch=fields.get("architecture", ""),
        sha256=fields["sha256"], size=int(fields["size"]), filename=filename, uri=f"{suite.uri}/{filename}",
    )  # fmt: skip


@contextmanager
def open_archive(
    store: Store, *, sources: Sequence[AptSource], arch: str, packages: Sequence[Package] = (), max_age: float = 0.0
) -> Iterator[AptOnly]:
    """The `apt-only` network for the binary packages of *sources*, and for *packages*, which are in the pool.

    The indexes stay as they are now, whatever becomes of the archive meanwhile. Errors: as resolve().
    """
    from debroot.bootstrap import core_tools

    tools = core_tools(store)
    # the very value that resolve() uses, so that both share the indexes
    wanted = tuple(sources)
    with ExitStack() as undo:
        with Indexes(store, tools, wanted, arch) as indexes:
            indexes.update(max_age)
            files = {name: undo.enter_context(file) for name, file in indexes.open_lists().items()}
        suites = {
            f"{n} {suite}": _make_suite(undo, n, source.uris[0], suite, files)
            for n, source in enumerate(wanted)
            for suite in source.suites
        }
        archive = AptOnly(store, tools, [s.model_copy(update={"types": ("deb",)}) for s in wanted], suites)
        if packages:
            repository = undo.enter_context(store.workplace()) / "repository"
            make_repository(store, packages, repository, suite=NEW, arch=arch)
            archive.offer(repository)
        yield archive


def _make_suite(undo: ExitStack, number: int, uri: str, suite: str, files: Mapping[str, IO[bytes]]) -> Suite:
    stem = f"{list_name(uri, suite)}_"
    below = f"/{number}/{suite.strip('/')}" if suite.endswith("/") else f"/{number}/dists/{suite}"
    served, texts = {}, []
    for name, file in files.items():
        if name.startswith(stem):
            served[f"{below}/{unquote(name.removeprefix(stem).replace('_', '/'))}"] = file.fileno()
            if name.endswith("_Packages") and os.fstat(file.fileno()).st_size:
                texts.append(undo.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    return Suite(uri.rstrip("/"), served, tuple(texts))


def _reopen(fd: int) -> IO[bytes]:
    """An offset of its own on the same file, which may have been replaced by name."""
    return open(f"/proc/self/fd/{fd}", "rb")  # noqa: PTH123 -- no path, a descriptor
