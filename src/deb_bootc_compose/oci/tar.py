"""Writing tar so that the same files give the same bytes. Standard library only.

ustar headers, and a PAX header only where ustar cannot say it: long names, large numbers, extended attributes. Owners
are numbers, there are no names of users, no atime or ctime. Source: POSIX pax(1), "ustar Interchange Format".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Protocol

BLOCK = 512
#: Trailer and padding of the whole archive: two empty blocks, as POSIX asks for, no more.
END = bytes(2 * BLOCK)


class Sink(Protocol):
    """What takes the bytes: a file, or something that also hashes them."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Member:
    """One entry. `name` without leading slash; `kind` as in the header: 0 file, 1 hard link, 2 symlink, 5 directory."""

    name: bytes
    kind: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0  #: bytes that follow
    mtime: int = 0  #: seconds since the epoch
    target: bytes = b""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def write_member(sink: Sink, member: Member, content: IO[bytes] | None = None) -> None:
    """Write headers, then `size` bytes of *content*, then padding. Errors: EOFError if *content* is shorter."""
    sink.write(make_headers(member))
    left = member.size
    while left and content is not None:
        data = content.read(min(left, 1 << 20))
        if not data:
            raise EOFError(f"{member.name!r} became shorter while it was read")
        sink.write(data)
        left -= len(data)
    sink.write(bytes(-member.size % BLOCK))


def make_headers(member: Member) -> bytes:
    """The header block of *member*, a PAX header before it if it needs one."""
    name = member.name + (b"/" if member.kind == b"5" else b"")
    records: dict[str, bytes] = {}
    if len(name) > 100 or not name.isascii():
        records["path"] = name
    if len(member.target) > 100 or not member.target.isascii():
        records["linkpath"] = member.target
    for key, value, most in (
        ("uid", member.uid, 0o7777777),
        ("gid", member.gid, 0o7777777),
        ("size", member.size, 8**11 - 1),
    ):
        if value > most:
            records[key] = str(value).encode()
    records |= {f"SCHILY.xattr.{key}": value for key, value in member.xattrs.items()}
    plain = _block(member, name[:100], member.target[:100])
    if not records:
        return plain
    body = b"".join(make_record(key, records[key]) for key in sorted(records))
    extended = Member(name=b"", kind=b"x", mode=0o644, size=len(body))
    shown = (b"PaxHeaders/" + member.name.rsplit(b"/", 1)[-1])[:100]
    return _block(extended, shown, b"") + body + bytes(-len(body) % BLOCK) + plain


def make_record(key: str, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE` with a length that counts itself."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _octal(value: int, width: int) -> bytes:
    """Digits and a NUL; what does not fit is 0, for then a PAX record has it."""
    digits = f"{value:0{width - 1}o}".encode()
    return (digits if len(digits) < width else b"0" * (width - 1)) + b"\0"


def _block(member: Member, name: bytes, target: bytes) -> bytes:
    head = b"".join(
        (
            name.ljust(100, b"\0"),
            _octal(member.mode & 0o7777, 8),
            _octal(member.uid, 8),
            _octal(member.gid, 8),
            _octal(member.size, 12),
            _octal(member.mtime, 12),
            b" " * 8,
            member.kind,
            target.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            _octal(0, 8),
            _octal(0, 8),
        )
    ).ljust(BLOCK, b"\0")
    checksum = f"{sum(head):06o}\0 ".encode()
    return head[:148] + checksum + head[156:]
