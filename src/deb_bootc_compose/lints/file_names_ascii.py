"""bootc's importer runs in the C locale and refuses a name or a link's target that is not ASCII (L11)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files


def check(root: Root) -> Iterator[str]:
    for entry in root.entries:
        if not entry.name.isascii():
            yield f"/{entry.name}"
        elif entry.is_link and not files.read_link(entry.path).isascii():
            yield f"/{entry.name}: the link's target"


LINT = Lint("file-names-ascii", "fatal", "debian", "all file names and link targets are ASCII", check)
