"""Files in and out of a sandbox as tar streams.

The sandbox has other user ids than the caller, so that neither can read the other's private files: contents go
through a pipe, and nothing has to be made readable for everybody. What comes out is hostile: a stream is read, never
unpacked by name.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from debcore.errors import Failure, HostFailed
from debcore.path import FILE_NAME

#: Version control directories: no part of a source package (dpkg-source(1), --tar-ignore).
VCS = frozenset({".git", ".hg", ".svn", ".bzr", "CVS", "_darcs"})


def write_files_tar(files: Mapping[str, Path], stream: IO[bytes]) -> None:
    """A tar of plain *files* (name inside → path here), owned by the user who unpacks it."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, path in files.items():
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                tar.addfile(_member(name, status.st_size, int(status.st_mtime)), file)


def write_bytes_tar(files: Mapping[str, bytes], stream: IO[bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            tar.addfile(_member(name, len(content), 0), io.BytesIO(content))


def write_tree_tar(root: Path, name: str, stream: IO[bytes], *, skip: frozenset[str] = VCS) -> None:
    """A tar of *root* (a directory, or a file) under *name*, as it is: symbolic links stay links, modes and times are
    kept.

    Directories called as in *skip*, sockets, devices and pipes are left out. Errors: Failure on a file that the caller
    cannot read.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path, inside in _walk(root, name, skip):
            try:
                _add(tar, path, inside)
            except PermissionError as error:
                raise Failure(f"{path} cannot be read", hint=f"sudo chown -R $USER {root}") from error


def _walk(root: Path, name: str, skip: frozenset[str]) -> Iterator[tuple[Path, str]]:
    yield root, name
    for directory, folders, files in os.walk(root):
        folders[:] = sorted(folder for folder in folders if folder not in skip)
        here = Path(directory)
        for entry in sorted([*folders, *files]):
            yield here / entry, f"{name}/{(here / entry).relative_to(root)}"


def add_file(tar: tarfile.TarFile, path: Path, inside: str) -> None:
    """The plain file *path* as *inside*; a link in its place is refused by the kernel."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        member = _member(inside, status.st_size, int(status.st_mtime))
        member.mode = stat.S_IMODE(status.st_mode) & 0o777
        tar.addfile(member, file)


def _add(tar: tarfile.TarFile, path: Path, inside: str) -> None:
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        add_file(tar, path, inside)
    if kind not in (stat.S_IFDIR, stat.S_IFLNK):
        return
    member = _member(inside, 0, int(status.st_mtime))
    member.mode = stat.S_IMODE(status.st_mode) & 0o777
    if kind == stat.S_IFLNK:
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
    else:
        member.type = tarfile.DIRTYPE
    tar.addfile(member)


def _member(name: str, size: int, mtime: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, max(0, mtime), 0o644
    return member


@contextmanager
def feeding(write: Callable[[IO[bytes]], None]) -> Iterator[int]:
    """A pipe's reading end, while *write* fills it in another thread; an error of *write* is raised at exit."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    problem: list[BaseException] = []

    def fill() -> None:
        try:
            with os.fdopen(writing, "wb") as stream:
                write(stream)
        except BrokenPipeError:
            pass  # the reader ended early and says why itself
        except BaseException as error:
            problem.append(error)

    thread = threading.Thread(target=fill, name="feed", daemon=True)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()
        if problem:  # it is why the reader failed, if that did
            raise problem[0]


def read_files_tar(
    stream: IO[bytes], target: Path, *, limit: int | None = None, record: int = tarfile.RECORDSIZE
) -> list[str]:
    """Write the plain files of a tar *stream* into *target*; returns their names. *limit*: bytes of all together.
    *record*: bytes that tar writes at once, after the end of which nothing is read.

    Members that are no plain files at the top with a plain name are passed over: a build can put anything there.
    Errors: HostFailed if the disk is full; Failure above *limit*.
    """
    names: list[str] = []
    total = 0
    with tarfile.open(fileobj=stream, mode="r|", bufsize=record) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if not member.isreg() or not FILE_NAME.fullmatch(name) or name in names:
                continue
            total += member.size
            if limit is not None and total > limit:
                raise Failure(f"the build left more than {limit} bytes of results")
            content = tar.extractfile(member)
            assert content is not None
            _write(target / name, content)
            names.append(name)
    return names


def _write(path: Path, content: IO[bytes]) -> None:
    path.unlink(missing_ok=True)
    try:
        with path.open("xb") as file:
            while block := content.read(1 << 20):
                file.write(block)
    except OSError as error:
        path.unlink(missing_ok=True)
        hint = f"make room on the file system of {path.parent}"
        raise HostFailed(f"{path} cannot be written: {error.strerror}", hint=hint) from error


#: A tree with more entries than this is refused.
MAX_ENTRIES = 2_000_000


def read_tree_tar(stream: IO[bytes], target: Path, *, limit: int) -> list[str]:
    """Write the tree of a tar *stream* as *target*, which must not exist in a directory that nobody else writes to;
    returns the names that were left out. *limit*: bytes of all together.

    The first part of each name is replaced by *target*. Only directories, plain files and links that stay in the tree
    are made, without setuid bits, owned by the caller. No link is made before all else, so none is ever followed.
    Errors: Failure above the limit or on a stream that contradicts itself; HostFailed if the disk is full.
    """
    left_out: list[str] = []
    links: list[tuple[Path, str]] = []
    directories: list[tuple[Path, tarfile.TarInfo]] = []
    total = entries = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                path = target.joinpath(*parts[1:])
                total += member.size
                entries += 1
                if total > limit or entries > MAX_ENTRIES:
                    raise Failure(f"more than fits: over {limit} bytes or {MAX_ENTRIES} files", hint="copy less")
                if not parts or ".." in parts:
                    left_out.append(member.name)
                elif member.isdir():
                    path.mkdir(mode=0o700, exist_ok=True)
                    directories.append((path, member))
                elif member.issym() and stays_inside(len(parts) - 2, member.linkname):
                    links.append((path, member.linkname))
                elif member.isreg() and (content := tar.extractfile(member)) is not None:
                    _write(path, content)
                    _set_facts(path, member)
                else:
                    left_out.append(member.name)
        for path, to in links:
            path.symlink_to(to)
        for path, member in reversed(directories):
            _set_facts(path, member)
    except (tarfile.TarError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failure(f"what the root sent cannot be written: {error}") from error
    return left_out


def stays_inside(depth: int, link: str) -> bool:
    """Whether a link in a directory *depth* levels below the top stays below it: first `..`, then only downwards."""
    parts = [part for part in link.split("/") if part not in ("", ".")]
    ups = len(parts) - len(list(itertools.dropwhile(lambda part: part == "..", parts)))
    return not link.startswith("/") and 0 <= ups <= depth and ".." not in parts[ups:]


def _set_facts(path: Path, member: tarfile.TarInfo) -> None:
    path.chmod(member.mode & 0o777)
    os.utime(path, (max(0, member.mtime), max(0, member.mtime)))
