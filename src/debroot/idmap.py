"""The subordinate ids that the sandbox's 0–65535 stand for; never the caller's own.

Source: subuid(5), newuidmap(1), user_namespaces(7).
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from debcore.command import find_program
from debcore.errors import ConfigError, HostFailed

#: Ids of one map: what Debian Policy 9.2.2 calls 16-bit ids, with `nobody` (65534) in it.
COUNT = 65536

#: Root without a line in /etc/subuid uses this range: above every id that adduser and systemd hand out
#: (systemd-nspawn picks below 0x70000000; container tools start at 100000).
ROOT_DEFAULT = 0x7A000000


@dataclass(frozen=True)
class IdMap:
    """Ids 0 to `count` - 1 inside are `first` and following outside, for users and groups alike."""

    first: int  #: outside uid that is 0 inside
    count: int = COUNT
    first_gid: int | None = None  #: outside gid that is 0 inside; None: same as `first`

    @property
    def gid(self) -> int:
        return self.first if self.first_gid is None else self.first_gid

    @property
    def owner(self) -> tuple[int, int]:
        """Outside (uid, gid) of root inside."""
        return self.first, self.gid


def find_idmap() -> IdMap:
    """DEBOOTC_SUBID (`FIRST` or `FIRST:COUNT`), else /etc/subuid and /etc/subgid, else, for root only, a default.

    Errors: HostFailed with the line to paste if a user has no range of 65536 ids; ConfigError on a bad DEBOOTC_SUBID.
    """
    chosen = os.environ.get("DEBOOTC_SUBID", "")
    if chosen:
        return parse_subid(chosen)
    name, uid = _caller()
    users = find_range(Path("/etc/subuid"), name, uid)
    groups = find_range(Path("/etc/subgid"), name, uid)
    if users is not None and groups is not None:
        return IdMap(users, COUNT, groups)
    if uid == 0:
        return IdMap(ROOT_DEFAULT)
    if find_program("newuidmap") is None:
        raise HostFailed("newuidmap is not installed", hint="sudo apt install uidmap")
    raise HostFailed(
        f"{name} has no {COUNT} subordinate ids in /etc/subuid and /etc/subgid",
        hint=f"sudo usermod --add-subuids {suggest_range()} --add-subgids {suggest_range()} {name}",
    )


def parse_subid(text: str) -> IdMap:
    """`FIRST` or `FIRST:COUNT`. Errors: ConfigError if it is no number, below 65536 ids or starts with id 0."""
    first, _, count = text.partition(":")
    if not first.isdigit() or not (count or str(COUNT)).isdigit() or int(first) == 0 or int(count or COUNT) < COUNT:
        raise ConfigError("DEBOOTC_SUBID", f"{text!r} is no range of {COUNT} ids", hint=f"write it as {ROOT_DEFAULT}")
    return IdMap(int(first), COUNT)


def parse_ranges(text: str, name: str, uid: int) -> list[tuple[int, int]]:
    """(first, count) of every line for *name* or *uid*, in order; broken lines are skipped as newuidmap does."""
    found = []
    for line in text.splitlines():
        owner, *numbers = line.strip().split(":")
        if owner in (name, str(uid)) and len(numbers) == 2 and all(n.isdigit() for n in numbers):
            found.append((int(numbers[0]), int(numbers[1])))
    return found


def find_range(path: Path, name: str, uid: int) -> int | None:
    """First id of the first range in *path* that holds COUNT ids."""
    try:
        text = path.read_text()
    except OSError:
        return None
    return next((first for first, count in parse_ranges(text, name, uid) if count >= COUNT and first > 0), None)


def suggest_range() -> str:
    """A range that no line of /etc/subuid or /etc/subgid touches, as usermod(8) wants it: FIRST-LAST."""
    end = 100000
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            numbers = line.split(":")[1:]
            if len(numbers) == 2 and all(n.isdigit() for n in numbers):
                end = max(end, int(numbers[0]) + int(numbers[1]))
    return f"{end}-{end + COUNT - 1}"


def _caller() -> tuple[str, int]:
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name, uid
    except KeyError:
        return str(uid), uid
