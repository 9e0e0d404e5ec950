"""Which changes of the hub's packages an initramfs cannot know of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deb_bootc_compose.tree.reuse import find_changed, is_same_initramfs, may_matter
from tests.unit.deb_bootc_compose.lints.conftest import cpio

MODULE = b"#!/bin/bash\ninstall() { inst_multiple -o sort keyctl /usr/bin/loginctl; inst_simple foo.service; }\n"


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A finished tree, and two upper directories of the hub's packages that are alike."""
    kept, before, now = (tmp_path / name for name in ("kept", "before", "now"))
    (kept / "usr/lib/dracut/modules.d/99x").mkdir(parents=True)
    (kept / "usr/lib/dracut/modules.d/99x/module-setup.sh").write_bytes(MODULE)
    image = kept / "usr/lib/modules/6.12/initramfs.img"
    image.parent.mkdir(parents=True)
    image.write_bytes(cpio({"usr/bin/bash": b"", "usr/lib/x86_64-linux-gnu/libc.so.6": b"", "usr/bin/taken": b""}))
    for upper in (before, now):
        for name in ("usr/bin/tool", "usr/share/doc/tool/changelog.gz", "var/lib/dpkg/status"):
            (upper / name).parent.mkdir(parents=True, exist_ok=True)
            (upper / name).write_text("1")
    return kept, before, now


def ask(trees: tuple[Path, Path, Path]) -> bool:
    kept, before, now = trees
    return is_same_initramfs(before=str(before), now=str(now), kept=str(kept))["same"]


def test_nothing_or_what_lies_aside_changed(trees: tuple[Path, Path, Path]) -> None:
    assert ask(trees)
    for name in ("usr/share/doc/tool/changelog.gz", "var/lib/dpkg/status"):
        (trees[2] / name).write_text("2")
    assert ask(trees)


def test_a_program_that_dracut_does_not_name_may_change_appear_and_go(trees: tuple[Path, Path, Path]) -> None:
    (trees[2] / "usr/bin/tool").write_text("2")
    (trees[2] / "usr/bin/newer").write_text("1")
    (trees[1] / "usr/bin/older").write_text("1")
    assert ask(trees)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("usr/bin/sort", id="dracut's module names it"),
        pytest.param("usr/bin/taken", id="it is in the initramfs"),
        pytest.param("usr/lib/systemd/system/foo.service", id="a unit that a module installs"),
        pytest.param("usr/lib/libtool.so.1", id="a library"),
        pytest.param("usr/lib/x86_64-linux-gnu/libx", id="where libraries are"),
        pytest.param("usr/lib/dracut/modules.d/50y/module-setup.sh", id="a module"),
        pytest.param("usr/lib/udev/rules.d/60-tool.rules", id="dracut knows the directory"),
        pytest.param("etc/ld.so.conf.d/tool.conf", id="settings"),
        pytest.param("opt/tool", id="elsewhere"),
    ],
)
def test_what_dracut_may_see_matters(trees: tuple[Path, Path, Path], name: str) -> None:
    (trees[0] / "usr/lib/dracut/functions").write_text("udev rules.d modules systemd\n")
    (trees[2] / name).parent.mkdir(parents=True, exist_ok=True)
    (trees[2] / name).write_text("1")
    assert not ask(trees)


def test_a_tree_without_its_initramfs_has_none_to_give(trees: tuple[Path, Path, Path]) -> None:
    next(trees[0].glob("usr/lib/modules/*/initramfs.img")).unlink()
    assert not ask(trees)


def test_kind_mode_and_link_are_changes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for top in (one, two):
        top.mkdir()
        for name in ("same", "mode", "kind", "times"):
            (top / name).write_text("x")
        (top / "link").symlink_to(top.name)
    (two / "mode").chmod(0o755)
    (two / "kind").unlink()
    (two / "kind").symlink_to("same")
    os.utime(two / "times", (1, 1))
    assert list(find_changed(one, two)) == ["kind", "link", "mode"]


def test_in_doubt_it_matters() -> None:
    assert may_matter("usr/lib/", frozenset())
    assert may_matter("etc/passwd", frozenset())
    assert may_matter("usr/lib/systemd/system.conf", frozenset({"systemd"}))
    assert not may_matter("usr/lib/tool/data", frozenset({"systemd"}))
    assert may_matter("usr/lib/tool/data", frozenset({"tool"}))
