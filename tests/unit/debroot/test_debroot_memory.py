"""Roots in memory: what is decided, and what the launcher is told of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debroot.idmap import IdMap
from debroot.isolate import watch
from debroot.memory import Memory, Wish, decide
from debroot.sandbox import Bind, Sandbox, find_growing, make_spec
from debroot.upper import SHARED_MEMORY

GIB = 1 << 30


@pytest.mark.parametrize(
    ("wish", "free", "limit", "obstacle", "in_memory", "reason"),
    [
        ("no", 99 * GIB, None, None, False, ""),
        ("no", 0, None, "broken", False, ""),
        ("yes", 2 * GIB, None, None, True, ""),
        ("yes", GIB - 1, None, None, False, "1024 MiB of memory are free, 1024 MiB are required"),
        ("yes", 9 * GIB, None, "no tmpfs", False, "no tmpfs"),
        ("yes", 9 * GIB, GIB // 2, None, False, "the limit of memory is 512 MiB, and 1024 MiB are required"),
        ("auto", 2 * GIB, None, None, True, ""),
        ("auto", 2 * GIB - 1, None, None, False, "2048 MiB are required with a reserve"),
        ("auto", 9 * GIB, GIB, None, False, "the limit of memory is 1024 MiB, and 2048 MiB are required"),
        ("auto", 9 * GIB, 2 * GIB, None, True, ""),
    ],
)
def test_memory_is_taken_where_there_is_enough(
    wish: Wish, free: int, limit: int | None, obstacle: str | None, in_memory: bool, reason: str
) -> None:
    decision = decide(Memory(wish=wish, required=GIB), free=free, limit=limit, obstacle=obstacle)
    assert decision.in_memory is in_memory
    assert reason in decision.reason
    assert bool(decision.reason) is bool(reason)


def test_what_lies_in_memory_is_opened_apart() -> None:
    """No common directory of the store and of /dev/shm is one that every id may enter."""
    place = SHARED_MEMORY / "deb-mock-0-x" / "y"
    lowers = (Path("/s/layers/a/root"), Path("/s/layers/b/root"))
    binds = (Bind(source=place / "upper", target="/build", readonly=False),)
    spec = make_spec(Sandbox(lowers=lowers, upper=place / "upper", binds=binds), ["true"], IdMap(5), timeout=None)
    assert (spec["base"], spec["lowers"]) == ("/s/layers", ["a/root", "b/root"])
    assert (spec["apart"], spec["upper"], spec["work"]) == (str(place), "upper", "work")
    assert spec["in_memory"]
    assert spec["binds"][0]["in_memory"]
    spec = make_spec(Sandbox(lowers=lowers, upper=Path("/s/tmp/x/upper")), ["true"], IdMap(5), timeout=None)
    assert (spec["apart"], spec["upper"], spec["in_memory"]) == (None, "tmp/x/upper", False)


def test_only_what_can_be_written_to_counts_towards_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debroot.upper.SHARED_MEMORY", tmp_path)
    for name in ("upper", "build", "debs"):
        (tmp_path / name).mkdir()
    (tmp_path / "log").touch()
    binds = tuple(
        Bind(source=tmp_path / name, target=f"/{name}", readonly=name == "debs") for name in ("build", "debs", "log")
    )
    assert find_growing(Sandbox(upper=tmp_path / "upper", binds=binds)) == [tmp_path / "upper", tmp_path / "build"]
    assert find_growing(Sandbox(binds=(Bind(source=Path("/srv"), target="/srv", readonly=False),))) == []


def fill(path: Path, size: int) -> int:
    path.mkdir()
    (path / "file").write_bytes(bytes(size))
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def test_a_disk_in_memory_counts_twice_and_a_copy_only_by_what_it_grew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "sum_memory", lambda tmpfs: 1000)
    held, copy = fill(tmp_path / "held", 3 << 20), fill(tmp_path / "copy", 5 << 20)
    try:
        looking = watch.Watch(4 << 20, None, [], [(held, 0, True), (copy, 4 << 20, False)])
        assert looking.look() is None
        assert 3 << 20 <= looking.peak_memory < 4 << 20
        assert 4 << 20 <= looking.peak_disk < 5 << 20
        assert watch.Watch(2 << 20, None, [], [(held, 0, True)]).look() == "memory"
        assert watch.Watch(None, 2 << 20, [], [(held, 0, True)]).look() == "disk"
        assert watch.Watch(None, 2 << 20, [], [(copy, 5 << 20, False)]).look() is None
        assert watch.Watch(None, 2 << 20, [], [(copy, 9 << 20, False)]).peak_disk == 0
    finally:
        os.close(held)
        os.close(copy)
