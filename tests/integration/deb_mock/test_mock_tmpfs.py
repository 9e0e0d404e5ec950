"""Builds whose roots lie in memory: the same result, their limits, the root of one that failed, and kill -9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from debcore.job import JobDirectory, Status
from debroot.gc import is_used
from debroot.store import Store
from debroot.upper import memory_place
from tests.integration.deb_mock.test_mock_stop import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

IN_MEMORY = ("--enable-plugin", "tmpfs", "--plugin-option", "tmpfs:required_ram_mb=100")


def left_in_memory(tool: Any) -> list[str]:
    """What nobody uses any more: other tests may have roots there."""
    place = memory_place(Store.open(tool.store))
    assert place is not None
    return [path.name for path in place.iterdir() if not is_used(path)]


@pytest.mark.usefixtures("newest_kept")
def test_a_build_in_memory_that_fails_is_kept_on_disk(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(build="df --output=fstype . | tail -n 1; echo here > mine; false")
    built = tool.build(tree, tmp_path / "out", *IN_MEMORY, "--keep-failed")
    assert (built.status, built.result.tmpfs) == (4, True), built.said
    assert "I: Changes to the root lie in memory" in built.log
    assert "\ntmpfs\n" in built.log
    assert left_in_memory(tool) == []
    looked = tool.run("run", "--last-failed", "--", "cat", "mine")
    assert (looked.status, looked.text) == (0, "here\n"), looked.stderr.decode()


@pytest.mark.parametrize(
    ("kind", "option"), [("memory", "limits.memory=260M"), ("disk", "root.max_fs_size=50m")], ids=["memory", "size"]
)
def test_files_in_memory_are_limited(native: Any, tool: Any, tmp_path: Path, kind: str, option: str) -> None:
    tree = native(build="head -c 300M /dev/zero > big; sleep 600")
    built = tool.build(tree, tmp_path / "out", *IN_MEMORY, "--set", option)
    assert (built.status, built.result.status, built.result.failure.kind) == (7, Status.LIMIT, kind), built.said
    assert "root.tmpfs=no" in built.said
    assert left_in_memory(tool) == []


def test_memory_that_is_not_there_is_said_and_the_build_goes_on(native: Any, tool: Any, tmp_path: Path) -> None:
    built = tool.build(native(), tmp_path / "out", "--set", "root.tmpfs=yes", "--set", "root.required_ram_mb=99999999")
    assert (built.status, built.result.tmpfs) == (0, False), built.said
    assert "W: Changes to the root lie on disk, not in memory:" in built.log


def test_kill_9_leaves_nothing_in_memory(native: Any, tool: Any, tmp_path: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    process = tool.start("build", "-r", "trixie", native(build="touch here; sleep 3600"), *IN_MEMORY,
                         "--resultdir", tmp_path / "out")  # fmt: skip
    place = memory_place(Store.open(tool.store))
    assert place is not None
    try:
        wait_for(lambda: any(place.glob("*/upper/*/*/here")))
        mine = next(place.glob("*/upper/*/*/here")).parents[3]
    finally:
        process.kill()
        process.wait()
    assert Path("/proc/self/mountinfo").read_text() == before
    assert JobDirectory(tmp_path / "out").find_result() is None

    def is_clean() -> bool:  # the kernel ends what ran inside after it has ended the tool
        assert tool.run("gc").status == 0
        return not mine.exists()

    wait_for(is_clean)


def test_an_ordinary_user_has_it_too(rootless: Any) -> None:
    done = rootless.run("run", "-r", "trixie", "--set", "root.tmpfs=yes", "--", "df", "--output=fstype", "/build")
    assert (done.status, done.text.split()[1:]) == (0, ["tmpfs"]), done.stderr.decode()
