"""A finished image looked at from outside: partition table, both file systems, boot loader, immutable deployment."""

from __future__ import annotations

from deb_bootc_compose.disk import xfs
from deb_bootc_compose.disk.bench import Bench, open_bench
from deb_bootc_compose.disk.image import IMMUTABLE, LOADERS, Disk, inode_flags
from deb_bootc_compose.disk.layout import FAT32_CLUSTERS, SECTOR, count_clusters
from debroot.store import Store

IMAGE = "/in/disk.raw"


def check_disk(store: Store, disk: Disk, *, suite: str = "trixie", arch: str = "amd64") -> tuple[str, ...]:
    """What is wrong with the image, one line each; nothing if it is good. Never writes to it.

    Errors: CommandFailed if a program of the tools root cannot be run at all.
    """
    with open_bench(store, suite=suite, arch=arch, binds={IMAGE: disk.path}) as bench:
        if disk.filesystem == "xfs":
            with xfs.xfs_bench(store, bench, suite=suite) as other:
                xfs.take_root(other, disk.layout, IMAGE)
                root = xfs.check_xfs(other, disk.deployment, uuid=str(disk.identity.root_fs))
        else:
            root = check_root(bench, disk)
        return (*check_table(bench), *root, *check_esp(bench, disk, arch))


def check_table(bench: Bench) -> list[str]:
    """Source: sfdisk(8) --verify."""
    done = bench.run(["sfdisk", "--verify", IMAGE], check=False)
    said = done.text + done.stderr.decode("utf-8", "replace")
    return [] if done.status == 0 and "No errors detected" in said else [f"partition table: {said.strip()}"]


def check_root(bench: Bench, disk: Disk) -> list[str]:
    """Source: e2fsck(8): status 0 means clean."""
    problems = []
    root = f"{IMAGE}?offset={disk.layout.root_start}"
    done = bench.run(["e2fsck", "-f", "-n", root], check=False)
    if done.status != 0:
        problems.append(f"root file system: {done.text.strip()}")
    if not inode_flags(bench, IMAGE, disk.layout, disk.deployment) & IMMUTABLE:
        problems.append(f"root file system: {disk.deployment} is not immutable")
    menu = bench.run(["debugfs", "-R", "cat /boot/loader/grub.cfg", root], check=False).text
    if f"root=UUID={disk.identity.root_fs}" not in menu:
        problems.append("boot loader: the menu has no entry that names the root file system")
    return problems


def check_esp(bench: Bench, disk: Disk, arch: str) -> list[str]:
    letters = LOADERS[arch][0]
    wanted = (
        f"/EFI/BOOT/BOOT{letters.upper()}.EFI", f"/EFI/BOOT/grub{letters}.efi", f"/EFI/BOOT/mm{letters}.efi",
        "/EFI/debian/grub.cfg",
    )  # fmt: skip
    with disk.path.open("rb") as file:
        file.seek(disk.layout.esp_start)
        if count_clusters(file.read(SECTOR)) < FAT32_CLUSTERS:
            return ["ESP: it has too few clusters for FAT32, a firmware reads it as FAT16"]
    esp = f"{IMAGE}@@{disk.layout.esp_start}"
    listed = bench.run(["mdir", "-b", "-/", "-i", esp, "::/"], check=False).text.upper()
    return [f"ESP: {name} is missing" for name in wanted if name.upper() not in listed]
