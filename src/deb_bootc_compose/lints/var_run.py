"""/var/run is a link, or nothing: a directory would hide /run from old programs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    path = root.path / "var/run"
    if os.path.lexists(path) and not path.is_symlink():
        yield "/var/run is not a symlink"


LINT = Lint("var-run", "fatal", "bootc", "/var/run is a symlink if it is there", check)
