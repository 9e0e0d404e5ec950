"""Reading the control file of a .deb, without unpacking it. Source: deb(5)."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import IO

import zstandard

from debcore.errors import Failure

MAGIC = b"!<arch>\n"
#: A control member or file larger than this is refused (bytes).
MAX_CONTROL = 64 * 1024 * 1024


def read_control(deb: Path) -> str:
    """The control file as text. Errors: Failure if *deb* is no Debian package."""
    try:
        with deb.open("rb") as file:
            name, packed = _find_member(file)
        return _extract_control(name, packed)
    except (OSError, EOFError, ValueError, KeyError, lzma.LZMAError, zstandard.ZstdError, tarfile.TarError) as error:
        raise Failure(f"{deb}: no Debian package: {error}") from error


def _find_member(file: IO[bytes]) -> tuple[str, bytes]:
    if file.read(8) != MAGIC:
        raise ValueError("no ar archive")
    while header := file.read(60):
        name = header[:16].decode("ascii").strip().rstrip("/")
        size = int(header[48:58])
        if name.startswith("control.tar"):
            if size > MAX_CONTROL:
                raise ValueError("its control member is too large")
            return name, file.read(size)
        file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("no control member")


def _extract_control(name: str, packed: bytes) -> str:
    suffix = name.removeprefix("control.tar")
    if suffix == ".xz":
        raw = lzma.decompress(packed)
    elif suffix == ".gz":
        raw = gzip.decompress(packed)
    elif suffix == ".zst":
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    elif not suffix:
        raw = packed
    else:
        raise ValueError(f"unknown compression {suffix}")
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            if member.name in ("./control", "control") and member.isreg() and member.size <= MAX_CONTROL:
                content = tar.extractfile(member)
                return content.read().decode("utf-8", "replace") if content is not None else ""
    raise ValueError("no control file")


def parse_fields(control: str) -> dict[str, str]:
    """Fields of the first stanza, names in lower case; continuation lines are kept."""
    fields: dict[str, str] = {}
    name = ""
    for line in control.splitlines():
        if not line.strip():
            if fields:
                break
        elif line[0] in " \t":
            fields[name] = f"{fields.get(name, '')}\n{line}"
        else:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    return fields
