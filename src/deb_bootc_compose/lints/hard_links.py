"""Hard links stay inside the tree: layers and commits cannot refer to a file outside (L13)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    linked = [e for e in root.entries if e.is_file and e.stat.st_nlink > 1]
    seen = Counter((e.stat.st_dev, e.stat.st_ino) for e in linked)
    for entry in linked:
        count = seen[entry.stat.st_dev, entry.stat.st_ino]
        if count != entry.stat.st_nlink:
            yield f"/{entry.name} has {entry.stat.st_nlink} names, {count} of them in the tree"


LINT = Lint("hard-links", "fatal", "debian", "all names of a hard-linked file are in the tree", check)
