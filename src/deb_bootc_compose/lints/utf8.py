"""Names and link targets are UTF-8: OSTree and OCI know nothing else (L11)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files


def is_utf8(name: str) -> bool:
    """Whether *name*, as os.listdir gave it, was valid UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check(root: Root) -> Iterator[str]:
    for entry in root.entries:
        if not is_utf8(entry.name):
            yield f"/{entry.name}: the name is not UTF-8"
        elif entry.is_link and not is_utf8(files.read_link(entry.path)):
            yield f"/{entry.name}: the link's target is not UTF-8"


LINT = Lint("utf8", "fatal", "bootc", "all file names and link targets are UTF-8", check)
