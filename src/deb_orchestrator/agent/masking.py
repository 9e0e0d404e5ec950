"""Secrets stay on the builder: what leaves it in logs, locks and results has stars for them, and keeps its length.

What a build is shown of them (the address of the relay to private suites) any tool may print, and some do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from debcore.path import write_file

CHUNK = 4 * 1024 * 1024
#: Words shorter than this would be found by chance.
SHORTEST = 16


@dataclass(frozen=True)
class Mask:
    """*words*: what nobody may read."""

    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Iterable[str]) -> Mask:
        return cls(tuple(sorted({word for word in words if len(word) >= SHORTEST}, key=len, reverse=True)))

    @classmethod
    def load(cls, path: Path) -> Mask:
        """As `save` left it; none if it was not saved."""
        return cls.of(path.read_text().split()) if path.is_file() else cls()

    def save(self, path: Path) -> None:
        """For the agent that hands in what this one did not come to."""
        write_file(path, "\n".join(self.words) + "\n", mode=0o600)

    def hide(self, data: bytes) -> bytes:
        """*data*, as long as before."""
        for word in self.words:
            data = data.replace(word.encode(), b"*" * len(word))
        return data

    def hide_text(self, text: str) -> str:
        for word in self.words:
            text = text.replace(word, "*" * len(word))
        return text

    def count_begun(self, data: bytes) -> int:
        """Bytes at the end of *data* that may be the beginning of a secret."""
        return max(
            (k for word in self.words for k in range(1, len(word)) if data.endswith(word[:k].encode())), default=0
        )

    def read(self, path: Path, start: int, size: int, *, whole: bool) -> bytes:
        """At most *size* bytes from *start*. Unless the file is *whole*, not what may yet become a secret."""
        reach = max((len(word) for word in self.words), default=1) - 1
        first = max(0, start - reach)
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(start - first + size + reach)
            at_end = first + len(data) >= os.fstat(file.fileno()).st_size
        if at_end and not whole:
            data = data[: len(data) - self.count_begun(data)]
        return self.hide(data)[start - first :][:size]

    def copy(self, path: Path, to: Path) -> Path:
        """*path* if it has none of the words, else a copy at *to* that hides them."""
        if not self._has_any(path):
            return path
        to.parent.mkdir(mode=0o700, exist_ok=True)
        with to.open("wb") as file:
            at = 0
            while piece := self.read(path, at, CHUNK, whole=True):
                at += file.write(piece)
        return to

    def _has_any(self, path: Path) -> bool:
        if not self.words:
            return False
        pattern = re.compile(b"|".join(re.escape(word.encode()) for word in self.words))
        reach, tail = len(self.words[0]) - 1, b""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                if pattern.search(tail + piece):
                    return True
                tail = (tail + piece)[-reach:]
        return False
