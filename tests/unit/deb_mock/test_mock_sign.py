"""Signing: hashes follow what was signed before, nothing else changes, and a signer is not believed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from deb_mock.signing import sign_results, update_hashes
from debcore.errors import Failure, HostFailed
from debcore.job import JobDirectory, Output

CHANGES = b"""Format: 1.8
Source: tool
Files:
 d41d8cd98f00b204e9800998ecf8427e 0 misc optional tool_1.dsc
 d41d8cd98f00b204e9800998ecf8427e 0 misc optional tool_1_all.deb
Checksums-Sha1:
 da39a3ee5e6b4b0d3255bfef95601890afd80709 0 tool_1.dsc
Description:
 tool_1.dsc is not a file here 0 tool_1.dsc
Changes:
 \xfcml\xe4ut
"""


def test_only_lines_that_name_the_file_change() -> None:
    content = b"signed"
    found = update_hashes(CHANGES, {"tool_1.dsc": content}).split(b"\n")
    changed = [new for old, new in zip(CHANGES.split(b"\n"), found, strict=True) if old != new]
    assert [line.decode() for line in changed] == [
        f" {hashlib.md5(content).hexdigest()} 6 misc optional tool_1.dsc",
        f" {hashlib.sha1(content).hexdigest()} 6 tool_1.dsc",
    ]


class Scripted:
    """A signer that does what the test says."""

    def __init__(self, sign: Callable[[bytes], bytes]) -> None:
        self._sign = sign
        self.asked: list[bytes] = []

    def sign_inline(self, data: bytes) -> bytes:
        self.asked.append(data)
        return self._sign(data)


def wrap(data: bytes) -> bytes:
    begin = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
    return begin + data + b"-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n"


@pytest.fixture
def outputs(tmp_path: Path) -> tuple[Output, ...]:
    job = JobDirectory(tmp_path)
    (tmp_path / "tool_1.changes").write_bytes(CHANGES)
    (tmp_path / "tool_1.dsc").write_bytes(b"Source: tool\n")
    return job.output("tool_1.changes", "changes"), job.output("tool_1.dsc", "dsc")


def test_the_dsc_comes_first_and_the_changes_knows_it(tmp_path: Path, outputs: tuple[Output, ...]) -> None:
    signer = Scripted(wrap)
    signed = sign_results(tmp_path, outputs, signer)
    dsc = (tmp_path / "tool_1.dsc").read_bytes()
    assert signer.asked[0] == b"Source: tool\n"
    assert hashlib.sha1(dsc).hexdigest().encode() in signer.asked[1]
    assert {output.path: output.sha256 for output in signed} == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("tool_1.changes", "tool_1.dsc")
    }


def refuse_second(data: bytes) -> bytes:
    if b"Changes:" in data:
        raise HostFailed("the token is gone")
    return wrap(data)


@pytest.mark.parametrize(
    "sign",
    [lambda data: data, lambda data: b"", lambda data: wrap(data + b"More: lines\n"), refuse_second],
    ids=["unsigned", "nothing", "another text", "fails at the second"],
)
def test_a_signer_that_fails_or_lies_changes_nothing(
    tmp_path: Path, outputs: tuple[Output, ...], sign: Callable[[bytes], bytes]
) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Failure):
        sign_results(tmp_path, outputs, Scripted(sign))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
