"""/etc/hostname and /etc/resolv.conf are not the empty files that container builders leave (S9, S10)."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for name in ("etc/hostname", "etc/resolv.conf"):
        try:
            status = (root.path / name).lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            yield f"/{name} is an empty file"


LINT = Lint("buildah-injected", "warning", "bootc", "/etc/hostname and /etc/resolv.conf are not empty files", check)
