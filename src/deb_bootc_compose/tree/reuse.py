"""Whether dracut would make the same initramfs again, told from the files in which two trees differ.

Both trees have the same packages below and were finished with the same options; only packages of the hub differ, and
what those changed lies in the upper directories of two overlays. dracut takes files by names that stand in its modules,
whole directories that belong to it, and what programs and libraries that it takes need. It runs programs of the tree.
So a change is of no matter where neither dracut's files nor the initramfs know its name. In doubt it matters.

Standard library only.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Set
from pathlib import Path

from deb_bootc_compose.lints.cpio import read_archive
from deb_bootc_compose.tree import files

#: Nothing of these goes into an initramfs, and no program needs it. Directories end with a slash.
ASIDE = (
    "usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/bug/",
    "usr/share/doc-base/", "var/lib/dpkg/", "var/lib/apt/", "var/lib/systemd/deb-systemd-helper-enabled/",
    "var/cache/", "var/log/", "etc/motd", "etc/issue.d/", "etc/update-motd.d/", "etc/apt/", "etc/bash_completion.d/",
)  # fmt: skip

#: In these the next name is that of a program or of what belongs to one package.
OWN = (
    "usr/lib/systemd/system/", "usr/lib/systemd/user/", "usr/bin/", "usr/sbin/", "usr/games/", "usr/libexec/",
    "usr/share/", "usr/lib/",
)  # fmt: skip

#: Where dracut's own files are.
DRACUT = ("usr/lib/dracut", "usr/bin/dracut")

WORD = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")

#: Attributes by which an overlay in a user namespace marks what it hides: overlayfs.rst, "userxattr".
MARKS = ("user.overlay.whiteout", "user.overlay.opaque", "trusted.overlay.opaque")


def is_same_initramfs(*, before: str, now: str, kept: str) -> dict[str, bool]:
    """Whether the tree *kept* has the initramfs that dracut would make of one that differs from it only in the files
    by which the upper directories *before*, of *kept*, and *now* differ.
    """
    tree = Path(kept)
    images = [path for path in (tree / "usr/lib/modules").glob("*/initramfs.img") if path.is_file()]
    if len(images) != 1:
        return {"same": False}
    changed = set(find_changed(Path(before), Path(now)))
    if all(name.startswith(ASIDE) for name in changed):
        return {"same": True}
    known = read_words(tree) | {part for name in read_archive(images[0]) for part in name.split("/")}
    return {"same": not any(may_matter(name, known) for name in changed)}


def may_matter(name: str, known: Set[str]) -> bool:
    """Whether dracut may see a change of *name*; *known*: words of its files, and names in the initramfs."""
    if name.startswith(ASIDE):
        return False
    for directory in OWN:
        if name.startswith(directory):
            own = name.removeprefix(directory).partition("/")[0]
            return not own or own in known or own.partition(".")[0] in known or ".so" in own
    return True


def read_words(tree: Path) -> set[str]:
    """Every word in dracut's files."""
    found: set[str] = set()
    for top in DRACUT:
        paths = [entry.path for entry in files.walk(tree, top) if entry.is_file] or [tree / top]
        for path in paths:
            if path.is_file() and not path.is_symlink():
                found |= {word.decode() for word in WORD.findall(path.read_bytes())}
    return found


def find_changed(before: Path, now: Path) -> Iterator[str]:
    """Names that are in one of two upper directories alone, or in both with another kind, owner, mode or content."""
    old, new = ({entry.name: entry for entry in files.walk(top)} for top in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new or not _is_alike(old[name], new[name]):
            yield name


def _is_alike(one: files.Entry, other: files.Entry) -> bool:
    """Times do not count."""
    mine, theirs = one.stat, other.stat
    if (mine.st_mode, mine.st_uid, mine.st_gid, mine.st_rdev) != (
        theirs.st_mode, theirs.st_uid, theirs.st_gid, theirs.st_rdev
    ) or _marks(one.path) != _marks(other.path):  # fmt: skip
        return False
    if one.is_link:
        return files.read_link(one.path) == files.read_link(other.path)
    if stat.S_ISREG(mine.st_mode):
        return mine.st_size == theirs.st_size and files.has_same_bytes(one.path, other.path)
    return True


def _marks(path: Path) -> list[str]:
    try:
        return sorted(name for name in os.listxattr(path, follow_symlinks=False) if name in MARKS)
    except OSError:  # what cannot have attributes has no marks
        return []
