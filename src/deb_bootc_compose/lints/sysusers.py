"""systemd-sysusers could make every user and group anew (U1)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.systemdconf import load_names, parse_sysusers


def check(root: Root) -> Iterator[str]:
    if root.read("etc/passwd") is None:
        return
    try:
        drop_ins = files.read_drop_ins(root.path, "usr/lib/sysusers.d")
        lines = [line for name, text in drop_ins for line in parse_sysusers(text, file=name)]
    except ValueError as error:
        yield str(error)
        return
    users = {line.name for line in lines if line.kind[0] == "u"}
    groups = users | {line.name for line in lines if line.kind == "g"}
    for fields in load_names(root.path, "passwd"):
        if fields[0] not in users:
            yield f"user {fields[0]} has no line in /usr/lib/sysusers.d"
    for fields in load_names(root.path, "group"):
        if fields[0] not in groups:
            yield f"group {fields[0]} has no line in /usr/lib/sysusers.d"


LINT = Lint("sysusers", "warning", "bootc", "every user and group has a line in /usr/lib/sysusers.d", check)
