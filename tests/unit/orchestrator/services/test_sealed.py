"""The sealed reader, as a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from deb_orchestrator.services.opening import open_files
from debcore.blobs import BlobStore
from debcore.command import run
from debcore.errors import Failure
from tests.unit.orchestrator.services.farm import make_deb, make_dsc


def test_it_reads_packages_and_listings_and_names_what_is_none(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    deb = blobs.put(make_deb("hello", "1.0")).sha256
    dsc = blobs.put(make_dsc("hello", "1.0", binaries=["hello"])).sha256
    begin, end = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n", b"-----BEGIN PGP SIGNATURE-----\n"
    framed = blobs.put(begin + b"Source: x\n" + end).sha256
    read = open_files(blobs, [("deb", deb), ("dsc", dsc), ("changes", framed)])
    assert [one.get("Package") or one["Source"] for one in read] == ["hello", "hello", "x"]
    bad = blobs.put(b"!<arch>\n" + b"\0" * 100).sha256
    with pytest.raises(Failure, match=r"the \.deb .* is refused"):
        open_files(blobs, [("dsc", dsc), ("deb", bad)])
    assert open_files(blobs, []) == []


def test_it_can_do_nothing_but_answer(tmp_path: Path) -> None:
    """After seal(): no writing, no process, no network but its own, and another user if it was root."""
    code = f"""
import os, socket, sys
from deb_orchestrator.services.sealed import seal
seal()
tried = []
for what in (lambda: open({str(tmp_path / "x")!r}, "wb", buffering=0).write(b"x"), lambda: os.fork(),
             lambda: socket.create_connection(("127.0.0.1", {_port()}), 1)):
    try:
        what(); tried.append("done")
    except OSError as error:
        tried.append("refused")
print(os.geteuid(), *tried)
"""
    done = run([sys.executable, "-c", code], check=False)
    words = done.text.split()
    assert done.status in (0, -25), done.stderr  # SIGXFSZ where the interpreter does not ignore it
    if done.status == 0:
        assert words[1] == "refused"
        if os.geteuid() == 0:
            assert words == ["65534", "refused", "refused", "refused"]


def _port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
