"""Objects of a blob store as files of one directory: ROOT/ab/cdef…, mode 0444."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from debcore.blobs import CHUNK, Blob
from debcore.path import sync_directory


class FileObjects:
    """The port `debcore.blobs.Objects` on a directory; any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def local(self, name: str) -> Path:
        return self.root / name[:2] / name[2:]

    def size(self, name: str) -> int | None:
        try:
            return self.local(name).stat().st_size
        except FileNotFoundError:
            return None

    def keep(self, file: Path, blob: Blob) -> None:
        """A rename, so *file* must be of the same file system. One of another size was cut off: it is replaced."""
        target = self.local(blob.sha256)
        if self.size(blob.sha256) != blob.size:
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                sync_directory(self.root)
            file.replace(target)
        sync_directory(target.parent)  # also if another process renamed it an instant ago

    def read(self, name: str, start: int, end: int) -> Iterator[bytes]:
        with self.local(name).open("rb") as file:
            file.seek(start)
            left = end - start
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def remove(self, name: str) -> None:
        self.local(name).unlink(missing_ok=True)

    def walk(self) -> Iterator[tuple[Blob, float]]:
        for directory in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(directory.iterdir()):
                try:
                    facts = file.stat()
                except FileNotFoundError:  # removed while we look
                    continue
                yield Blob(directory.name + file.name, facts.st_size), facts.st_mtime

    def sweep(self, older_than: float) -> int:
        """Nothing: a file is renamed into its place when it is whole."""
        del older_than
        return 0
