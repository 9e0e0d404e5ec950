"""The initramfs beside the kernel, by the tree's own dracut, for any machine, the same bytes each time (K2, K4, K5).

It comes after prepare-root.conf, which dracut's ostree module copies into it.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.lints.cpio import read_archive
from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State
from debcore.errors import Failure

CONF = "usr/lib/dracut/dracut.conf.d/50-image.conf"

#: Whatever is new in these may go into an initramfs.
SOURCES = (
    "usr/lib/dracut", "etc/dracut.conf.d", "usr/lib/firmware", "usr/lib/modprobe.d", "etc/modprobe.d",
    "usr/lib/udev/rules.d", "etc/udev/rules.d", "usr/lib/modules-load.d", "etc/modules-load.d",
)  # fmt: skip
#: Files of the initramfs that dracut writes by itself, whatever the tree has there.
OTHERWISE = frozenset({
    "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/ld.so.cache", "etc/os-release", "usr/lib/os-release",
    "etc/machine-id", "etc/hostname",
})  # fmt: skip

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
    omit = f'omit_dracutmodules+=" {" ".join(options.dracut_omit)} "\n' if options.dracut_omit else ""
    files.write(tree, CONF, f'{text}compress="{compress}"\nadd_dracutmodules+=" {modules} "\n{omit}')
    state.keep_initramfs = bool(state.below) and is_current(tree, Path(state.below), state.kver)
    name = f"usr/lib/modules/{state.kver}/initramfs.img"
    if state.earlier:
        files.write(tree, name, (Path(state.earlier) / name).read_bytes())
        state.keep_initramfs = True
    elif not state.keep_initramfs:
        files.remove(tree / name)


def is_current(tree: Path, below: Path, kver: str) -> bool:
    """Whether the initramfs of the tree *below* is what dracut would make here: nothing that goes into it changed."""
    name = f"usr/lib/modules/{kver}/initramfs.img"
    if not (below / name).is_file():
        return False
    if any(files.differs_below(tree, below, directory) for directory in (*SOURCES, f"usr/lib/modules/{kver}")):
        return False
    inside = set(read_archive(below / name)) - OTHERWISE
    return all(files.is_same(tree, below, one) for one in inside if files.exists(below / one))


def commands(options: FinishOptions, state: State) -> list[list[str]]:
    del options
    if state.keep_initramfs:
        return []
    image = f"/usr/lib/modules/{state.kver}/initramfs.img"
    return [["/bin/sh", "-c", SCRIPT, "dracut", state.kver, image]]
