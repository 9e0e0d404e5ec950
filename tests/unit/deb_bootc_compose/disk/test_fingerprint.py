"""Fingerprints of sparse files: one for one content, however it lies on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deb_bootc_compose.disk.fingerprint import PIECE, fingerprint

SIZE = 5 * PIECE + 12345


def make(path: Path, *, holes: bool) -> Path:
    with path.open("wb") as file:
        if holes:
            file.truncate(SIZE)
        else:
            file.write(bytes(SIZE))
        for at in (0, 3 * PIECE - 1, SIZE - 1):
            file.seek(at)
            file.write(b"x")
    return path


def test_holes_do_not_count(tmp_path: Path) -> None:
    one, other = make(tmp_path / "a", holes=True), make(tmp_path / "b", holes=False)
    assert one.read_bytes() == other.read_bytes()
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize("at", [1, PIECE, 3 * PIECE - 1, 4 * PIECE + 7, SIZE - 1])
def test_any_byte_counts(tmp_path: Path, at: int) -> None:
    path = make(tmp_path / "a", holes=True)
    before = fingerprint(path)
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 4]))
    assert fingerprint(path) != before


def test_so_does_the_size(tmp_path: Path) -> None:
    path = make(tmp_path / "a", holes=True)
    before = fingerprint(path)
    os.truncate(path, SIZE + 1)
    assert fingerprint(path) != before
