"""Nothing in the image belongs to one machine: ids, keys, names and leftovers of the build go (S7–S10).

machine-id: `uninitialized` makes the first boot a first boot for systemd (presets apply, a new id is written); with it
our presets end in `disable *` and systemd-firstboot asks nothing, because a server that waits at a prompt is down.
The empty file (`first_boot=False`) gives a new id and no first-boot semantics.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State

#: Globs below the tree, removed unless the manifest put the very path there.
OF_ONE_MACHINE = (
    "etc/ssh/ssh_host_*", "etc/hostname", "etc/fstab", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-",
    "etc/subuid-", "etc/subgid-", "etc/.pwd.lock", "etc/.updated", "etc/.resolv.conf.systemd-resolved.bak",
    "etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem", "etc/adjtime", "etc/mtab.tmp",
    "etc/apt/sources.list.d/0000*", "etc/apt/apt.conf.d/99mmdebstrap", "usr/sbin/policy-rc.d", "etc/random-seed",
    "etc/systemd/random-seed", "var/lib/dbus/machine-id",
)  # fmt: skip

NEVER_PROMPT = "usr/lib/systemd/system/systemd-firstboot.service.d/10-never-prompt.conf"


def run(tree: Path, options: FinishOptions, state: State) -> None:
    ours = {entry.path.lstrip("/") for entry in options.add_files} | inherited(state)
    remove_leftovers(tree, ours)
    _clean_resolv_conf(tree, ours)
    files.write(tree, "etc/machine-id", "uninitialized\n" if options.first_boot else "", mode=0o444)
    if options.first_boot and (tree / "usr/lib/systemd/system/systemd-firstboot.service").exists():
        program = "systemd-firstboot"
        files.write(tree, NEVER_PROMPT, f"# Credentials still count.\n[Service]\nExecStart=\nExecStart={program}\n")
    _set_defaults(tree, ours)


def inherited(state: State) -> set[str]:
    """What the tree below has of these on purpose: its own finish left nothing else."""
    if not state.below:
        return set()
    below = Path(state.below)
    found = {str(path.relative_to(below)) for pattern in OF_ONE_MACHINE for path in below.glob(pattern)}
    own = [name for name in ("etc/hosts", "etc/resolv.conf") if (below / name).is_file()]
    return found | {name for name in own if not (below / name).is_symlink()}


def remove_leftovers(tree: Path, ours: set[str]) -> None:
    """Remove what OF_ONE_MACHINE names, but for *ours*: files of the manifest."""
    for pattern in OF_ONE_MACHINE:
        for path in sorted(tree.glob(pattern)):
            if str(path.relative_to(tree)) not in ours:
                files.remove(path)


def _clean_resolv_conf(tree: Path, ours: set[str]) -> None:
    """The stub of systemd-resolved where the image has it, else nothing: the file of the build host never."""
    if "etc/resolv.conf" in ours:
        return
    files.remove(tree / "etc/resolv.conf")
    if (tree / "usr/lib/systemd/systemd-resolved").exists():
        files.link(tree, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")


def _set_defaults(tree: Path, ours: set[str]) -> None:
    """What systemd-firstboot would ask for, answered: time zone UTC, locale C.UTF-8."""
    if not files.exists(tree / "etc/localtime"):
        files.link(tree, "etc/localtime", "../usr/share/zoneinfo/Etc/UTC")
    elif (tree / "etc/localtime").is_symlink():
        target = str((tree / "etc/localtime").readlink())
        if target.startswith("/"):
            files.link(tree, "etc/localtime", f"..{target}")
    if not files.exists(tree / "etc/locale.conf") and "etc/locale.conf" not in ours:
        files.write(tree, "etc/locale.conf", "LANG=C.UTF-8\n")
    if "etc/hosts" not in ours:
        files.write(tree, "etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
