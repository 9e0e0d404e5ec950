"""Writing the one GVariant that OSTree keeps signatures in: a{sv} with {"ostree.gpgsigs": <aay>}.

Source: GVariant specification 1.0, section 2 (serialisation): framing offsets at the end of a container, little-endian,
in the smallest of 1, 2, 4, 8 bytes that the whole container needs; variants and dictionary entries are aligned to 8.
"""

from __future__ import annotations

from collections.abc import Sequence

KEY = b"ostree.gpgsigs"


def signatures_metadata(signatures: Sequence[bytes]) -> bytes:
    """Detached metadata (.commitmeta, summary.sig) with *signatures*."""
    value = pack_array(signatures) + b"\0aay"
    key = KEY + b"\0"
    body = key + bytes(-len(key) % 8) + value
    entry = body + _offsets(len(body), [len(key)])
    return entry + _offsets(len(entry), [len(entry)])


def pack_array(elements: Sequence[bytes]) -> bytes:
    """An array of byte arrays: the elements, then where each ends."""
    body = b"".join(elements)
    ends, at = [], 0
    for element in elements:
        at += len(element)
        ends.append(at)
    return body + _offsets(len(body), ends)


def _offsets(length: int, ends: Sequence[int]) -> bytes:
    """Framing offsets of a container with *length* bytes of content."""
    if not ends:
        return b""
    size = next(s for s in (1, 2, 4, 8) if length + s * len(ends) < 256**s)
    return b"".join(end.to_bytes(size, "little") for end in ends)
