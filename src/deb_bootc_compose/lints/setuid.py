"""Programs that give their caller more power are those that one knows from Debian (contract, check 6)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from deb_bootc_compose.lints.model import Lint, Root

#: Names of programs with setuid or setgid bits in Debian's own packages.
KNOWN = frozenset(
    {
        "at", "bsd-write", "chage", "chfn", "chsh", "crontab", "dbus-daemon-launch-helper", "expiry", "fusermount",
        "fusermount3", "gpasswd", "ksu", "mount", "mount.cifs", "mount.nfs", "newgidmap", "newgrp", "newuidmap",
        "ntfs-3g", "pam_timestamp_check", "passwd", "ping", "pkexec", "polkit-agent-helper-1", "sg", "ssh-agent",
        "ssh-keysign", "su", "sudo", "umount", "unix_chkpwd", "utempter", "wall", "write", "write.ul",
    }
)  # fmt: skip

#: Names of programs with file capabilities in Debian's own packages.
CAPABLE = frozenset(
    {"arping", "clockdiff", "dumpcap", "fping", "gst-ptp-helper", "mtr-packet", "newgidmap", "newuidmap", "ping"}
)


def has_capabilities(path: Path) -> bool:
    """Whether a program at *path* starts with capabilities of its own."""
    try:
        return bool(os.getxattr(path, "security.capability", follow_symlinks=False))
    except OSError:
        return False


def check(root: Root) -> Iterator[str]:
    for entry in root.entries:
        if not entry.is_file or not entry.stat.st_mode & 0o111:
            continue
        name = entry.name.rsplit("/", 1)[-1]
        if entry.stat.st_mode & 0o6000 and name not in KNOWN:
            yield f"/{entry.name} has mode {entry.stat.st_mode & 0o7777:04o}"
        if name not in CAPABLE and has_capabilities(entry.path):
            yield f"/{entry.name} has file capabilities"


LINT = Lint("setuid", "warning", "debian", "programs with setuid, setgid or file capabilities are known ones", check)
