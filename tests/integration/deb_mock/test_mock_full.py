"""A full disk at each stage of a build: of the store, and of the job directory. Nothing is left half-written.

The store, or the directory of the results, lies on a tmpfs whose size is raised from nothing until a build fits; so
each stage in turn is the one that finds no room.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run
from debcore.job import JobDirectory, Status
from tests.integration.deb_mock.conftest import PRESET, make_native
from tests.integration.deb_mock.mishaps import check_clean, clone_store, make_deb

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(1800)]

KIB, MIB = 1 << 10, 1 << 20
#: Bytes that are free, from nothing to enough.
ROOM = (0, 8 * KIB, 24 * KIB, 48 * KIB, 96 * KIB, 200 * KIB, 300 * KIB, 500 * KIB, 800 * KIB,
        *(int(n * MIB) for n in (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64)))  # fmt: skip


@pytest.fixture(scope="module")
def disk(cache_dir: Path) -> Iterator[Path]:
    place = cache_dir / f"full-{os.getpid()}"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=6g,mode=0711", "full", place])
    yield place
    run(["umount", place])
    place.rmdir()


@pytest.fixture(scope="module")
def own(tool: Any, disk: Path) -> Any:
    """deb-mock whose whole store lies on that disk."""
    return clone_store(tool, disk / "store", copy=True)


def leave_room(disk: Path, room: int) -> None:
    now = os.statvfs(disk)
    used = (now.f_blocks - now.f_bfree) * now.f_frsize
    run(["mount", "-o", f"remount,size={max(4096, used + room)}", disk])


def make_tree(directory: Path) -> Path:
    """A source of which each stage needs more room than the one before."""
    tree = make_native(
        directory, fields=["Build-Depends: tiny-dep"], build="head -c 6000000 /dev/urandom > object; cp object debian/x"
    )
    (tree / "payload").write_bytes(os.urandom(1_500_000))
    return tree


#: What a store has at first → the stages that must have been those that found no room.
CASES = {
    "lists": {"root", "resolve"},  # apt has to make its caches of them
    "layer": {"resolve", "install", "pack", "build"},
    "base": {"root"},  # and its .debs
}


@pytest.mark.parametrize("case", CASES)
def test_a_store_without_room(tool: Any, own: Any, disk: Path, tmp_path: Path, case: str) -> None:
    deb = make_deb(tmp_path, "tiny-dep", f"1.{case}", bulk=6_000_000)
    tree, out = make_tree(tmp_path), tmp_path / "out"
    if case == "base":
        shutil.rmtree(own.store)
        clone_store(tool, own.store, copy=True, base=False, pool=True)
    if case == "layer":
        assert own.build(tree, out, "--extra-package", str(make_deb(tmp_path, "tiny-dep", "0"))).status == 0
    more = tuple(n * MIB for n in (100, 150, 200, 300, 450, 700, 1000)) if case != "layer" else ()
    stages = []
    for room in (*ROOM, *more):
        leave_room(disk, room)
        built = own.build(tree, out, "--extra-package", str(deb))
        leave_room(disk, 4 << 30)
        if built.status == 0:
            break
        assert built.status == 6, f"{room}: {built.said}"
        assert "[" in built.said, built.said
        if not (out / "result.json").exists():  # the store could not even be opened
            stages.append("open")
        else:
            assert (built.result.status, built.result.failure.kind) == (Status.HOST, "disk"), built.said
            assert "make room" in built.said or "DEBOOTC_STORE" in built.said, built.said
            stages.append(built.result.failure.stage)
        assert [path.name for path in (own.store / "tmp").iterdir()] == [], room
        check_clean(own)
        shutil.rmtree(out, ignore_errors=True)
    else:
        pytest.fail(f"it never fitted: {stages}")
    assert CASES[case] <= set(stages), " ".join(f"{room}:{stage}" for room, stage in zip(ROOM, stages, strict=False))
    assert own.build(tree, tmp_path / "again", "--extra-package", str(deb)).status == 0


def test_a_job_directory_without_room(tool: Any, disk: Path, tmp_path: Path) -> None:
    tree = make_native(tmp_path, build="yes filling the disk | head -c 400000; head -c 900000 /dev/urandom > big",
                       fields=["Build-Depends: tiny-dep"])  # fmt: skip
    rules = tree / "debian/rules"
    copying = "\tcp big debian/tmp/usr/share/\n\tdpkg-gencontrol"
    rules.write_text(rules.read_text().replace("\tdpkg-gencontrol", copying))
    deb = make_deb(tmp_path, "tiny-dep", "2")
    small = disk / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", small])
    seen = []
    try:
        for room in ROOM:
            leave_room(small, room)
            built = tool.build(tree, small / "out", "--extra-package", str(deb))
            result = JobDirectory(small / "out").find_result()
            if built.status == 0:
                break
            assert built.status == 6, f"{room}: {built.said}"
            assert "o space left" in built.said, built.said
            assert "make room" in built.said or "resultdir" in built.said, built.said
            assert "Traceback" not in built.said
            assert result is None or result.status is Status.HOST
            seen.append(None if result is None or result.failure is None else result.failure.stage)
            leave_room(small, 64 * MIB)
            again = tool.build(tree, small / "out", "--extra-package", str(deb))
            assert again.status == 0, again.said
            run(["find", small, "-mindepth", "1", "-delete"])
        else:
            pytest.fail(f"it never fitted: {seen}")
        assert len(seen) > 4
        assert tool.run("run", "-r", PRESET, "--", "true").status == 0
    finally:
        run(["umount", small])
        small.rmdir()
