"""Paths stay inside their root; files appear whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from debcore.command import run
from debcore.errors import Failure
from debcore.path import check_file_name, inside, remove_torn, replacing, write_file


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("/absolute/x", "target/x"),
        ("/up/etc", "etc"),
        ("/a/./b/../c", "a/c"),
    ],
)
def test_symlinks_resolve_as_in_a_chroot(tmp_path: Path, path: str, expected: str) -> None:
    (tmp_path / "absolute").symlink_to("/target")
    (tmp_path / "up").symlink_to("../../..")
    assert inside(tmp_path, path) == tmp_path / expected


def test_a_loop_of_symlinks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(Failure, match="symbolic links"):
        inside(tmp_path, "/a")


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-rf", "", "a\nb", "x" * 300, "é"])
def test_hostile_file_names_are_refused(name: str) -> None:
    with pytest.raises(Failure, match="not a plain file name"):
        check_file_name(name, where="x.dsc")


@pytest.mark.parametrize("name", ["hostname_3.25.dsc", "lib_1%3a2~rc1+b1_amd64.deb"])
def test_names_that_debian_makes_pass(name: str) -> None:
    assert check_file_name(name, where="x.dsc") == name


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_file(path, "old", mode=0o600)
    with pytest.raises(TypeError), replacing(path) as file:
        file.write(b"half" + "not bytes")  # type: ignore[operator]
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    write_file(tmp_path / "whole.json", "{}")
    (tmp_path / ".hidden").touch()
    code = "import os, pathlib, debcore.path as p\nwith p.replacing(pathlib.Path('torn.json')): os._exit(0)"
    run([sys.executable, "-c", code], cwd=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    remove_torn(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "whole.json"]
