"""What a compose begins with, named by its content: source directories by a digest, files kept as they were."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from debcore.errors import ConfigError, Failure
from debcore.path import write_file

#: Never part of a source: version control and what an editor leaves.
IGNORED = frozenset({".git", ".hg", ".svn", ".bzr", "__pycache__"})
MAX_FILES = 200_000


def digest_directory(path: Path, *, where: str) -> str:
    """SHA-256 over names, types, the x bit and content; owners and times do not count.

    Errors: ConfigError at *where* if it is no source package's directory.
    """
    if not (path / "debian" / "changelog").is_file():
        raise ConfigError(
            where, f"{path} is no source package (debian/changelog is missing)",
            hint="name a directory that has a debian/ directory",
        )  # fmt: skip
    total = hashlib.sha256()
    count = 0
    for directory, names, files in os.walk(path):
        names[:] = sorted(name for name in names if name not in IGNORED)
        for name in sorted([*files, *(n for n in names if Path(directory, n).is_symlink())]):
            file = Path(directory, name)
            status = file.lstat()
            count += 1
            if count > MAX_FILES:
                raise ConfigError(where, f"{path} holds more than {MAX_FILES} files")
            if stat.S_ISLNK(status.st_mode):
                kind, content = "l", os.fsencode(file.readlink())
            elif stat.S_ISREG(status.st_mode):
                kind, content = ("x" if status.st_mode & 0o100 else "f"), file.read_bytes()
            else:
                raise ConfigError(where, f"{file} is no file, directory or link", hint="remove it from the source")
            line = f"{kind} {hashlib.sha256(content).hexdigest()} ".encode()
            total.update(line + os.fsencode(file.relative_to(path)) + b"\0")
    return total.hexdigest()


def keep_file(path: Path, directory: Path) -> str:
    """Copy *path* to directory/SHA256 and return the hash."""
    directory.mkdir(exist_ok=True)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", hint="paths are relative to the manifest file") from error
    digest = hashlib.sha256(content).hexdigest()
    write_file(directory / digest, content)
    return digest
