"""/sysroot is a directory and /ostree leads to it by exactly the text that OSTree compares (L2, L3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files

TARGET = "sysroot/ostree"
#: bootc's own template of a base image, checked as well if the tree carries it.
TEMPLATE = "usr/share/doc/bootc/baseimage/base"


def check(root: Root) -> Iterator[str]:
    yield from _check_one(root.path, "")
    if (root.path / TEMPLATE).is_dir():
        yield from _check_one(root.path / TEMPLATE, f"/{TEMPLATE}")


def _check_one(path: Path, shown: str) -> Iterator[str]:
    if (path / "sysroot").is_symlink() or not (path / "sysroot").is_dir():
        yield f"{shown}/sysroot is not a directory"
    link = path / "ostree"
    if not link.is_symlink():
        yield f"{shown}/ostree is not a symlink"
    elif files.read_link(link) != TARGET:
        yield f"{shown}/ostree leads to {files.read_link(link)!r}, not {TARGET!r}"


LINT = Lint("baseimage-root", "fatal", "bootc", "/sysroot is a directory, /ostree a link to sysroot/ostree", check)
