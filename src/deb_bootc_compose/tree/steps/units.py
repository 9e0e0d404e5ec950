"""Units: presets instead of enablement links, curated masks, a default target (S7, S11, contract 1.6).

What packages enabled through links in /etc/systemd/system becomes a preset; the links go. At the first boot systemd
makes them anew in the machine's own /etc, where an administrator may remove them without a conflict at the
next update. Links of user units move to /usr/lib/systemd/user: nothing applies presets of users at first boot.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State

SYSTEM = "etc/systemd/system"
VENDOR = "usr/lib/systemd/system"
DEFAULT_TARGET = "multi-user.target"
PRESET = "usr/lib/systemd/system-preset/20-image.preset"

#: Units that make no sense on a read-only /usr, write to /boot, or change packages behind the image's back.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "apt-daily.service", "apt-daily-upgrade.service",
    "dpkg-db-backup.timer", "dpkg-db-backup.service", "unattended-upgrades.service",
    "packagekit-offline-update.service",
    "systemd-boot-update.service", "e2scrub_all.timer", "e2scrub_reap.service", "man-db.timer", "grub-common.service",
    "grub2-common.service",
)  # fmt: skip


def run(tree: Path, options: FinishOptions, state: State) -> None:
    units = options.units
    masked = {unit for unit in MASKED if files.exists(tree / VENDOR / unit)} - set(units.enable) | set(units.mask)
    enabled = enabled_by_links(tree) | vendor_defaults(tree)
    if state.below:  # whose manifest has chosen already
        below = Path(state.below)
        enabled = enabled_by_links(tree) | (vendor_defaults(tree) - vendor_defaults(below)) | enabled_below(below)
        _unmask(tree, set(units.enable))
    if not options.first_boot:  # no presets without a first boot: the links stay, less the masked and disabled ones
        _drop_links(tree, masked | set(units.disable))
    else:
        _drop_links(tree, None)
    chosen = sorted((enabled - masked - set(units.disable)) | set(units.enable))
    state.enabled = tuple(chosen)
    lines = [f"enable {unit}\n" for unit in chosen]
    files.write(
        tree,
        PRESET,
        "# What this image runs. The first line that fits a unit counts.\n" + "".join(lines) + "disable *\n",
    )
    for unit in sorted(masked):
        files.link(tree, f"{SYSTEM}/{unit}", "/dev/null")
    if units.default_target is not None or not state.below:
        files.link(tree, f"{VENDOR}/default.target", units.default_target or DEFAULT_TARGET)
    _move_user_links(tree)


def enabled_below(below: Path) -> set[str]:
    """What the preset of a finished tree enables."""
    lines = (files.read_text(below, PRESET) or "").splitlines()
    return {line.split()[1] for line in lines if line.startswith("enable ")}


def _unmask(tree: Path, units: set[str]) -> None:
    for unit in units:
        path = tree / SYSTEM / unit
        if path.is_symlink() and files.read_link(path) == "/dev/null":
            files.remove(path)


def is_enablement(entry: files.Entry) -> bool:
    """Whether it is a link by which `systemctl enable` or a maintainer script enabled a unit."""
    directory = entry.name.rsplit("/", 2)[-2]
    return entry.is_link and directory.endswith((".wants", ".requires", ".upholds"))


def enabled_by_links(tree: Path) -> set[str]:
    """Units that a link in /etc wants, by the name of the unit file: an instance counts as its template."""
    found = set()
    for entry in files.walk(tree, SYSTEM):
        target = files.read_link(entry.path) if entry.is_link else ""
        if entry.is_link and target != "/dev/null":
            name = target.rpartition("/")[2]
            if files.exists(tree / VENDOR / name) or files.exists(tree / SYSTEM / name):
                found.add(name)
    return found


def vendor_defaults(tree: Path) -> set[str]:
    """Units that the tree's systemd enables by preset and that are there, without glob patterns."""
    text = files.read_text(tree, "usr/lib/systemd/system-preset/90-systemd.preset") or ""
    names = {line.split()[1] for line in text.splitlines() if line.startswith("enable ")}
    wanted = {"getty@.service", "remote-fs.target", "systemd-pstore.service", "systemd-timesyncd.service"}
    wanted |= {"systemd-resolved.service"}
    return {name for name in names & wanted if files.exists(tree / VENDOR / name)}


def _drop_links(tree: Path, units: set[str] | None) -> None:
    """Remove enablement links and aliases of *units* (None: of all), and directories that become empty."""
    for entry in list(files.walk(tree, SYSTEM)):
        target = files.read_link(entry.path) if entry.is_link else ""
        if not entry.is_link or target == "/dev/null":
            continue
        name = target.rpartition("/")[2]
        if units is None or name in units:
            files.remove(entry.path)
    for entry in sorted(files.walk(tree, SYSTEM), key=lambda e: e.name, reverse=True):
        if entry.is_dir and entry.name.endswith((".wants", ".requires", ".upholds")) and not files.names(entry.path):
            entry.path.rmdir()


def _move_user_links(tree: Path) -> None:
    for entry in list(files.walk(tree, "etc/systemd/user")):
        if not is_enablement(entry):
            continue
        directory, name = entry.name.rsplit("/", 2)[-2:]
        target = files.read_link(entry.path).rpartition("/")[2]
        files.remove(entry.path)
        files.link(tree, f"usr/lib/systemd/user/{directory}/{name}", f"../{target}")
        if not files.names(entry.path.parent):
            entry.path.parent.rmdir()
