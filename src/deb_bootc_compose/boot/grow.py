"""The unit by which an image grows onto a disk that is larger than itself, at the first boot and at each later one.

The partition by systemd-repart, online, from a definition in a directory of its own (an administrator's repart.d stays
theirs); the file system by systemd-growfs, through /sysroot, which is the physical root whatever / is. An image without
systemd-repart stays as it is. Source: systemd-repart(8), repart.d(5), systemd-growfs(8).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from debcore.errors import ConfigError

GROW = "/usr/libexec/deb-bootc/grow"
UNITS = "/usr/lib/systemd/system"

#: The Debian package without which nothing grows.
PACKAGE = "systemd-repart"

#: The root of this architecture; without more words it takes all free space behind it, and nothing else is touched.
_DEFINITION = """\
[Partition]
Type=root
"""

_SERVICE = f"""\
# An image with `grow: false` has no such unit; a machine whose disk is to stay as it is masks it.
[Unit]
Description=Grow the root file system to the end of its disk
ConditionPathExists=/run/ostree-booted
ConditionFileIsExecutable=/usr/bin/systemd-repart

[Service]
Type=oneshot
RemainAfterExit=yes
PrivateMounts=yes
ExecStart={GROW}
"""

_MULTI_USER = """\
[Unit]
Wants=deb-bootc-grow.service
"""


def grows(wanted: bool | None, packages: Container[str]) -> bool:
    """Whether an image of *packages* gets the unit. *wanted*: the manifest's. Errors: ConfigError if it cannot work."""
    if wanted and PACKAGE not in packages:
        raise ConfigError("grow", f"an image without {PACKAGE} does not grow", hint=f"add the package {PACKAGE}")
    return wanted is not False


def grow_files() -> Mapping[str, tuple[int, bytes]]:
    """Absolute path in the image → (mode, content), all owned by root."""
    return {
        GROW: (0o755, Path(__file__).with_name("grow").read_bytes()),
        "/usr/lib/deb-bootc/repart.d/50-root.conf": (0o644, _DEFINITION.encode()),
        f"{UNITS}/deb-bootc-grow.service": (0o644, _SERVICE.encode()),
        f"{UNITS}/multi-user.target.d/50-deb-bootc-grow.conf": (0o644, _MULTI_USER.encode()),
    }
