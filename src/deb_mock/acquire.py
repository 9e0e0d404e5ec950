"""From what the user named to a source that can be built: fetched, checked, and its signature judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deb_mock.config import Choice
from deb_mock.dsc import Dsc, check_files
from deb_mock.pack import Tree, fetch_dsc, read_directory, read_git_tree
from deb_mock.policy import find_demand, judge_dsc, refuse_directory
from deb_mock.roots import find_sources
from deb_mock.source import ArchiveSource, DirectorySource, ExportSource, GitSource, Source, UrlSource
from debcore.errors import ConfigError
from debcore.job import AptSource
from debroot.store import Store

if TYPE_CHECKING:
    from deb_mock.git.export import GitTree

#: What a step that leaves this host is called in events and in the log.
FETCHES = {ArchiveSource: "archive", UrlSource: "url", GitSource: "git"}


@dataclass(frozen=True)
class Acquired:
    """A checked source package, or a tree that is still to be packed. `notes` go into the log."""

    found: Dsc | Tree
    title: str  #: sbuild's word for where it came from
    notes: tuple[str, ...]


def acquire(
    store: Store, source: Source, choice: Choice, scratch: Path, *, extra: tuple[AptSource, ...] = ()
) -> Acquired:
    """Get *source*; what is fetched lands in *scratch*. Errors: ConfigError, Failure, HostFailed."""
    limit = choice.settings.source.max_size
    if isinstance(source, DirectorySource):
        note = refuse_directory(source.path, find_demand("directory", choice))
        return Acquired(read_directory(source), "Local sources", (note,))
    if isinstance(source, GitSource):
        tree = take_commit(store, source, choice, scratch)
        return Acquired(read_git_tree(tree), "Git repository", tree.notes)
    if isinstance(source, ExportSource):
        from deb_mock.git.kept import open_export

        tree = open_export(source)
        return Acquired(read_git_tree(tree), "Git repository", tree.notes)
    if isinstance(source, ArchiveSource):
        dsc = fetch_dsc(store, source, find_sources(choice, source=True, extra=extra), scratch)
        note = judge_dsc(dsc, find_demand("archive", choice))
        return Acquired(dsc, "Download source files with APT", (note,))
    if isinstance(source, UrlSource):
        from deb_mock.fetch import fetch_dsc_by_url

        demand = find_demand("url", choice)
        _check_transport(source.url, signed=demand.signed)
        dsc = fetch_dsc_by_url(source.url, scratch, max_size=limit)
        return Acquired(dsc, "Download source files", (source.url, judge_dsc(dsc, demand)))
    check_files(source.dsc)
    dsc = source.dsc
    note = f"{dsc.path} exists in {dsc.path.parent}; copying to chroot"
    return Acquired(dsc, "Local sources", (note, judge_dsc(dsc, find_demand("dsc", choice))))


def take_commit(store: Store, source: GitSource, choice: Choice, target: Path) -> GitTree:
    """The commit that *source* names, its signature judged, as files in *target*. Errors: as acquire."""
    from deb_mock.git.export import export_commit

    demand = find_demand("git", choice)
    _check_transport(str(source.place), signed=demand.signed)
    return export_commit(store, source, target, demand=demand, max_size=choice.settings.source.max_size)


def declare(source: Source) -> str | None:
    """The name of the online step that *source* needs, or None: git in a directory of this host needs no network."""
    if isinstance(source, GitSource) and isinstance(source.place, Path):
        return None
    return FETCHES.get(type(source))


def _check_transport(url: str, *, signed: bool) -> None:
    """Errors: ConfigError for plain http without a demand for a signature: anybody between could change it."""
    if url.startswith("http:") and not signed:
        hint = "use https, or demand a signature: --require-signature --keyring FILE"
        raise ConfigError(url, "plain http says nothing about who sent it", hint=hint)
