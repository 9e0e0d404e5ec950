"""The dpkg database describes /usr, so it is there, and /var/lib/dpkg leads to it (S4)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import dpkg, files
from deb_bootc_compose.tree.systemdconf import load_tmpfiles

TARGET = "../../usr/lib/sysimage/dpkg"


def check(root: Root) -> Iterator[str]:
    if not (root.path / dpkg.IMAGE_ADMINDIR / "status").is_file():
        yield f"there is no dpkg database in /{dpkg.IMAGE_ADMINDIR}"
        return
    link = root.path / dpkg.ADMINDIR
    if os.path.lexists(link) and (not link.is_symlink() or files.read_link(link) != TARGET):
        yield f"/{dpkg.ADMINDIR} is not a link to {TARGET}"
    lines = [line for line in load_tmpfiles(root.path) if line.path == f"/{dpkg.ADMINDIR}"]
    if not lines or lines[0].kind[0] != "L" or lines[0].argument != TARGET:
        yield f"no line of tmpfiles.d makes the link /{dpkg.ADMINDIR}"
    packages = dpkg.load_installed(root.path)
    if not packages:
        yield "the dpkg database has no package"
    for package in packages:
        if package.status.split()[-1] not in {"installed", "config-files"}:
            yield f"{package.name} is {package.status.split()[-1]}, not installed"


LINT = Lint("dpkg-database", "fatal", "debian", "the dpkg database is whole and at /usr/lib/sysimage/dpkg", check)
