"""The checksum of ASCII armour. Source: RFC 9580, 6.1.1."""

from __future__ import annotations

import base64


def checksum_line(data: bytes) -> str:
    """The line after the body. Optional for new readers; GnuPG 2.2 finds the end of a body without padding by it."""
    crc = 0xB704CE
    for byte in data:
        crc = (crc << 8 & 0xFFFFFF) ^ _TABLE[crc >> 16 ^ byte]
    return f"={base64.b64encode(crc.to_bytes(3, 'big')).decode()}"


def _crc_of_byte(byte: int) -> int:
    crc = byte << 16
    for _ in range(8):
        crc <<= 1
        if crc & 0x1000000:
            crc ^= 0x1864CFB
    return crc


_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))
