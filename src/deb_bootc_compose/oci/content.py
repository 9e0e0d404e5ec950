"""What of a tree is part of an image, and reading it. Standard library only."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

#: The only attribute that an image carries; others belong to the file system it lay on.
XATTRS = ("security.capability",)

#: Directories whose content is never part of an image.
MOUNT_POINTS = frozenset({"dev", "proc", "sys", "run", "tmp"})


def read_xattrs(path: Path) -> dict[str, bytes]:
    """The attributes that go into the image."""
    found = {}
    for name in XATTRS:
        try:
            found[name] = os.getxattr(path, name, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
    return found


def hash_file(path: Path) -> str:
    """SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
