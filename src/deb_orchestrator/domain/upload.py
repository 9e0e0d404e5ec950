"""What a source upload's .changes may say. Pure. Source: Policy 5.5, deb-changes(5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from debcore.deb822 import parse_files
from debcore.errors import Failure
from debcore.path import check_file_name

_SOURCE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+:~-]{0,255}")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_/-]{0,63}")
#: What a source upload is made of; anything else was built somewhere.
_PARTS = re.compile(r".+(\.dsc|\.tar\.(gz|xz|bz2|lzma|zst)|\.tar\.(gz|xz|bz2|lzma|zst)\.asc|\.diff\.gz|\.buildinfo)")
_SOURCE_ONLY = "make a source upload: dpkg-buildpackage -S"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A .changes of a source. `files`: name → (SHA-256, size), the .dsc among them."""

    source: str
    version: str
    distribution: str
    dsc: str
    files: Mapping[str, tuple[str, int]]


def parse_listing(fields: Mapping[str, str], *, where: str) -> Listing:
    """From the fields of a .changes (any case of names). Errors: Failure that says what is wrong with it."""
    low = {name.lower(): value for name, value in fields.items()}
    source = _word(low, "Source", _SOURCE, where)
    version = _word(low, "Version", _VERSION, where)
    distribution = _word(low, "Distribution", _DISTRIBUTION, where)
    if low.get("architecture", "").split() != ["source"]:
        raise Failure(f"{where}: Architecture is {low.get('architecture', '')[:80]!r}, not 'source'", hint=_SOURCE_ONLY)
    listed = parse_files(low.get("checksums-sha256", ""), algorithm="sha256", where=f"{where}: Checksums-Sha256")
    if not listed:
        raise Failure(f"{where}: the field Checksums-Sha256 is missing", hint=_SOURCE_ONLY)
    for file in listed:
        check_file_name(file.name, where=f"{where}: Checksums-Sha256")
        if not _PARTS.fullmatch(file.name):
            raise Failure(f"{where}: {file.name} is no part of a source package", hint=_SOURCE_ONLY)
    _check_files(low, {file.name: file.size for file in listed}, where)
    dscs = [file.name for file in listed if file.name.endswith(".dsc")]
    if len(dscs) != 1:
        raise Failure(f"{where}: it lists {len(dscs)} .dsc files, not one", hint=_SOURCE_ONLY)
    files = {file.name: (file.digest, file.size) for file in listed}
    return Listing(source=source, version=version, distribution=distribution, dsc=dscs[0], files=files)


def _word(low: Mapping[str, str], name: str, form: re.Pattern[str], where: str) -> str:
    value = low.get(name.lower(), "").strip()
    if not form.fullmatch(value):
        raise Failure(f"{where}: {name} is {value[:80]!r}" if value else f"{where}: the field {name} is missing")
    return value


def _check_files(low: Mapping[str, str], sizes: Mapping[str, int], where: str) -> None:
    """The field Files lists the same: other programs go by it."""
    other = {file.name: file.size for file in parse_files(low.get("files", ""), algorithm="md5", where=where)}
    if other != sizes:
        raise Failure(f"{where}: Files and Checksums-Sha256 do not list the same files")
