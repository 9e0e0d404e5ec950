"""The id ledger: which numbers users and groups have, pinned before packages install, checked after.

A ledger is a text of sysusers.d lines (`u name uid:gid "gecos" home shell`, `g name gid`), sorted, so that it can be
put into the image as it is. Ids are baked into trees, and a machine never merges a changed /etc/passwd: drift between
two images of one series breaks ownership. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.systemdconf import SysusersLine, load_names, parse_sysusers
from debcore.errors import ConfigError, Failure

#: A password that nothing matches, as systemd-sysusers writes it.
LOCKED = "!*"


@dataclass(frozen=True)
class User:
    name: str
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str


@dataclass(frozen=True)
class Ledger:
    """Users and groups by name."""

    users: tuple[User, ...] = ()
    groups: tuple[tuple[str, int], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset({u.name for u in self.users} | {g for g, _ in self.groups})

    def dump(self) -> str:
        """Lines of sysusers.d: groups first, for users refer to them."""
        groups = [f"g {name} {gid}\n" for name, gid in sorted(self.groups, key=lambda g: (g[1], g[0]))]
        users = [
            f'u {u.name} {u.uid}:{u.gid} "{u.gecos}" {u.home or "-"} {u.shell or "-"}\n'
            for u in sorted(self.users, key=lambda u: (u.uid, u.name))
        ]
        return "".join(groups + users)


def parse_ledger(text: str, *, where: str = "ids") -> Ledger:
    """Errors: ConfigError on a line that is none, an id that is no number, a name or an id given twice."""
    try:
        lines = parse_sysusers(text, file=where)
    except ValueError as error:
        raise ConfigError(where, str(error), hint="a ledger has lines such as: g _ssh 101") from error
    users, groups = [], []
    for line in lines:
        try:
            if line.kind == "g":
                groups.append((line.name, int(line.id)))
            else:
                users.append(_parse_user(line))
        except ValueError as error:
            raise ConfigError(where, f"{line.kind} {line.name}: {line.id!r} pins nothing") from error
    unique: tuple[tuple[str, list[str]], ...] = (
        ("user", [u.name for u in users]),
        ("uid", [str(u.uid) for u in users]),
        ("group", [name for name, _ in groups]),
        ("gid", [str(gid) for _, gid in groups]),
    )
    for what, values in unique:
        if twice := sorted({v for v in values if values.count(v) > 1}):
            raise ConfigError(where, f"{what} {', '.join(twice)} stands there twice")
    return Ledger(tuple(users), tuple(groups))


def _parse_user(line: SysusersLine) -> User:
    uid, _, gid = line.id.partition(":")
    gecos, home, shell = ("" if v == "-" else v for v in (line.gecos, line.home, line.shell))
    return User(line.name, int(uid), int(gid or uid), gecos, home, shell)


def load_ledger(tree: Path) -> Ledger:
    """What etc/passwd and etc/group of the tree say."""
    users = tuple(User(f[0], int(f[2]), int(f[3]), f[4], f[5], f[6]) for f in load_names(tree, "passwd"))
    groups = tuple((f[0], int(f[2])) for f in load_names(tree, "group"))
    return Ledger(users, groups)


def apply_ledger(tree: Path, ledger: Ledger) -> None:
    """Add the names that the tree lacks to passwd, group, shadow and gshadow, locked; keep those it has.

    Errors: Failure where the tree already has a pinned name or number otherwise.
    """
    present = load_ledger(tree)
    check_drift(present, ledger)
    users = [u for u in ledger.users if u.name not in {p.name for p in present.users}]
    groups = [g for g in ledger.groups if g[0] not in {p[0] for p in present.groups}]
    # the package passwd, which may come later, moves what stands in passwd and group into the shadow files
    user_lock, group_lock = ("x" if (tree / "etc" / name).is_file() else LOCKED for name in ("shadow", "gshadow"))
    _append(tree, "group", [f"{name}:{group_lock}:{gid}:" for name, gid in groups])
    _append(tree, "gshadow", [f"{name}:{LOCKED}::" for name, _ in groups])
    _append(tree, "passwd", [f"{u.name}:{user_lock}:{u.uid}:{u.gid}:{u.gecos}:{u.home}:{u.shell}" for u in users])
    _append(tree, "shadow", [f"{u.name}:{LOCKED}:::::::" for u in users])


def check_drift(present: Ledger, ledger: Ledger) -> None:
    """Errors: Failure for a name of both with two numbers, or a number of both with two names."""
    drift = []
    uids, gids = {u.name: u.uid for u in ledger.users}, dict(ledger.groups)
    by_uid, by_gid = {v: k for k, v in uids.items()}, {v: k for k, v in gids.items()}
    for kind, pinned, reverse, now in (
        ("uid", uids, by_uid, [(u.name, u.uid) for u in present.users]),
        ("gid", gids, by_gid, list(present.groups)),
    ):
        for name, number in now:
            if pinned.get(name, number) != number:
                drift.append(f"{name}: {kind} {number}, pinned as {pinned[name]}")
            elif reverse.get(number, name) != name:
                drift.append(f"{name}: {kind} {number} is pinned for {reverse[number]}")
    if drift:
        raise Failure(
            "users or groups moved against the id ledger:\n  " + "\n  ".join(drift),
            hint="files of machines in the field belong to these numbers: leave out what took the number, "
            "or write the new one into the ledger if no machine has such files",
        )


def _append(tree: Path, database: str, lines: list[str]) -> None:
    path = tree / "etc" / database
    if not lines or not path.is_file():
        return
    text = files.read_text(tree, f"etc/{database}") or ""
    if text and not text.endswith("\n"):
        text += "\n"
    path.write_text(text + "".join(f"{line}\n" for line in lines), "utf-8", "surrogateescape")
