"""What is below /var would be made by systemd-tmpfiles as well: a machine's /var may be older than the image (S2)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree.systemdconf import load_tmpfiles
from debcore.path import inside


def _identity(root: Root, path: str) -> str:
    """*path* with the links of its parents resolved, /var/run written as /run."""
    parent, _, name = path.rstrip("/").rpartition("/")
    real = inside(root.path, parent) if parent else root.path
    shown = f"{str(real).removeprefix(str(root.path))}/{name}"
    return shown.removeprefix("/var") if shown.startswith("/var/run/") else shown


def check(root: Root) -> Iterator[str]:
    declared = {_identity(root, line.path) for line in load_tmpfiles(root.path) if line.path.startswith("/")}
    for entry in root.below("var"):
        if not (entry.is_dir or entry.is_link):
            yield f"/{entry.name}: only directories and links can be declared"
        elif _identity(root, f"/{entry.name}") not in declared:
            yield f"/{entry.name} has no line in tmpfiles.d"


LINT = Lint("var-tmpfiles", "warning", "bootc", "every directory and link below /var has a line in tmpfiles.d", check)
