"""/sysroot is empty and open for all to enter: the physical root is mounted there (L2)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files


def check(root: Root) -> Iterator[str]:
    path = root.path / "sysroot"
    if not path.is_dir():
        return
    if files.names(path):
        yield "/sysroot is not empty"
    if path.stat().st_mode & 0o7777 != 0o755:
        yield f"/sysroot has mode {path.stat().st_mode & 0o7777:04o}, not 0755"


LINT = Lint("sysroot-empty", "fatal", "debian", "/sysroot is an empty directory with mode 0755", check)
