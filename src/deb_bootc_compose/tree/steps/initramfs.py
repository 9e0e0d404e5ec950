"""The initramfs beside the kernel, by the tree's own dracut, for any machine, the same bytes each time (K2, K4, K5).

It comes after prepare-root.conf, which dracut's ostree module copies into it.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State
from debcore.errors import Failure

CONF = "usr/lib/dracut/dracut.conf.d/50-image.conf"

SCRIPT = (
    "set -e; umask 022; mkdir -p /run/dracut\n"
    'dracut --force --quiet --tmpdir /run/dracut --kver "$1" "$2"; chmod 644 "$2"\n'
)


def run(tree: Path, options: FinishOptions, state: State) -> None:
    """Write dracut's configuration, so that whoever runs dracut in a derived image gets the same kind."""
    if not (tree / "usr/bin/dracut").exists():
        raise Failure(
            "the tree has no dracut", hint="add the package dracut: ostree-boot has no other initramfs module"
        )
    modules = " ".join(("ostree", "systemd", *options.dracut_modules))
    lines = ("hostonly=no", "hostonly_cmdline=no", "reproducible=yes", "early_microcode=no", "show_modules=no")
    text = "".join(f'{line.replace("=", "=" + chr(34))}"\n' for line in lines)
    compress = "zstd -9 -q -T1" if (tree / "usr/bin/zstd").exists() else "gzip -n -6"
    files.write(tree, CONF, f'{text}compress="{compress}"\nadd_dracutmodules+=" {modules} "\n')
    files.remove(tree / "usr/lib/modules" / state.kver / "initramfs.img")


def commands(options: FinishOptions, state: State) -> list[list[str]]:
    del options
    image = f"/usr/lib/modules/{state.kver}/initramfs.img"
    return [["/bin/sh", "-c", SCRIPT, "dracut", state.kver, image]]
