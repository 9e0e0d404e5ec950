"""Paths that stay inside their root, and files that appear whole or not at all.

Names from outside (.dsc, .changes, manifests, uploads) are hostile: never join them by hand.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from debcore.errors import Failure

#: One file name as Debian's tools make them: no slash, no leading dot or dash, printable ASCII. Policy 5.6.19–5.6.21.
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:%_,=@-]{0,254}")


def check_file_name(name: str, *, where: str) -> str:
    """Return *name* if it is one plain file name. Errors: Failure naming *where* it came from."""
    if not FILE_NAME.fullmatch(name) or ".." in name.split("/"):
        raise Failure(
            f"{where}: {name!r} is not a plain file name", hint="file names may not lead out of their directory"
        )
    return name


def inside(root: Path, path: str | Path) -> Path:
    """*path* as a process with *root* as its / would see it: symlinks resolve inside, `..` stops at the root.

    The last component need not exist. Errors: Failure on more than 40 symlinks (ELOOP), as path_resolution(7).
    """
    todo = [part for part in Path(path).parts if part != "/"]
    here: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == ".":
            continue
        if part == "..":
            here = here[:-1]
            continue
        step = root.joinpath(*here, part)
        if not step.is_symlink():
            here.append(part)
            continue
        links += 1
        if links > 40:
            raise Failure(f"{path}: {os.strerror(errno.ELOOP)}")
        target = step.readlink()
        if target.is_absolute():
            here = []
        todo[:0] = [p for p in target.parts if p != "/"]
    return root.joinpath(*here)


def sync_directory(path: Path) -> None:
    """Make renames in *path* survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file that takes *path*'s place when the block ends well: written, fsynced, renamed, directory fsynced."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


#: A file that `replacing` has not finished: tempfile's eight letters behind the name.
TORN = re.compile(r"\..+\.[a-z0-9_]{8}")


def remove_torn(directory: Path) -> None:
    """Remove what `replacing` left in *directory* (not below it) when its process was killed. None may be at work."""
    for path in list(directory.iterdir()):
        if TORN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Replace *path* with *content*, whole and durable."""
    with replacing(path, mode=mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)
