"""There is one kernel at most (K1)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    found = sorted(path.parent.name for path in (root.path / "usr/lib/modules").glob("*/vmlinuz"))
    if len(found) > 1:
        yield f"more than one kernel: {', '.join(found)}"


LINT = Lint("kernel", "fatal", "bootc", "at most one directory of /usr/lib/modules has a vmlinuz", check)
