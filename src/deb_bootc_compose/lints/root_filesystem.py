"""The tree can mount the root that its disk images have, and mend it. ext4: each Debian can (K6)."""

from __future__ import annotations

import configparser
from collections.abc import Iterator

from deb_bootc_compose.lints.baseimage_composefs import PLACES, read_conf
from deb_bootc_compose.lints.cpio import read_archive
from deb_bootc_compose.lints.model import Lint, Root

REPAIR = "usr/sbin/xfs_repair"
#: What composefs may be that needs fs-verity, which xfs does not have. Source: ostree-prepare-root(1).
NEEDS_VERITY = frozenset({"signed", "verity"})
#: It may be compressed.
MODULE = "/kernel/fs/xfs/xfs.ko"


def check(root: Root) -> Iterator[str]:
    if root.filesystem != "xfs":
        return
    if not (root.path / REPAIR).is_file():
        yield f"the root is xfs, and /{REPAIR} to mend it is not there: add the package xfsprogs"
    for place in PLACES:
        if (enabled := _composefs(root.read(place) or "")) in NEEDS_VERITY:
            yield f"the root is xfs, and composefs is {enabled!r} in /{place}: xfs has no fs-verity; take ext4"
    for kernel in sorted((root.path / "usr/lib/modules").glob("*/vmlinuz")):
        config = root.read(str(kernel.with_name("config").relative_to(root.path))) or ""
        if "CONFIG_XFS_FS=y" in config.splitlines():
            continue
        image = kernel.with_name("initramfs.img")
        try:
            inside = read_archive(image)
        except (OSError, ValueError):
            continue  # the lint `initramfs` says so
        if not any(MODULE in name for name in inside):
            yield (
                f"the root is xfs, and the initramfs of {kernel.parent.name} has no module for it: add "
                '/usr/lib/dracut/dracut.conf.d/60-xfs.conf with: filesystems+=" xfs "'
            )


def _composefs(text: str) -> str:
    try:
        return read_conf(text).get("composefs", "enabled", fallback="no").strip()
    except configparser.Error:
        return "no"  # the lint `prepare-root` says so


LINT = Lint("root-filesystem", "fatal", "debian", "the tree can mount and mend the root that its images have", check)
