"""Where everything on the disk is and what it is called: pure functions of size and tree id.

A GPT disk with an EFI system partition and one ext4 root. Everything that is random elsewhere (disk and partition
UUIDs, the file systems' ids, ext4's hash seed) is derived from the tree id, so that one commit gives one image.
Source: Discoverable Partitions Specification (type UUIDs), sfdisk(8), mke2fs(8).
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from dataclasses import dataclass

from debcore.errors import ConfigError

MIB = 1024 * 1024
SECTOR = 512  #: bytes
BLOCK = 4096  #: bytes of an ext4 block

#: Room for boot loaders now and unified kernel images later; FAT32 needs more than 33 MiB.
ESP_SIZE = 512 * MIB

#: Sectors of a cluster of the ESP: mkfs.vfat(8) would go by the size of the whole disk and make too few clusters.
ESP_CLUSTER = 8

#: A FAT file system with fewer clusters is FAT16 to a firmware, whatever it calls itself.
#: Source: Microsoft FAT specification, "FAT Type Determination".
FAT32_CLUSTERS = 65525

#: Before the first partition, and after the last one for the second partition table: whole MiB keep all aligned.
EDGE = MIB

#: The smallest disk that is not refused outright: ESP and a root that holds any Debian with a kernel.
MIN_SIZE = ESP_SIZE + 1024 * MIB

ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ROOT_TYPES = {
    "amd64": uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
    "arm64": uuid.UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),
}

#: The first serial line, as the kernel calls it.
SERIAL = {"amd64": "ttyS0", "arm64": "ttyAMA0"}

#: Namespace of our version 5 UUIDs. Fixed for ever: it is part of every image's identity.
NAMESPACE = uuid.UUID("6f1f1b8e-53a3-5d0c-9a35-7c3f6b1f0d52")

ROOT_LABEL = "root"
ESP_LABEL = "ESP"


@dataclass(frozen=True)
class Identity:
    """Every id on the disk."""

    disk: uuid.UUID
    esp_part: uuid.UUID
    root_part: uuid.UUID
    root_fs: uuid.UUID
    hash_seed: uuid.UUID
    esp_volume: str  #: FAT volume id, eight hexadecimal digits


def make_identity(tree_id: str) -> Identity:
    """Ids derived from *tree_id*, any text: usually the commit's checksum."""

    def derive(role: str) -> uuid.UUID:
        return uuid.uuid5(NAMESPACE, f"{role}:{tree_id}")

    volume = hashlib.sha256(f"esp-volume:{tree_id}".encode()).hexdigest()[:8]
    return Identity(derive("disk"), derive("esp"), derive("root"), derive("root-fs"), derive("hash-seed"), volume)


@dataclass(frozen=True)
class Layout:
    """Bytes from the start of the disk, and sizes in bytes."""

    size: int
    esp_start: int
    esp_size: int
    root_start: int
    root_size: int


def make_layout(size: int) -> Layout:
    """The layout of a disk of *size* bytes. Errors: ConfigError if it is too small or no whole number of MiB."""
    if size % MIB:
        raise ConfigError("size", f"{size} bytes is no whole number of MiB", hint=f"use {-(-size // MIB) * MIB}")
    if size < MIN_SIZE:
        raise ConfigError(
            "size", f"{size // MIB} MiB is too small for a disk", hint=f"at least {MIN_SIZE // MIB} MiB are needed"
        )
    root_start = EDGE + ESP_SIZE
    return Layout(size, EDGE, ESP_SIZE, root_start, size - root_start - EDGE)


def sfdisk_script(layout: Layout, identity: Identity, arch: str) -> str:
    """Input of sfdisk(8): exact start and size of each partition, in sectors of 512 bytes."""
    return "".join(
        line + "\n"
        for line in (
            "label: gpt",
            f"label-id: {identity.disk}",
            "unit: sectors",
            f"sector-size: {SECTOR}",
            "",
            f"start={layout.esp_start // SECTOR}, size={layout.esp_size // SECTOR}, "
            f'type={ESP_TYPE}, uuid={identity.esp_part}, name="esp"',
            f"start={layout.root_start // SECTOR}, size={layout.root_size // SECTOR}, "
            f'type={find_root_type(arch)}, uuid={identity.root_part}, name="root"',
        )
    )


def find_root_type(arch: str) -> uuid.UUID:
    """The partition type of a root of Debian architecture *arch*. Errors: ConfigError if we make no disks for it."""
    if arch not in ROOT_TYPES:
        raise ConfigError("arch", f"no disk image can be made for {arch}", hint=f"known: {', '.join(ROOT_TYPES)}")
    return ROOT_TYPES[arch]


def esp_grub_cfg(identity: Identity) -> str:
    """EFI/debian/grub.cfg, where Debian's signed GRUB looks first: on to the menu that OSTree keeps on the root."""
    return (
        f"search --no-floppy --fs-uuid --set=root {identity.root_fs}\n"
        "set prefix=($root)/boot/grub\n"
        "configfile $prefix/grub.cfg\n"
    )


def default_kargs(arch: str) -> tuple[str, ...]:
    """Of an image whose manifest names none: screen and first serial line are consoles. *arch* is one of SERIAL."""
    return ("console=tty0", f"console={SERIAL[arch]}")


def kernel_args(identity: Identity, extra: tuple[str, ...]) -> tuple[str, ...]:
    """The kernel command line of the first deployment but for `ostree=`, which OSTree adds.

    gpt_auto is off since OSTree makes the mounts; systemd would put the ESP on /boot.
    """
    return (f"root=UUID={identity.root_fs}", "rw", "systemd.gpt_auto=0", *extra)


def count_clusters(boot_sector: bytes) -> int:
    """Of the FAT32 file system that begins with this sector. Errors: ValueError if it begins with none."""
    size, per_cluster, reserved, tables = struct.unpack_from("<HBHB", boot_sector, 11)
    sectors, table = struct.unpack_from("<II", boot_sector, 32)
    if size != SECTOR or not per_cluster:
        raise ValueError("no FAT32 file system begins here")
    return int((sectors - reserved - tables * table) // per_cluster)
