"""The kernel can do what an OSTree root and its images need (K6)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root

#: Option → why it is needed.
WANTED = {
    "CONFIG_OVERLAY_FS": "a composefs root, containers", "CONFIG_EROFS_FS": "a composefs root",
    "CONFIG_BLK_DEV_LOOP": "images of file systems", "CONFIG_FS_VERITY": "verified objects",
    "CONFIG_EXT4_FS": "the root",
}  # fmt: skip


def check(root: Root) -> Iterator[str]:
    for path in sorted((root.path / "usr/lib/modules").glob("*/config")):
        lines = set((root.read(str(path.relative_to(root.path))) or "").splitlines())
        for option, why in WANTED.items():
            if not lines & {f"{option}=y", f"{option}=m"}:
                yield f"/{path.relative_to(root.path)} lacks {option}: {why}"


LINT = Lint("kernel-config", "fatal", "debian", "the kernel has overlayfs, EROFS, fs-verity, loop and ext4", check)
