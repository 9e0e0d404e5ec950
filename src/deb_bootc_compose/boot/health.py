"""The units by which a system on trial says that it is good, or makes room for the one before it.

GRUB counts (see grub-generator); what counts as good is systemd's boot-complete.target: whatever is ordered before it
and required by it is a health check. Source: systemd.special(7), "Automatic Boot Assessment" of systemd.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Marks a system that knows how to end its trial: the generator puts no other on trial.
TRIAL = "/usr/libexec/deb-bootc/boot-trial"

UNITS = "/usr/lib/systemd/system"

#: Minutes from power-on after which a system on trial that has not come up is given up.
DEADLINE = 15

_GOOD = f"""\
# A system that GRUB has on trial came up: tell GRUB. A unit that is RequiredBy=boot-complete.target and
# Before=boot-complete.target is a health check: if it fails, the system is not good.
[Unit]
Description=Tell the boot loader that this system came up
DefaultDependencies=no
ConditionKernelCommandLine=deb-bootc.trial
Requires=boot-complete.target
After=boot-complete.target multi-user.target
Conflicts=shutdown.target
Before=shutdown.target
OnFailure=deb-bootc-boot-bad.service

[Service]
Type=oneshot
RemainAfterExit=yes
PrivateMounts=yes
ExecStart={TRIAL}
ExecStartPost=/bin/touch /run/deb-bootc-boot-good
"""

_BAD = """\
# A system on trial did not come up: start again. GRUB counts, and in the end takes the system before it.
[Unit]
Description=Give up a system that is on trial
DefaultDependencies=no
ConditionKernelCommandLine=deb-bootc.trial
ConditionPathExists=!/run/deb-bootc-boot-good
Conflicts=shutdown.target
Before=shutdown.target
SuccessAction=reboot

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "this system is on trial and did not come up: starting again" | tee /dev/kmsg'
"""

_DEADLINE = f"""\
[Unit]
Description=Deadline of a system that is on trial
DefaultDependencies=no
ConditionKernelCommandLine=deb-bootc.trial
Conflicts=shutdown.target
Before=shutdown.target

[Timer]
OnBootSec={DEADLINE}min
AccuracySec=1s
Unit=deb-bootc-boot-bad.service
"""

_MULTI_USER = """\
[Unit]
Wants=deb-bootc-boot-good.service deb-bootc-boot-deadline.timer
"""

_EMERGENCY = """\
[Unit]
Wants=deb-bootc-boot-bad.service
"""


def health_files() -> Mapping[str, tuple[int, bytes]]:
    """Absolute path in the image → (mode, content), all owned by root."""
    texts = {
        "deb-bootc-boot-good.service": _GOOD,
        "deb-bootc-boot-bad.service": _BAD,
        "deb-bootc-boot-deadline.timer": _DEADLINE,
        "multi-user.target.d/50-deb-bootc-trial.conf": _MULTI_USER,
        "emergency.target.d/50-deb-bootc-trial.conf": _EMERGENCY,
    }
    files = {f"{UNITS}/{name}": (0o644, text.encode()) for name, text in texts.items()}
    return {TRIAL: (0o755, Path(__file__).with_name("boot-trial").read_bytes()), **files}
