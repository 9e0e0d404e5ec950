"""The files that make an image keep GRUB's menu in step with its OSTree deployments.

Why an own generator: Debian's grub-mkconfig needs a root that grub-probe understands (not composefs), a writable
/etc/default/grub and, at the first deployment, /dev and /proc in a bare deployment. Ours reads only the entries that
OSTree wrote. Source: ostree(1) and libostree's bootloader-grub2 (OSTREE_GRUB2_EXEC), bootup of staged deployments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from deb_bootc_compose.boot.grow import grow_files
from deb_bootc_compose.boot.health import health_files
from deb_bootc_compose.boot.login import login_files

#: Where the generator is in an image.
GENERATOR = "/usr/libexec/deb-bootc/grub-generator"

#: libostree runs this when OSTREE_GRUB2_EXEC is not set, as in an administrator's `ostree admin set-default`.
GRUB_MKCONFIG = "/usr/sbin/grub-mkconfig"

DROP_IN = "/usr/lib/systemd/system/ostree-finalize-staged.service.d/50-deb-bootc-grub.conf"

_DROP_IN = f"""\
# The menu is written from OSTree's own entries; grub-mkconfig does not understand a deployment's root.
[Service]
Environment=OSTREE_GRUB2_EXEC={GENERATOR}
"""

_GRUB_MKCONFIG = f"""\
#!/bin/sh
# In an OSTree image the menu comes from OSTree's own entries: libostree and update-grub end up there.
exec {GENERATOR} "$@"
"""


def generator() -> bytes:
    """The generator: a POSIX shell script, called as `grub-generator -o /boot/loader.N/grub.cfg`."""
    return Path(__file__).with_name("grub-generator").read_bytes()


def image_files(*, grub_mkconfig: bool = True, grow: bool = True) -> Mapping[str, tuple[int, bytes]]:
    """Absolute path in the image → (mode, content), all owned by root.

    *grub_mkconfig*: also take grub-mkconfig's place, so that every `ostree admin` and update-grub write a good menu,
    whatever their environment. Over grub-common's own file too: that one writes an empty menu where
    /etc/default/grub is missing, and a machine with an empty menu does not boot. *grow*: onto a larger disk.
    """
    files = {
        GENERATOR: (0o755, generator()),
        DROP_IN: (0o644, _DROP_IN.encode()),
        **health_files(),
        **login_files(),
        **(grow_files() if grow else {}),
    }
    if grub_mkconfig:
        files[GRUB_MKCONFIG] = (0o755, _GRUB_MKCONFIG.encode())
    return files


def files_digest(*, grow: bool = True) -> str:
    """SHA-256 of image_files(): what a tree's identity depends on."""
    files = image_files(grow=grow).items()
    content = [f"{path} {mode:o} {hashlib.sha256(data).hexdigest()}" for path, (mode, data) in files]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()
