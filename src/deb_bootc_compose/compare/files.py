"""Files that differ between two images, out of the layers that they do not share; and what is in their initramfs.

A layer that both have holds the same files in both: only the others are read.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast

import zstandard

from deb_bootc_compose.lints.cpio import walk_archive
from debcore.errors import Failure

INITRAMFS = re.compile(r"usr/lib/modules/[^/]+/initramfs\.img")
DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
MAX_INITRAMFS = 512 * 1024 * 1024  #: bytes as stored; a larger one is compared as one file
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, zstandard.ZstdError)

Kind = Literal["changed", "added", "removed"]


@dataclass(frozen=True)
class File:
    """What stands at a path. `content`: the hash of a file, the target of a link, the kind of anything else."""

    content: str
    size: int = 0  #: bytes
    mode: int = 0
    owner: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class FileChange:
    path: str
    kind: Kind
    before: File | None
    after: File | None

    @property
    def growth(self) -> int:
        """Bytes by which the newer one is larger."""
        return (self.after.size if self.after else 0) - (self.before.size if self.before else 0)


@dataclass(frozen=True)
class ImageFiles:
    """Files of some layers of one image, and of the initramfs if it is in them. Paths have no leading slash."""

    files: dict[str, File] = field(default_factory=dict)
    initramfs: dict[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class FileChanges:
    """By path. `initramfs` is None where neither image's initramfs was read: it did not change."""

    files: tuple[FileChange, ...]
    initramfs: tuple[FileChange, ...] | None


def compare_files(before: Mapping[str, File], after: Mapping[str, File]) -> tuple[FileChange, ...]:
    """Sorted by path; without what is equal. Pure."""
    return tuple(_changes(before, after))


def _changes(before: Mapping[str, File], after: Mapping[str, File]) -> Iterator[FileChange]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            kind: Kind = "added" if old is None else "removed" if new is None else "changed"
            yield FileChange(path, kind, old, new)


def compare_layouts(
    before: Path, before_layers: Sequence[Mapping[str, Any]], after: Path, after_layers: Sequence[Mapping[str, Any]]
) -> FileChanges:
    """*before* and *after*: OCI layouts; the layers are their `layers` in layers.json. Errors: Failure on damage."""
    old, new = {layer["digest"] for layer in before_layers}, {layer["digest"] for layer in after_layers}
    left = read_layers(before, [layer["digest"] for layer in before_layers if layer["digest"] not in new])
    right = read_layers(after, [layer["digest"] for layer in after_layers if layer["digest"] not in old])
    has_initramfs = bool(left.initramfs or right.initramfs)
    return FileChanges(
        compare_files(left.files, right.files),
        compare_files(left.initramfs, right.initramfs) if has_initramfs else None,
    )


def read_layers(layout: Path, digests: Sequence[str]) -> ImageFiles:
    """Errors: Failure if a layer is missing or damaged."""
    found = ImageFiles()
    for digest in digests:
        match = DIGEST.fullmatch(digest)
        path = layout / "blobs/sha256" / (match[1] if match else "")
        try:
            if match is None:
                raise ValueError(f"{digest!r} is no digest")
            with ExitStack() as stack:
                tar = stack.enter_context(tarfile.open(fileobj=_unpacked(stack, path), mode="r|"))
                _read_tar(tar, found)
        except _DAMAGE as error:
            raise Failure(f"{path} cannot be read: {error}", hint="leave the files out with --no-files") from error
    return found


def _unpacked(stack: ExitStack, path: Path) -> IO[bytes]:
    file = stack.enter_context(path.open("rb"))
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], stack.enter_context(gzip.open(file)))
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return stack.enter_context(reader)


def _read_tar(tar: tarfile.TarFile, found: ImageFiles) -> None:
    for member in tar:
        name = member.name.removeprefix("./")
        owner = (member.uid, member.gid)
        if member.isdir():
            continue
        if member.issym():
            found.files[name] = File(f"-> {member.linkname}")
        elif member.islnk():
            found.files[name] = found.files.get(member.linkname.removeprefix("./"), File(f"= {member.linkname}"))
        elif not member.isfile():
            found.files[name] = File("special", 0, member.mode, owner)
        else:
            content = tar.extractfile(member)
            assert content is not None
            if INITRAMFS.fullmatch(name) and member.size <= MAX_INITRAMFS:
                data = content.read()
                digest = hashlib.sha256(data).hexdigest()
                found.initramfs.update(_read_initramfs(data))
            else:
                digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
            found.files[name] = File(digest, member.size, member.mode, owner)


def _read_initramfs(data: bytes) -> Iterator[tuple[str, File]]:
    """Nothing of one that is no sound archive: it is then compared as one file."""
    try:
        members = [
            (name, File(hashlib.sha256(content).hexdigest(), len(content))) for name, content in walk_archive(data)
        ]
    except ValueError:
        return
    yield from members
