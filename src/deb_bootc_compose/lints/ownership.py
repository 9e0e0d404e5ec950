"""Every owner has a name: a number alone may be somebody else's tomorrow (U4)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree.systemdconf import load_names


def check(root: Root) -> Iterator[str]:
    users = {int(fields[2]) for fields in load_names(root.path, "passwd")}
    groups = {int(fields[2]) for fields in load_names(root.path, "group")}
    for entry in root.entries:
        if entry.stat.st_uid not in users:
            yield f"/{entry.name}: user {entry.stat.st_uid} has no name"
        if entry.stat.st_gid not in groups:
            yield f"/{entry.name}: group {entry.stat.st_gid} has no name"


LINT = Lint("ownership", "fatal", "debian", "owners of all files have names in /etc/passwd and /etc/group", check)
