"""Entries of Packages and Sources from a .deb's control file and a .dsc."""

from __future__ import annotations

from dataclasses import dataclass

from debcore.deb822 import Stanza, make_stanza, parse_files
from debcore.errors import Failure
from debcore.path import check_file_name

#: Fields that the archive sets and a control file may not bring along.
_ARCHIVE_FIELDS = (
    "Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Status", "Conffiles", "Package-Type", "Directory",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PoolFile:
    """A file as an index names it."""

    name: str  #: of the .dsc: without directory; of a .deb: the path below the repository's root
    size: int  #: bytes
    sha256: str
    md5: str = ""  #: only in Sources, for readers that know nothing else


def make_binary_stanza(control: Stanza, file: PoolFile) -> Stanza:
    """The Packages entry: all fields of *control* in their order, then Filename, Size, SHA256.

    The description stays whole, as in Debian's own indexes without Translation files. Errors: Failure on bad fields.
    """
    for name in ("Package", "Version", "Architecture"):
        control.require(name, where=file.name)
    fields = [(name, value) for name, value in control.without(*_ARCHIVE_FIELDS).items() if value]
    return make_stanza([*fields, ("Filename", file.name), ("Size", str(file.size)), ("SHA256", file.sha256)])


def make_source_stanza(dsc: Stanza, dsc_file: PoolFile, *, directory: str) -> Stanza:
    """The Sources entry: the .dsc's fields with Package for Source, its files and itself with MD5 and SHA-256.

    Section and Priority are those of the first line of Package-List, for a .dsc does not hold the source's own.
    Errors: Failure on a .dsc without SHA-256 sums, with a file name that leads elsewhere, with missing fields.
    """
    where = dsc_file.name
    name = dsc.require("Source", where=where)
    dsc.require("Version", where=where)
    sha256 = parse_files(dsc.require("Checksums-Sha256", where=where), algorithm="sha256", where=where)
    md5 = parse_files(dsc.get("Files", ""), algorithm="md5", where=where)
    for file in (*sha256, *md5):
        check_file_name(file.name, where=where)
    if md5 and {(f.name, f.size) for f in md5} != {(f.name, f.size) for f in sha256}:
        raise Failure(f"{where}: Files and Checksums-Sha256 name different files")
    skipped = ("Source", "Files", "Checksums-Md5", "Checksums-Sha1", "Checksums-Sha256", "Checksums-Sha512")
    fields = [(n, v) for n, v in dsc.without(*skipped, *_ARCHIVE_FIELDS).items() if v]
    section, priority = _section(dsc)
    own = f"\n {{digest}} {dsc_file.size} {dsc_file.name}"
    sums = [
        ("Checksums-Sha256", own.format(digest=dsc_file.sha256) + _lines([(f.digest, f.size, f.name) for f in sha256]))
    ]
    if md5 and dsc_file.md5:
        sums.insert(0, ("Files", own.format(digest=dsc_file.md5) + _lines([(f.digest, f.size, f.name) for f in md5])))
    extra = [(n, v) for n, v in (("Priority", priority), ("Section", section)) if v and n not in dsc]
    return make_stanza([("Package", name), *fields, *extra, ("Directory", directory), *sums])


def _section(dsc: Stanza) -> tuple[str, str]:
    """Package-List: `name type section priority [key=value…]` a line; deb-src-control(5)."""
    for line in dsc.get("Package-List", "").split("\n"):
        words = line.split()
        if len(words) >= 4:
            return words[2], words[3]
    return "", ""


def _lines(files: list[tuple[str, int, str]]) -> str:
    return "".join(f"\n {digest} {size} {name}" for digest, size, name in files)
