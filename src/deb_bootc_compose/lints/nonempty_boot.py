"""/boot is there and empty: the machine's boot partition is mounted on it (L5)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files


def check(root: Root) -> Iterator[str]:
    if not (root.path / "boot").is_dir():
        yield "there is no /boot"
        return
    for name in files.names(root.path / "boot"):
        if name != "EFI":
            yield f"/boot/{name} will be hidden"


LINT = Lint("nonempty-boot", "warning", "bootc", "/boot exists and has nothing but EFI", check)
