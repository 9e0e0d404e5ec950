"""A git repository of this host as a tar stream: objects and names only, never its configuration, hooks or index."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from deb_mock.transfer import add_file
from debcore.errors import ConfigError, Failure

#: What makes a repository; everything else in it stays behind. Source: gitrepository-layout(5).
SHARED = ("packed-refs", "shallow")
TREES = ("objects", "refs")


def write_repository_tar(place: Path, name: str, stream: IO[bytes]) -> None:
    """The repository at *place* (working tree, linked working tree or bare) under *name*.

    Errors: ConfigError if there is none, or if it borrows objects of another.
    """
    own, common = find_git_directories(place)
    if (common / "objects" / "info" / "alternates").exists():
        hint = "make it whole with: git repack -a -d && rm .git/objects/info/alternates"
        raise ConfigError(str(place), "this repository borrows objects of another", hint=hint)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path, inside in _list_files(own, common):
            try:
                if stat.S_ISREG(path.lstat().st_mode):
                    add_file(tar, path, f"{name}/{inside}")
            except FileNotFoundError:
                continue  # git packs its objects in the background
            except PermissionError as error:
                raise Failure(f"{path} cannot be read", hint="read it as the user who owns it") from error


def find_git_directories(place: Path) -> tuple[Path, Path]:
    """(directory with HEAD, directory with objects and refs): they differ in a linked working tree.

    Errors: ConfigError if *place* is no repository.
    """
    own = place / ".git"
    if own.is_file():
        own = (place / _read_line(own).removeprefix("gitdir:").strip()).resolve()
    elif not own.is_dir():
        own = place
    if not (own / "HEAD").is_file():
        raise ConfigError(str(place), "is no git repository", hint="name its top directory, the one with .git")
    common = own
    if (own / "commondir").is_file():
        common = (own / _read_line(own / "commondir")).resolve()
    if not (common / "objects").is_dir():
        raise ConfigError(str(place), "is no git repository: it has no objects")
    return own, common


def _read_line(path: Path) -> str:
    with path.open("rb") as file:
        return os.fsdecode(file.read(4096)).splitlines()[0].strip()


def _list_files(own: Path, common: Path) -> Iterator[tuple[Path, str]]:
    yield own / "HEAD", "HEAD"
    for name in SHARED:
        yield common / name, name
    for tree in TREES:
        for directory, folders, files in os.walk(common / tree):
            folders.sort()
            for file in sorted(files):
                path = Path(directory, file)
                yield path, f"{tree}/{path.relative_to(common / tree)}"
