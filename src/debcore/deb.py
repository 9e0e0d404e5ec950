"""Reading control data and names of files of a .deb without trusting it: plain Python, sizes bounded, nothing unpacked.

Source: deb(5): an ar archive of `debian-binary`, `control.tar*`, `data.tar*`, in this order.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

import zstandard

from debcore.deb822 import Stanza, parse_stanza
from debcore.errors import Failure

MAX_CONTROL_MEMBER = 32 * 1024 * 1024  #: bytes of control.tar.*, as stored
MAX_CONTROL_TAR = 128 * 1024 * 1024  #: bytes of control.tar
MAX_CONTROL_FILE = 4 * 1024 * 1024  #: bytes of the file `control`
MAX_DATA_TAR = 64 * 1024**3  #: bytes of data.tar
MAX_NAMES = 64 * 1024 * 1024  #: bytes of all names of files together

_AR_HEADER = 60
_DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
_LINE_END = re.compile(rb"[\r\n]")


class _Reader(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def load_control(path: Path) -> Stanza:
    """The stanza of a .deb's `control` file. Errors: Failure if the file is no sound .deb."""
    with path.open("rb") as file:
        return read_control(file, where=path.name)


def read_control(file: IO[bytes], *, where: str) -> Stanza:
    """Like load_control; reads *file* from its present position up to the end of the control member."""
    try:
        name, member = _control_member(file, where)
        return parse_stanza(_control_file(name, member, where), where=f"{where}: control")
    except _DAMAGE as error:
        raise _fault(where, f"damaged: {error}") from error


def read_file_names(file: IO[bytes], *, where: str) -> list[bytes]:
    """What the package installs but for directories, sorted, without `./`; names with line ends are left out.

    Reads *file* from its present position. Errors: Failure if it is no sound .deb, or too much to read.
    """
    try:
        return sorted(set(_list_names(_data_tar(file, where), where)))
    except _DAMAGE as error:
        raise _fault(where, f"damaged: {error}") from error


def read_first_file(file: IO[bytes], names: Sequence[str], *, where: str, limit: int) -> bytes | None:
    """Content of the first of *names* (without `./`; the earlier ones rather) that the package has as a regular file.

    Reads *file* from its present position. Errors: Failure if it is no sound .deb, or the file exceeds *limit* bytes.
    """
    wanted = {name: rank for rank, name in enumerate(names)}
    best: tuple[int, bytes] | None = None
    try:
        with tarfile.open(fileobj=_data_tar(file, where), mode="r|") as tar:  # type: ignore[call-overload]  # as below
            for entry in tar:
                tar.members = []  # tarfile keeps all that it has seen
                rank = wanted.get(entry.name.removeprefix("./").lstrip("/"))
                if rank is None or not entry.isreg() or (best is not None and best[0] <= rank):
                    continue
                if entry.size > limit:
                    raise _fault(where, f"{entry.name!r} has {entry.size} bytes", hint=f"at most {limit} are read")
                extracted = tar.extractfile(entry)
                assert extracted is not None  # a regular file
                best = rank, extracted.read()
                if rank == 0:
                    break
    except _DAMAGE as error:
        raise _fault(where, f"damaged: {error}") from error
    return best[1] if best is not None else None


def _data_tar(file: IO[bytes], where: str) -> _Reader:
    _control_member(file, where)
    name, size = _ar_header(file, where)
    while name.startswith("_"):
        file.seek(size + size % 2, io.SEEK_CUR)
        name, size = _ar_header(file, where)
    if not name.startswith("data.tar"):
        raise _fault(where, f"{name!r} stands where data.tar should")
    stream = _decompressed(name.removeprefix("data.tar"), _Member(file, size), where)
    return _Bounded(stream, MAX_DATA_TAR, where)


def _list_names(stream: _Reader, where: str) -> Iterator[bytes]:
    left = MAX_NAMES
    with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]  # any object with read() does
        for entry in tar:
            tar.members = []  # tarfile keeps all that it has seen
            name = entry.name.encode("utf-8", "surrogateescape").removeprefix(b"./").lstrip(b"/")
            left -= len(name)
            if left < 0:
                raise _fault(where, "it has too many files to list")
            if name and not entry.isdir() and not _LINE_END.search(name):
                yield name


