"""The top of the tree: merged /usr, and state as relative links into /var (L1, L2, L6, L7)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files

MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
STATE = {"home": "var/home", "root": "var/roothome", "srv": "var/srv", "mnt": "var/mnt", "media": "run/media"}
REAL = frozenset({"boot", "dev", "etc", "opt", "proc", "run", "sys", "sysroot", "tmp", "usr", "var"})


def check(root: Root) -> Iterator[str]:
    for name, target in {**MERGED, **STATE}.items():
        path = root.path / name
        if name in MERGED and name == "lib64" and not os.path.lexists(path):
            continue
        if not path.is_symlink():
            yield f"/{name} is not a link to {target}"
        elif files.read_link(path) != target:
            yield f"/{name} leads to {files.read_link(path)!r}, not {target!r}"
    for name in files.names(root.path):
        path = root.path / name
        if path.is_symlink() and files.read_link(path).startswith("/"):
            yield f"/{name} is an absolute link: installers mount the root elsewhere"
        known = name in REAL or name in MERGED or name in STATE or name in {"ostree", "lib32", "libx32"}
        if not known:
            yield f"/{name} does not belong to the top of an image"


LINT = Lint("top-level", "fatal", "debian", "the top directory has the layout of an OSTree system", check)
