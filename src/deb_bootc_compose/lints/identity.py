"""No key, name or leftover of one machine or of the build is in the image (S9, K9)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root

PATTERNS = (
    "etc/ssh/ssh_host_*_key*", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
    "etc/.pwd.lock", "etc/adjtime", "etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/.resolv.conf.systemd-resolved.bak", "etc/random-seed", "usr/sbin/policy-rc.d", "var/lib/systemd/random-seed",
    "var/lib/dbus/machine-id",
)  # fmt: skip
#: What Debian's base-files and debootstrap leave in /etc/fstab.
PLACEHOLDER = "UNCONFIGURED FSTAB"


def check(root: Root) -> Iterator[str]:
    for pattern in PATTERNS:
        for path in sorted(root.path.glob(pattern)):
            yield f"/{path.relative_to(root.path)} belongs to one machine or to the build"
    if PLACEHOLDER in (root.read("etc/fstab") or ""):
        yield "/etc/fstab is the installer's placeholder"


LINT = Lint("identity", "fatal", "debian", "no host key, seed or leftover of the build is in the image", check)
