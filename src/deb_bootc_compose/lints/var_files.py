"""No file below /var: an update would never reach it (S2, S3)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for entry in root.below("var"):
        if entry.is_file:
            yield f"/{entry.name}"


LINT = Lint("var-files", "fatal", "debian", "/var has no regular file", check)
