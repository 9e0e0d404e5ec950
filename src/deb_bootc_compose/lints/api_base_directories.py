"""The mount points of the kernel's and the machine's own file systems are real directories (L4)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root

NAMES = ("dev", "proc", "sys", "run", "tmp", "var")


def check(root: Root) -> Iterator[str]:
    for name in NAMES:
        path = root.path / name
        if path.is_symlink() or not path.is_dir():
            yield f"/{name} is not a directory"


LINT = Lint("api-base-directories", "fatal", "bootc", "/dev /proc /sys /run /tmp /var are real directories", check)
