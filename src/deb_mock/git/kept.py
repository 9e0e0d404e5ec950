"""An exported commit as a directory: kept by a chain, which builds it when its turn comes, perhaps days later.

    tree.tar, control    the commit's tree and its debian/control
    NAME.orig.tar.*      upstream's tarballs
    export.json          what it is; written last

Nothing of it is unpacked on this host.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from deb_mock.changelog import Entry
from deb_mock.git.export import GitTree
from deb_mock.source import ExportSource
from debcore.errors import Failure
from debcore.path import check_file_name, write_file

RECORD, CONTROL, TREE = "export.json", "control", "tree.tar"
#: A larger record is refused, bytes.
MAX_RECORD = 1 << 20


class Export(BaseModel):
    """export.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str  #: the repository, for people
    commit: str
    entry: dict[str, str]
    orig: tuple[str, ...]
    notes: tuple[str, ...]


def keep_export(tree: GitTree, place: str, directory: Path) -> None:
    """Complete *directory*, which holds the tar files of *tree*."""
    write_file(directory / CONTROL, tree.control)
    record = Export(
        place=place, commit=tree.commit, entry=asdict(tree.entry), orig=tuple(sorted(tree.orig)), notes=tree.notes
    )
    write_file(directory / RECORD, record.model_dump_json(indent=1) + "\n")


def find_export(directory: Path) -> ExportSource | None:
    """What is kept in *directory*, if it is whole."""
    record = _read(directory)
    return ExportSource(directory, record.place, record.commit, Entry(**record.entry)) if record else None


def open_export(source: ExportSource) -> GitTree:
    """The commit as export_commit gave it. Errors: Failure if files are gone."""
    record, place = _read(source.directory), source.directory
    orig = {name: place / check_file_name(name, where=str(place / RECORD)) for name in record.orig} if record else {}
    if record is None or not all(path.is_file() for path in (place / TREE, place / CONTROL, *orig.values())):
        raise Failure(f"{place} does not hold the whole export any more", hint="take it anew: deb-mock chain --anew")
    control = (place / CONTROL).read_bytes()
    return GitTree(record.commit, source.entry, control, place / TREE, orig, record.notes)


def _read(directory: Path) -> Export | None:
    try:
        with (directory / RECORD).open("rb") as file:
            return Export.model_validate_json(file.read(MAX_RECORD))
    except (OSError, ValidationError):
        return None
