"""Numbers that packages got by chance (100–999) stand in sysusers.d, before any other line for the name (U2)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree.systemdconf import SysusersLine, load_names, load_sysusers

DYNAMIC = range(100, 1000)


def check(root: Root) -> Iterator[str]:
    try:
        lines = load_sysusers(root.path)
    except ValueError as error:
        yield str(error)
        return
    users: dict[str, SysusersLine] = {}
    groups: dict[str, SysusersLine] = {}
    for line in lines:
        if line.kind in {"u", "u!"}:
            users.setdefault(line.name, line)
        if line.kind == "g" or (line.kind != "m" and line.id.isdigit()):  # `u NAME 990` makes the group too
            groups.setdefault(line.name, line)
    for what, database, first in (("user", "passwd", users), ("group", "group", groups)):
        for fields in load_names(root.path, database):
            number = int(fields[2])
            pin = first.get(fields[0])
            if number in DYNAMIC and (pin is None or pin.id.split(":")[0] != str(number)):
                yield f"{what} {fields[0]} has {number}, which sysusers.d does not pin"


LINT = Lint("pinned-ids", "fatal", "debian", "dynamic ids of the image are pinned in sysusers.d", check)
