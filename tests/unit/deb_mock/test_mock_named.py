"""Words for apt in two steps, and trees that come out of a root."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from deb_mock.named import Words, parse_words
from deb_mock.transfer import read_tree_tar, stays_inside, write_tree_tar
from debcore.errors import Failure


def test_words_are_taken_apart() -> None:
    assert parse_words(["-t", "trixie-backports", "install", "--no-install-recommends", "git", "x=1:2-3", "y/sid"]) == (
        Words("install", ("--no-install-recommends",), ("-t", "trixie-backports"), ("git", "x=1:2-3", "y/sid"), ())
    )
    assert parse_words(["install", "./a b.deb", "c-"]).debs == (Path("a b.deb"),)
    assert parse_words(["--target-release=sid", "upgrade"]).choosing == ("-t", "sid")
    assert parse_words(["search", "^foo.*"]).names == ("^foo.*",)


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "Dir::Etc=/x", "install", "a"],
        ["install", "a b"],
        ["install", "$(id)"],
        ["install", "../a"],
        ["-t", "--x", "install", "a"],
        ["-c", "file", "install", "a"],
    ],
)
def test_words_without_meaning_are_refused(words: list[str]) -> None:
    with pytest.raises(Failure):
        parse_words(words)


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o6777
    return info, data


def pack(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    stream.seek(0)
    return stream


def test_a_tree_survives_the_way_in_and_out(tmp_path: Path) -> None:
    (tmp_path / "a" / ".git").mkdir(parents=True)
    (tmp_path / "a" / ".git" / "x").write_text("x")
    (tmp_path / "a" / "run").write_text("#!")
    (tmp_path / "a" / "run").chmod(0o750)
    os.utime(tmp_path / "a" / "run", (5, 5))
    (tmp_path / "a" / "link").symlink_to("./.git/../.git/x")
    (tmp_path / "a" / "good").symlink_to(".git/x")
    stream = io.BytesIO()
    write_tree_tar(tmp_path / "a", "x", stream, skip=frozenset())
    stream.seek(0)
    assert read_tree_tar(stream, tmp_path / "b", limit=1000) == ["x/link"]
    assert (tmp_path / "b" / "good").read_text() == "x"
    status = (tmp_path / "b" / "run").stat()
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o750, 5)


def test_nothing_leaves_the_tree(tmp_path: Path) -> None:
    directory = member("x/", tarfile.DIRTYPE)
    hostile = [
        member("x/../../up", data=b"evil"),
        member("x/dev", tarfile.CHRTYPE),
        member("x/abs", tarfile.SYMTYPE, "/etc"),
        member("x/up", tarfile.SYMTYPE, "../.."),
        member("x/hard", tarfile.LNKTYPE, "/etc/passwd"),
    ]
    left_out = read_tree_tar(pack(directory, *hostile, member("x/suid", data=b"1")), tmp_path / "out", limit=100)
    assert left_out == [info.name for info, _ in hostile]
    assert [(p.name, p.stat().st_mode & 0o7777) for p in (tmp_path / "out").iterdir()] == [("suid", 0o777)]
    link = member("x/l", tarfile.SYMTYPE, "suid")
    with pytest.raises(Failure, match="cannot be written"):  # a file where the stream said a link was
        read_tree_tar(pack(directory, link, member("x/l/file", data=b"2")), tmp_path / "two", limit=100)
    with pytest.raises(Failure, match="more than fits"):
        read_tree_tar(pack(directory, member("x/big", data=b"3" * 101)), tmp_path / "three", limit=100)
    with pytest.raises(Failure, match="cannot be written"):
        read_tree_tar(io.BytesIO(b"no tar" * 200), tmp_path / "four", limit=100)


@pytest.mark.parametrize(
    ("depth", "link", "inside"),
    [
        (0, "a", True),
        (0, "a/b", True),
        (0, "..", False),
        (1, "..", True),
        (1, "../../x", False),
        (2, "../../x", True),
        (3, "a/../b", False),
        (1, "/etc", False),
        (0, ".", True),
    ],
)
def test_links_that_stay(depth: int, link: str, inside: bool) -> None:
    assert stays_inside(depth, link) is inside
