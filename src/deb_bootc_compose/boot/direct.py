"""Kernel and initramfs of an image for a machine that shall be up soon: nothing is unpacked or probed by an emulator
that this host, or nobody, can do in its place.

The kernel is taken out of its bzImage, which QEMU starts by its PVH entry (amd64); the initramfs gets a first program
of its own, `direct-init`, which goes to the deployment without udev and systemd. What else is in it stays.
Source: Linux Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length) and
driver-api/early-userspace/buffer-format.rst; QEMU docs/system/i386 (PVH).
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping
from pathlib import Path

import zstandard

from debcore.errors import ConfigError

INIT = "debootc/init"
CHROOT = "debootc/chroot"

#: What a try does not need: growing onto a disk that is the image's own, a machine id for later boots, drivers that no
#: device of this machine has.
MASKED = (
    "deb-bootc-grow.service", "systemd-machine-id-commit.service", "modprobe@drm.service",
    "modprobe@efi_pstore.service",
)  # fmt: skip

#: Kernel arguments of a machine that lives for one try: its first program; no defence against what runs in it, no
#: clearing of memory that QEMU gives out empty, no self-tests of ciphers, no line for each unit on the serial
#: console, no way in by vsock, and none of what a first boot writes for later ones (an image has its caches).
ARGUMENTS = (
    f"rdinit=/{INIT}", "panic=-1", "mitigations=off", "init_on_alloc=0", "cryptomgr.notests", "nokaslr", "quiet",
    "rcupdate.rcu_expedited=1", "systemd.show_status=auto", "systemd.condition_needs_update=0", "systemd.ssh_auto=no",
    *(f"systemd.mask={unit}" for unit in MASKED),
)  # fmt: skip

ELF = b"\x7fELF"
ZSTD = b"\x28\xb5\x2f\xfd"
#: Bytes of a bzImage up to the end of payload_length.
HEADER = 0x250
#: The largest kernel that is unpacked, in bytes; Debian's are of 60 MB.
LIMIT = 512 * 1024**2


def unpack_kernel(image: bytes) -> bytes:
    """The ELF file in an x86 bzImage; *image* as it is if it is another kind, or not packed with zstd."""
    if len(image) < HEADER or image[0x202:0x206] != b"HdrS":
        return image
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    packed = image[start : start + length]
    if not packed.startswith(ZSTD):
        return image
    try:
        # Behind the frame stand four bytes: its unpacked size, which is not believed.
        with zstandard.ZstdDecompressor().stream_reader(packed[:-4]) as reader:
            unpacked = reader.read(LIMIT)
    except zstandard.ZstdError as error:
        raise ConfigError("kernel", f"the kernel of the image cannot be unpacked: {error}") from error
    return unpacked if unpacked.startswith(ELF) and len(unpacked) < LIMIT else image


def pack_cpio(files: Mapping[str, bytes]) -> bytes:
    """A newc archive of *files* (path without a slash at its front → content), each 0755, with their directories."""
    entries: list[tuple[str, int, bytes]] = []
    for path, content in files.items():
        parents = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        known = {name for name, _, _ in entries}
        entries += [(parent, stat.S_IFDIR | 0o755, b"") for parent in parents if parent not in known]
        entries.append((path, stat.S_IFREG | 0o755, content))
    entries.append(("TRAILER!!!", 0, b""))
    packed = bytearray()
    for number, (name, mode, content) in enumerate(entries, 1):
        words = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        packed += b"070701" + b"".join(b"%08X" % word for word in words) + name.encode() + b"\0"
        packed += bytes(-len(packed) % 4) + content
        packed += bytes(-len(packed) % 4)
    return bytes(packed)


def extend_initramfs(initramfs: bytes, chroot: bytes) -> bytes:
    """*initramfs* and behind it an archive with `direct-init`, which ARGUMENTS name, and the tree's chroot(1)."""
    init = Path(__file__).with_name("direct-init").read_bytes()
    return initramfs + bytes(-len(initramfs) % 4) + pack_cpio({INIT: init, CHROOT: chroot})
