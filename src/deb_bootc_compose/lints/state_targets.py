"""What the links at the top lead to is made at boot: /var is empty then (L9)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.systemdconf import load_tmpfiles

TOPS = ("home", "root", "srv", "mnt", "opt", "usr/local")
PRIVATE = "/var/roothome"


def check(root: Root) -> Iterator[str]:
    made = {line.path.rstrip("/"): line for line in reversed([*load_tmpfiles(root.path)]) if line.kind[0] in "dDqQv"}
    for name in TOPS:
        path = root.path / name
        if not path.is_symlink():
            continue
        target = "/" + files.read_link(path).replace("../", "").lstrip("/")
        if not target.startswith("/var/"):
            continue
        if target not in made:
            yield f"/{name} leads to {target}, which no line of tmpfiles.d makes"
        elif target == PRIVATE and made[target].mode.lstrip("~:0") != "700":
            yield f"{target} is made with mode {made[target].mode}: it is root's home"


LINT = Lint("state-targets", "fatal", "debian", "tmpfiles.d makes what the links of the top lead to", check)
