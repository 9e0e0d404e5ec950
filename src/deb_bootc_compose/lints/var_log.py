"""No log of the build is in the image."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for entry in root.below("var/log"):
        if entry.is_file and entry.stat.st_size:
            yield f"/{entry.name} is a log of the build"


LINT = Lint("var-log", "warning", "bootc", "/var/log has no file with content", check)
