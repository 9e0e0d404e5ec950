"""bootc's importer runs in the C locale and refuses a name that is not ASCII (L11)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for entry in root.entries:
        if not entry.name.isascii():
            yield f"/{entry.name}"


LINT = Lint("file-names-ascii", "fatal", "debian", "all file names are ASCII", check)
