"""Control data of a .deb: what dpkg-deb packs is read, hostile files end in a Failure and small memory."""

from __future__ import annotations

import contextlib
import io
import lzma
import tarfile
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from debcore import deb
from debcore.command import run
from debcore.deb import load_control, read_control, read_file_names
from debcore.deb822 import Stanza
from debcore.errors import Failure

CONTROL = b"Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b>\nDescription: x\n"


def tar(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ar(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(data):<10}".encode() + b"`\n" + data
        out += b"\n" * (len(data) % 2)
    return out


def parse(data: bytes) -> Stanza:
    return read_control(io.BytesIO(data), where="x.deb")


def gzip(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=31)
    return squeeze.compress(data) + squeeze.flush()


@pytest.mark.parametrize("kind", ["none", "gzip", "xz", "zstd"])
def test_what_dpkg_deb_packs(tmp_path: Path, kind: str) -> None:
    (tmp_path / "p/DEBIAN").mkdir(parents=True)
    (tmp_path / "p/DEBIAN/control").write_bytes(CONTROL)
    (tmp_path / "p/DEBIAN/postinst").write_text("#!/bin/sh\n")
    (tmp_path / "p/DEBIAN/postinst").chmod(0o755)
    path = tmp_path / "tiny.deb"
    run(["dpkg-deb", "--root-owner-group", f"-Z{kind}", "--uniform-compression", "--build", tmp_path / "p", path])
    assert str(load_control(path)).encode() == CONTROL


HEAD = ("debian-binary", b"2.0\n")
GOOD = tar(("./postinst", b"x"), ("./control", CONTROL))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no ar archive"),
        (b"!<arch>\n", "ar header"),
        (ar(HEAD), "ar header"),
        (ar(("debian-binary", b"3.0\n"), ("control.tar", GOOD)), "debian-binary"),
        (ar(("control.tar", GOOD)), "debian-binary"),
        (ar(HEAD, ("data.tar", GOOD)), "stands where control.tar should"),
        (ar(HEAD, ("control.tar.bz2", GOOD)), "bz2"),
        (ar(HEAD, ("control.tar", GOOD))[:200], "ends within"),
        (ar(HEAD, ("control.tar", tar(("./x", b"")))), "no control file"),
        (ar(HEAD, ("control.tar", b"x" * 1024)), "damaged"),
        (ar(HEAD, ("control.tar.gz", gzip(GOOD)[:50])), "damaged"),
        (ar(HEAD, ("control.tar.xz", b"nonsense")), "damaged"),
        (ar(HEAD, ("control.tar.zst", b"nonsense")), "damaged"),
        (ar(HEAD, ("control.tar", tar(("./control", b"no field")))), "no field"),
    ],
)
def test_unsound_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(Failure, match=message):
        parse(data)


def test_a_member_that_announces_too_much_is_not_read() -> None:
    header = f"{'control.tar.xz':<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{'9999999999':<10}".encode() + b"`\n"
    with pytest.raises(Failure, match="9999999999 bytes"):
        parse(ar(HEAD) + header)


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_a_bomb_is_refused(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "MAX_CONTROL_TAR", 1024 * 1024)
    huge = tar(("./md5sums", b"\0" * (4 * 1024 * 1024)), ("./control", CONTROL))
    packed = {"gz": gzip, "xz": lzma.compress, "zst": zstandard.compress}[suffix](huge)
    with pytest.raises(Failure, match="too large"):
        parse(ar(HEAD, (f"control.tar.{suffix}", packed)))


def test_a_control_file_may_not_be_a_link_or_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("./control")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        archive.addfile(link)
    with pytest.raises(Failure, match="no control file"):
        parse(ar(HEAD, ("control.tar", out.getvalue())))
    monkeypatch.setattr(deb, "MAX_CONTROL_FILE", 10)
    with pytest.raises(Failure, match="control file of"):
        parse(ar(HEAD, ("control.tar", GOOD)))


WHOLE = ar(HEAD, ("control.tar.gz", gzip(GOOD)), ("data.tar", tar()))


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_any_damaged_byte_is_read_or_refused_but_never_breaks_us(position: int, value: int) -> None:
    data = bytearray(WHOLE)
    data[position] = value
    with contextlib.suppress(Failure):
        parse(bytes(data))


def names(data: bytes) -> list[bytes]:
    return read_file_names(io.BytesIO(data), where="x.deb")


@pytest.mark.parametrize("kind", ["none", "gzip", "xz", "zstd"])
def test_the_names_of_files_that_dpkg_deb_packs(tmp_path: Path, kind: str) -> None:
    (tmp_path / "p/DEBIAN").mkdir(parents=True)
    (tmp_path / "p/DEBIAN/control").write_bytes(CONTROL)
    (tmp_path / "p/usr/bin").mkdir(parents=True)
    (tmp_path / "p/usr/bin/tool").write_text("x" * 100_000)
    (tmp_path / "p/usr/bin/tööl 2").symlink_to("tool")
    (tmp_path / "p/usr/empty").mkdir()
    path = tmp_path / "tiny.deb"
    run(["dpkg-deb", "--root-owner-group", f"-Z{kind}", "--build", tmp_path / "p", path])
    assert names(path.read_bytes()) == [b"usr/bin/tool", "usr/bin/tööl 2".encode()]


CONTROL_TAR = ("control.tar", GOOD)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ar(HEAD, CONTROL_TAR), "ar header"),
        (ar(HEAD, CONTROL_TAR, ("other", b"x")), "where data.tar should"),
        (ar(HEAD, CONTROL_TAR, ("data.tar.rar", b"x")), "compressed as"),
        (ar(HEAD, CONTROL_TAR, ("data.tar.gz", gzip(tar(("a", b"x")))[:-20])), "damaged"),
        (ar(HEAD, CONTROL_TAR, ("data.tar.xz", lzma.compress(tar(("a", b"x")))))[:-30], "damaged"),
        (ar(HEAD, CONTROL_TAR, ("data.tar", b"no tar at all" * 100)), "damaged"),
    ],
)
def test_names_of_a_damaged_deb(data: bytes, message: str) -> None:
    with pytest.raises(Failure, match=message):
        names(data)


def test_hostile_names_stay_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ar(HEAD, CONTROL_TAR, ("_extra", b"abc"), ("data.tar", tar(("./a\nb", b""), ("/etc/x", b""), ("./y", b""))))
    assert names(data) == [b"etc/x", b"y"]
    monkeypatch.setattr(deb, "MAX_NAMES", 4)
    with pytest.raises(Failure, match="too many files"):
        names(data)
    monkeypatch.setattr(deb, "MAX_DATA_TAR", 1000)
    with pytest.raises(Failure, match="too large"):
        names(data)
