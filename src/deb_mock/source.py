"""What a user can ask to be built: a .dsc, a source directory, a package of the archive, or a git repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deb_mock.changelog import Entry, load_changelog
from deb_mock.dsc import NAME, VERSION, Dsc, load_dsc
from debcore.errors import Failure


@dataclass(frozen=True)
class DscSource:
    """A source package that lies on this host."""

    dsc: Dsc


@dataclass(frozen=True)
class DirectorySource:
    """A source directory, to be cleaned and packed inside the root."""

    path: Path
    entry: Entry


@dataclass(frozen=True)
class ArchiveSource:
    """A package of the suite's deb-src; `version` None: the newest."""

    name: str
    version: str | None = None


@dataclass(frozen=True)
class UrlSource:
    """A .dsc to be fetched by http or https, with the files that it names beside it."""

    url: str


@dataclass(frozen=True)
class GitSource:
    """A git repository: an https or http URL, or a directory of this host. `ref` None: what its HEAD names."""

    place: str | Path
    ref: str | None = None

    @property
    def name(self) -> str:
        return str(self.place).rstrip("/").rpartition("/")[2].removesuffix(".git")


@dataclass(frozen=True)
class ExportSource:
    """A commit that was taken out of a git repository before: see `deb_mock.git.kept`."""

    directory: Path
    place: str  #: the repository, for people
    commit: str
    entry: Entry


Source = DscSource | DirectorySource | ArchiveSource | UrlSource | GitSource | ExportSource

_HINT = "name a .dsc, a source directory, a git repository, or a package of the archive such as hostname=3.25"


def find_source(what: str) -> Source:
    """Sort out *what* the user named: a path wins over a package name.

    Errors: Failure if it is nothing of these, ConfigError if the file is a bad one.
    """
    path = Path(what)
    place, mark, ref = what.rpartition("#") if "#" in what else (what, "", "")
    if mark and not ref:
        raise Failure(f"{what}: no branch, tag or commit after #", hint="such as #debian/latest")
    if "://" in place or place.startswith("git@"):
        return _find_remote(place, ref or None)
    if mark and Path(place).is_dir():
        return GitSource(Path(place).resolve(), ref)
    if what.endswith(".dsc"):
        return DscSource(load_dsc(path))
    if path.is_dir() and ("/" in what or what in (".", "..") or (path / "debian").is_dir()):
        directory = path.resolve()
        return DirectorySource(directory, load_changelog(directory))
    name, equals, version = what.partition("=")
    if NAME.fullmatch(name) and (not equals or VERSION.fullmatch(version)):
        return ArchiveSource(name, version or None)
    raise Failure(f"{what}: neither a .dsc, nor a source directory, nor a package name", hint=_HINT)


def _find_remote(url: str, ref: str | None) -> Source:
    plain = url.removeprefix("git+")
    parts = urlsplit(plain)
    if url.startswith("git+file:///"):
        return GitSource(Path(parts.path), ref)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "clone it yourself and name the directory: no key of yours is ever used for a source"
        raise Failure(f"{url}: sources are fetched by https and http only", hint=hint)
    if "@" in parts.netloc:
        raise Failure(f"{parts.hostname}: no user or password in the URL of a source", hint="fetch it yourself")
    git = url.startswith("git+")
    if parts.path.endswith(".dsc") and ref is None and not git:
        return UrlSource(url)
    if git or ref is not None or parts.path.rstrip("/").endswith(".git"):
        return GitSource(plain, ref)
    raise Failure(f"{url}: neither the URL of a .dsc nor of a git repository", hint=f"say git+{url} if it is git")
