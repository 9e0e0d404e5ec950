"""Nothing in the tree tells when or where it was made: times, caches, orders, backups (S12, S13, L12).

Two runs with the same input give the same bytes, and a file that did not change stays the same in the next image.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from deb_bootc_compose.tree import dpkg, files
from deb_bootc_compose.tree.spec import FinishOptions, State
from deb_bootc_compose.tree.steps import identity
from debcore.errors import Failure

#: Caches that are checked by time and made again at run time, and backups that tools leave.
DROPPED = (
    "etc/ld.so.cache~", "var/cache/ldconfig", "usr/share/icons/*/icon-theme.cache", "usr/share/info/dir.old",
    "etc/apt/trusted.gpg~", "usr/share/mime/*.old", "etc/**/*.dpkg-old", "etc/**/*.dpkg-dist", "etc/**/*.ucf-old",
    "usr/lib/sysimage/dpkg/*-old", "etc/.dpkg-*",
)  # fmt: skip


def run(tree: Path, options: FinishOptions, state: State) -> None:
    ours = {entry.path.lstrip("/") for entry in options.add_files} | identity.inherited(state)
    identity.remove_leftovers(tree, ours)  # commands in the tree may have brought some back
    for pattern in DROPPED:
        for path in sorted(tree.glob(pattern)):
            files.remove(path)
    _sort_status(tree)
    _refuse_special_files(tree)
    for entry in reversed([*files.walk(tree)]):
        _drop_attributes(entry.path)
        os.utime(entry.path, (0, 0), follow_symlinks=False)
    os.utime(tree, (0, 0))


def _drop_attributes(path: Path) -> None:
    """Attributes of users and access lists: no image carries them, so that a commit with them would differ from it."""
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(("user.", "system.")):
            os.removexattr(path, name, follow_symlinks=False)


def _sort_status(tree: Path) -> None:
    """Stanzas of the status file and lines of the trigger files, by name: dpkg writes them as they came."""
    admindir = tree / dpkg.IMAGE_ADMINDIR
    status = admindir / "status"
    if status.is_file():
        stanzas = [s for s in status.read_text("utf-8", "surrogateescape").split("\n\n") if s.strip()]
        text = "\n\n".join(s.strip("\n") for s in sorted(stanzas)) + "\n\n"
        status.write_text(text, "utf-8", "surrogateescape")
    triggers = admindir / "triggers"
    for path in sorted(triggers.iterdir()) if triggers.is_dir() else []:
        if path.is_file():
            lines = path.read_text("utf-8", "surrogateescape").splitlines()
            path.write_text("".join(f"{line}\n" for line in sorted(lines)), "utf-8", "surrogateescape")


def _refuse_special_files(tree: Path) -> None:
    for entry in files.walk(tree):
        mode = entry.stat.st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            raise Failure(
                f"the tree has a device node, fifo or socket: /{files.shown(entry.name)}",
                hint="make it at boot by tmpfiles.d instead",
            )
