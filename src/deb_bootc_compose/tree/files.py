"""Reading and changing a tree from outside it, without ever following one of its links out of it.

Standard library only. All paths are relative to the tree, without a leading slash.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debcore.errors import Failure
from debcore.path import inside


@dataclass(frozen=True)
class Entry:
    """One path of a tree and what lstat(2) says about it."""

    name: str  #: relative to the tree; undecodable bytes as surrogates
    path: Path
    stat: os.stat_result

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)


def walk(tree: Path, below: str = "") -> Iterator[Entry]:
    """Every path below *below*, parents before children, names in byte order. *below* itself is not in it.

    Errors: Failure for a path that is longer than a program can name.
    """
    top = tree / below
    if top.is_symlink() or not top.is_dir():
        return
    waiting = [f"{below}/{name}" if below else name for name in reversed(names(top))]
    while waiting:
        name = waiting.pop()
        path = tree / name
        with _named(name):
            entry = Entry(name, path, path.lstat())
        yield entry
        if entry.is_dir and path.is_dir() and not path.is_symlink():  # whoever was told may have removed it
            with _named(name):
                waiting += (f"{name}/{one}" for one in reversed(names(path)))


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise Failure(f"/{shown(name[:60])}…: the path is too long", hint="leave out what lies so deep") from error


def shown(name: str) -> str:
    """*name* for a person: on one line, in UTF-8, and nothing in it steers a terminal."""
    return "".join(
        c if c.isprintable() else os.fsencode(c).decode("latin-1").encode("unicode_escape").decode() for c in name
    )


def names(directory: Path) -> list[str]:
    """Names in *directory*, sorted by their bytes; undecodable ones with surrogates."""
    return sorted(os.listdir(directory), key=os.fsencode)  # noqa: PTH208 -- names, not paths


def read_link(path: Path) -> str:
    """The exact text of a link: Path.readlink would tidy it up."""
    return os.readlink(path)  # noqa: PTH115


def exists(path: Path) -> bool:
    """Whether there is anything at *path*, a dangling link included."""
    return os.path.lexists(path)


def has_same_bytes(one: Path, other: Path) -> bool:
    """Whether two files have the same content; whatever their times are. filecmp would remember by times."""
    with one.open("rb") as mine, other.open("rb") as theirs:
        while True:
            block = mine.read(1 << 18)
            if block != theirs.read(1 << 18):
                return False
            if not block:
                return True


def is_same(tree: Path, other: Path, name: str) -> bool:
    """Whether two trees have the same file or link at *name*, or both nothing. Owner and mode do not count."""
    one, two = tree / name, other / name
    if one.is_symlink() or two.is_symlink():
        return one.is_symlink() and two.is_symlink() and read_link(one) == read_link(two)
    if one.is_file() and two.is_file():
        return has_same_bytes(one, two)
    return one.is_dir() == two.is_dir() and exists(one) == exists(two)


def differs_below(tree: Path, other: Path, directory: str) -> bool:
    """Whether two trees differ in anything below *directory*."""
    names_of = [[e.name for e in walk(root, directory)] for root in (tree, other)]
    return names_of[0] != names_of[1] or not all(is_same(tree, other, name) for name in names_of[0])


def read_text(tree: Path, name: str) -> str | None:
    """Content of a file, its links resolved inside the tree; None if there is no such regular file."""
    path = inside(tree, name)
    return path.read_text("utf-8", "surrogateescape") if path.is_file() else None


def read_drop_ins(tree: Path, *directories: str, suffix: str = ".conf") -> list[tuple[str, str]]:
    """(name, text) of the files in *directories*, as systemd reads them: an earlier directory hides the later's file.

    Sorted by file name. A link to /dev/null hides without adding. Source: tmpfiles.d(5), CONFIGURATION DIRECTORIES.
    """
    found: dict[str, str] = {}
    for directory in directories:
        at = inside(tree, directory)
        for name in names(at) if at.is_dir() else []:
            if name.endswith(suffix) and name not in found:
                found[name] = read_text(tree, f"{directory}/{name}") or ""
    return sorted(found.items())


def make_parents(tree: Path, name: str) -> Path:
    """The path of *name* in the tree, links of its parents resolved, missing parents made (root, 0755)."""
    parent, _, last = name.rpartition("/")
    at = inside(tree, parent) if parent else tree
    at.mkdir(parents=True, exist_ok=True)
    return at / last


def write(tree: Path, name: str, content: str | bytes, *, mode: int = 0o644) -> None:
    """Put a file of root's into the tree in the place of whatever was there."""
    path = make_parents(tree, name)
    remove(path)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)


def link(tree: Path, name: str, target: str) -> None:
    """Put a symlink into the tree in the place of whatever was there."""
    path = make_parents(tree, name)
    remove(path)
    path.symlink_to(target)


def remove(path: Path) -> None:
    """Remove a file, a link or a directory with all that is in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def empty(path: Path) -> None:
    """Remove everything in the directory *path*, and keep it."""
    for name in names(path):
        remove(path / name)
