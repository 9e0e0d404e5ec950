"""ASCII armour. Source: RFC 9580, 6.2."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from debcore.crc24 import checksum_line
from debcore.errors import Failure

_BLOCK = re.compile(
    r"-----BEGIN (PGP [A-Z ]+)-----[ \t]*\r?\n(?:[A-Za-z-]+: [^\n]*\n)*[ \t]*\r?\n"
    r"([A-Za-z0-9+/=\s]*?)(?:\n=[A-Za-z0-9+/]{4}[ \t]*)?\r?\n-----END \1-----"
)


def enarmor(data: bytes, kind: str) -> str:
    """One armoured block of *kind*, such as `PGP PUBLIC KEY BLOCK`."""
    text = base64.b64encode(data).decode()
    lines = (text[start : start + 64] for start in range(0, len(text), 64))
    return "\n".join([f"-----BEGIN {kind}-----", "", *lines, checksum_line(data), f"-----END {kind}-----", ""])


def join_certificates(certificates: Iterable[str]) -> str:
    """All of them in one armoured block, for apt's Signed-By: bookworm's apt reads no second one."""
    return enarmor(b"".join(dearmor(one) for one in certificates), "PGP PUBLIC KEY BLOCK")


def dearmor(data: bytes | str) -> bytes:
    """The packets of all armoured blocks joined; binary input is returned as it is. Errors: Failure on neither."""
    raw = data.encode() if isinstance(data, str) else data
    if raw[:1] and raw[0] & 0x80:
        return raw
    text = raw.decode("utf-8", "replace")
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise Failure("no OpenPGP data in what should be a key or signature")
    try:
        return b"".join(base64.b64decode("".join(body.split()), validate=True) for _, body in blocks)
    except binascii.Error as error:
        raise Failure(f"damaged OpenPGP armour: {error}") from error