def _control_member(file: IO[bytes], where: str) -> tuple[str, bytes]:
    if file.read(8) != b"!<arch>\n":
        raise _fault(where, "no ar archive")
    name, content = _ar_member(file, where)
    if name != "debian-binary" or not content.startswith(b"2."):
        raise _fault(where, "it does not start with debian-binary 2.x")
    name, content = _ar_member(file, where)
    while name.startswith("_"):  # deb(5): members before control.tar whose name starts so are to be ignored
        name, content = _ar_member(file, where)
    if not name.startswith("control.tar"):
        raise _fault(where, f"{name!r} stands where control.tar should")
    return name, content


def _ar_member(file: IO[bytes], where: str) -> tuple[str, bytes]:
    name, size = _ar_header(file, where)
    if size > MAX_CONTROL_MEMBER:
        raise _fault(where, f"a control member of {size} bytes")
    content = file.read(size)
    if len(content) != size:
        raise _fault(where, "it ends within a member")
    file.read(size % 2)
    return name, content


def _ar_header(file: IO[bytes], where: str) -> tuple[str, int]:
    """Name and size (bytes) of the member that starts here."""
    header = file.read(_AR_HEADER)
    size = header[48:58].strip()
    if len(header) != _AR_HEADER or header[58:] != b"`\n" or not size.isdigit():
        raise _fault(where, "a broken ar header")
    return header[:16].decode("ascii", "replace").rstrip(" /"), int(size)


def _control_file(name: str, member: bytes, where: str) -> bytes:
    stream = _Bounded(
        _decompressed(name.removeprefix("control.tar"), io.BytesIO(member), where), MAX_CONTROL_TAR, where
    )
    # r|: forward only, so what is read is bounded by the stream and nothing is held.
    with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]  # any object with read() does
        for entry in tar:
            if entry.name.removeprefix("./") != "control" or not entry.isreg():
                continue
            if entry.size > MAX_CONTROL_FILE:
                raise _fault(where, f"a control file of {entry.size} bytes")
            extracted = tar.extractfile(entry)
            assert extracted is not None  # a regular file
            return bytes(extracted.read())
    raise _fault(where, "no control file")


def _decompressed(suffix: str, raw: _Reader, where: str) -> _Reader:
    match suffix:
        case "":
            return raw
        case ".gz":
            return _Inflating(raw)
        case ".xz":
            return lzma.LZMAFile(raw)  # type: ignore[arg-type]  # it asks for read() only
        case ".zst":
            reader = zstandard.ZstdDecompressor(max_window_size=2**27)
            return reader.stream_reader(raw, read_across_frames=True)  # type: ignore[arg-type]  # so does this one
        case other:
            raise _fault(where, f"compressed as {other!r}", hint="gz, xz, zst or none are known")


class _Inflating:
    """One gzip stream; unlike gzip.GzipFile it stops at the stream's end whatever follows, as dpkg does."""

    def __init__(self, raw: _Reader) -> None:
        self._raw = raw
        self._inflate = zlib.decompressobj(31)

    def read(self, size: int = 65536, /) -> bytes:
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._raw.read(65536)
            if not data:
                raise EOFError("the gzip stream is cut off")
            if out := self._inflate.decompress(data, size):
                return out
        return b""


class _Member:
    """The next *size* bytes of a file, in order."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1, /) -> bytes:
        wanted = min(self._left, size if size >= 0 else 65536)
        data = self._file.read(wanted)
        if len(data) != wanted:
            raise EOFError("it ends within a member")
        self._left -= len(data)
        return data


class _Bounded:
    def __init__(self, raw: _Reader, limit: int, where: str) -> None:
        self._raw, self._left, self._where = raw, limit, where

    def read(self, size: int = 65536, /) -> bytes:
        data = self._raw.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _fault(self._where, "it is too large once unpacked")
        return data


def _fault(where: str, message: str, *, hint: str = "") -> Failure:
    return Failure(f"{where} is no sound .deb: {message}", hint=hint or "see deb(5)")
