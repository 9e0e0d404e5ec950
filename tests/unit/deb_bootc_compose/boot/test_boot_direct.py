"""Kernels are taken out of their bzImage, and an initramfs gets its first program."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
import zstandard

from deb_bootc_compose.boot import direct
from deb_bootc_compose.boot.direct import ARGUMENTS, CHROOT, ELF, INIT, extend_initramfs, pack_cpio, unpack_kernel
from deb_bootc_compose.lints.cpio import walk_archive
from debcore.errors import ConfigError


def bzimage(payload: bytes, *, sectors: int = 3, offset: int = 0x20) -> bytes:
    """The parts of an x86 boot image that say where its payload is."""
    head = bytearray((sectors + 1) * 512 + offset)
    head[0x1F1] = sectors
    head[0x202:0x206] = b"HdrS"
    head[0x248:0x250] = struct.pack("<II", offset, len(payload))
    return bytes(head) + payload + b"behind it"


def packed(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content) + struct.pack("<I", len(content))


@pytest.mark.parametrize("sectors", [1, 3, 39])
def test_a_kernel_comes_out_of_its_image(sectors: int) -> None:
    kernel = ELF + bytes(range(256)) * 500
    assert unpack_kernel(bzimage(packed(kernel), sectors=sectors)) == kernel


@pytest.mark.parametrize(
    "image",
    [b"", b"MZ an EFI stub of arm64", bzimage(b"\xfd7zXZ\0 another packer"), bzimage(packed(b"no ELF file"))],
    ids=["empty", "arm64", "xz", "no-elf"],
)
def test_what_is_no_such_image_stays_as_it_is(image: bytes) -> None:
    assert unpack_kernel(image) == image


def test_a_damaged_kernel_is_named() -> None:
    damaged = bytearray(packed(ELF + bytes(range(256)) * 500))
    damaged[4] = 0xFF
    with pytest.raises(ConfigError, match="cannot be unpacked"):
        unpack_kernel(bzimage(bytes(damaged)))


@pytest.mark.parametrize("before", [b"", b"x" * 3, b"x" * 4])
def test_the_archive_is_one_that_others_read(before: bytes) -> None:
    files = {"debootc/init": b"first", "debootc/deep/er": b"second!", "plain": b""}
    assert dict(walk_archive(pack_cpio(files))) == {"debootc": b"", "debootc/deep": b"", **files}
    own = pack_cpio({"etc/own": before})
    extended = dict(walk_archive(extend_initramfs(own, b"chroot")))
    assert extended["etc/own"] == before
    assert extended[CHROOT] == b"chroot"
    assert extended[INIT].startswith(b"#!/bin/sh\n")


def test_the_first_program_is_a_shell_script_that_the_kernel_is_told_of() -> None:
    script = Path(direct.__file__).with_name("direct-init")
    subprocess.run(["sh", "-n", script], check=True)
    assert f"rdinit=/{INIT}" in ARGUMENTS
    assert f"exec /{CHROOT} " in script.read_text()
