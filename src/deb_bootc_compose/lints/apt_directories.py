"""apt works in an image derived from this one: its directories are there (S6)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree.systemdconf import load_tmpfiles

NAMES = ("/var/log/apt", "/var/lib/apt/lists/partial", "/var/cache/apt/archives/partial", "/var/tmp")  # noqa: S108


def check(root: Root) -> Iterator[str]:
    if not (root.path / "usr/bin/apt-get").exists():
        return
    made = {line.path.rstrip("/") for line in load_tmpfiles(root.path) if line.kind[0] in "dDqQv"}
    for name in NAMES:
        if not (root.path / name.lstrip("/")).is_dir():
            yield f"{name} is not there: apt refuses to run in an image derived from this one"
        if name not in made:
            yield f"{name} is not made by tmpfiles.d"


LINT = Lint("apt-directories", "warning", "debian", "the directories that apt needs are there and declared", check)
