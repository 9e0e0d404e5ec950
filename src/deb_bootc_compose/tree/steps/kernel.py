"""One kernel, at /usr/lib/modules/<version>/vmlinuz, where ostree and bootc look for it (K1, K3, L6).

Debian 13 ships it as /boot/vmlinuz-<version> only; later releases ship both, the one a hard link of the other.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State
from debcore.errors import Failure


def run(tree: Path, options: FinishOptions, state: State) -> None:
    del options
    state.kver = find_version(tree)
    place = tree / "usr/lib/modules" / state.kver
    for name in ("vmlinuz", "config", "System.map"):
        source = tree / "boot" / f"{name}-{state.kver}"
        if source.is_file() and not ((place / name).exists() and files.has_same_bytes(source, place / name)):
            files.remove(place / name)  # of the tree below, whose kernel this one replaces
            shutil.copyfile(source, place / name)
            (place / name).chmod(0o644)
    for pattern in ("vmlinuz*", "initrd.img*"):
        for path in tree.glob(pattern):
            files.remove(path)


def find_version(tree: Path) -> str:
    """The version of the only kernel. Errors: Failure if there is none, or more than one."""
    modules = tree / "usr/lib/modules"
    versions = [path.name for path in sorted(modules.iterdir())] if modules.is_dir() else []
    found = [v for v in versions if (modules / v / "vmlinuz").is_file() or (tree / "boot" / f"vmlinuz-{v}").is_file()]
    if not found:
        raise Failure("the tree has no kernel", hint="add a package such as linux-image-amd64 to the manifest")
    if len(found) > 1:
        raise Failure(
            f"the tree has more than one kernel: {', '.join(found)}",
            hint="name one linux-image package: an image boots exactly one",
        )
    return found[0]
