"""The fingerprint of a certificate. Source: RFC 9580, 4.2 (packet headers) and 5.5.4.1 (version 4)."""

from __future__ import annotations

import hashlib

from debcore.errors import Failure

_PUBLIC_KEY = 6


def v4_fingerprint(packets: bytes) -> str:
    """Of the primary key, 40 upper-case digits. Errors: Failure unless *packets* begin with a v4 public key."""
    tag, body = _first_packet(packets)
    if tag != _PUBLIC_KEY or body[:1] != b"\x04":
        raise Failure("no OpenPGP v4 certificate", hint="bookworm's gpgv reads no other version")
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()


def _first_packet(data: bytes) -> tuple[int, bytes]:
    if len(data) < 6 or not data[0] & 0x80:
        raise Failure("no OpenPGP packet")
    if data[0] & 0x40:  # the newer header
        tag, start, size = data[0] & 0x3F, 2, data[1]
        if 192 <= size < 224:
            start, size = 3, ((size - 192) << 8) + data[2] + 192
        elif size == 255:
            start, size = 6, int.from_bytes(data[2:6], "big")
    else:
        width = 1 << (data[0] & 3)
        tag, start, size = (data[0] >> 2) & 0xF, 1 + width, int.from_bytes(data[1 : 1 + width], "big")
    if len(data) < start + size:
        raise Failure("an OpenPGP packet is cut off")
    return tag, data[start : start + size]
