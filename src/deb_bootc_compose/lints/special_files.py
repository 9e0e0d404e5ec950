"""No device node, fifo or socket: OSTree cannot store one (L12)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for entry in root.entries:
        if not (entry.is_dir or entry.is_file or entry.is_link):
            yield f"/{entry.name} is a device node, fifo or socket"


LINT = Lint("special-files", "fatal", "debian", "there is no device node, fifo or socket", check)
