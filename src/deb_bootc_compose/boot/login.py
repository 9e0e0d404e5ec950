"""The unit by which root gets a password from the machine's credentials, at its first boot.

systemd gives one only to a root that was never provisioned, and its first-boot wizard would ask on the console for it
where no credential is; Debian's root is locked instead. Keys for ssh, users and names need nothing of ours. Source:
systemd.system-credentials(7), systemd-firstboot(1).
"""

from __future__ import annotations

from collections.abc import Mapping

UNITS = "/usr/lib/systemd/system"

_SERVICE = """\
[Unit]
Description=Set the password of root from a credential
DefaultDependencies=no
ConditionFirstBoot=yes
ConditionCredential=passwd.hashed-password.root
ConditionPathIsReadWrite=/etc
After=systemd-remount-fs.service ostree-remount.service systemd-sysusers.service
Before=systemd-firstboot.service sysinit.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential=passwd.hashed-password.root
ExecStart=/bin/sh -c '(printf root:; cat %d/passwd.hashed-password.root) | chpasswd -e'
"""

_SYSINIT = """\
[Unit]
Wants=deb-bootc-root-password.service
"""


def login_files() -> Mapping[str, tuple[int, bytes]]:
    """Absolute path in the image → (mode, content), all owned by root."""
    return {
        f"{UNITS}/deb-bootc-root-password.service": (0o644, _SERVICE.encode()),
        f"{UNITS}/sysinit.target.d/50-deb-bootc-root-password.conf": (0o644, _SYSINIT.encode()),
    }
