"""Users and groups: checked against the ledger, and every name known to systemd-sysusers with its number (U1, U2, U4).

The file sorts first, so that its numbers win over the `-` of packages' own files: a machine that is updated to an image
with a new user gives it the number that the image's files have.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.ids import LOCKED, Ledger, check_drift, load_ledger, parse_ledger
from deb_bootc_compose.tree.spec import FinishOptions, State
from deb_bootc_compose.tree.systemdconf import load_names, load_sysusers
from debcore.errors import Failure

PINS = "usr/lib/sysusers.d/00-image-ids.conf"


def run(tree: Path, options: FinishOptions, state: State) -> None:
    present = load_ledger(tree)
    pinned = parse_ledger(options.ids)
    check_drift(present, pinned)
    new = sorted(present.names - pinned.names)
    if new and options.ids_strict:
        lines = [x for x in present.dump().splitlines() if x.split()[1] in new]
        raise Failure(f"the id ledger does not pin: {', '.join(new)}", hint="add to the ledger: " + "; ".join(lines))
    state.ids = present.dump()
    files.remove(tree / PINS)
    files.write(tree, PINS, "# Numbers that files of this image have.\n" + _undeclared(tree, present).dump())
    _sort_databases(tree)


def _undeclared(tree: Path, present: Ledger) -> Ledger:
    """What no other file of sysusers.d pins to a number."""
    lines = [line for line in load_sysusers(tree) if line.id[:1].isdigit()]
    users = {line.name for line in lines if line.kind[0] == "u"}
    groups = {line.name for line in lines if line.kind == "g"} | {
        x.name for x in lines if x.id.isdigit() and x.kind[0] == "u"
    }
    return Ledger(
        tuple(u for u in present.users if u.name not in users), tuple(g for g in present.groups if g[0] not in groups)
    )


def _sort_databases(tree: Path) -> None:
    """Entries by number, no date of the last change: the order and the day of installation are history, not content."""
    for database, key in (("passwd", 2), ("group", 2)):
        _rewrite(tree, database, sorted(load_names(tree, database), key=lambda f: (int(f[key]), f[0])))
    order = {f[0]: i for i, f in enumerate(load_names(tree, "passwd"))}
    shadow = sorted(load_names(tree, "shadow"), key=lambda f: order.get(f[0], len(order)))
    expired = {line.name for line in load_sysusers(tree) if line.kind == "u!"}
    _rewrite(tree, "shadow", [_normal_shadow(f, expired) for f in shadow])
    order = {f[0]: i for i, f in enumerate(load_names(tree, "group"))}
    gshadow = sorted(load_names(tree, "gshadow"), key=lambda f: order.get(f[0], len(order)))
    _rewrite(tree, "gshadow", [[f[0], _locked(f[1]), *f[2:]] for f in gshadow])


def _normal_shadow(fields: list[str], expired: set[str]) -> list[str]:
    """No day of the last change; where there is no password, ageing as sysusers.d says, not as its maker did."""
    name, password = fields[0], _locked(fields[1])
    if password != LOCKED:
        return [name, password, "", *fields[3:]]
    return [name, password, "", "", "", "", "", "1" if name in expired else "", ""]


def _locked(password: str) -> str:
    """Who made an account (adduser, sysusers, the ledger) shows in how it is locked; all ways mean the same."""
    return LOCKED if password in {"!", "!!", LOCKED} else password


def _rewrite(tree: Path, database: str, lines: list[list[str]]) -> None:
    path = tree / "etc" / database
    if lines and path.is_file():
        path.write_text("".join(":".join(fields) + "\n" for fields in lines), "utf-8", "surrogateescape")
