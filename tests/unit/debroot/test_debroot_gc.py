"""What gc decides, as a plan: nothing here touches a disk but the last ones."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from debcore.errors import Failure
from debroot.caches import list_caches, open_cache, remove_cache
from debroot.gc import collect, discard, list_store, plan_removals, reclaim
from debroot.idmap import IdMap
from debroot.layers import StoreEntry
from debroot.locks import take_free
from debroot.named import Description, Snapshot, Stack, parse_description
from debroot.store import Store
from debroot.sweep import holding_pool
from debroot.upper import leave_memory, memory_place, workplaces

NOW = 1_000_000.0
DAY = 86400.0


def layer(name: str, *parents: str, age: float = 0, size: int = 100, in_use: bool = False) -> StoreEntry:
    return StoreEntry("layer", name, "trixie", "amd64", size, NOW - age, in_use, 1, parents)


def plan(
    *layers: StoreEntry,
    debs: tuple[tuple[str, int, float], ...] = (),
    kept: frozenset[str] = frozenset(),
    size: int | None = None,
    age: float | None = None,
) -> list[str]:
    return [removal.id for removal in plan_removals(layers, debs, kept=kept, max_size=size, max_age=age, now=NOW)]


def test_the_least_recently_used_goes_first_and_no_more_than_needed() -> None:
    assert plan(layer("new"), layer("old", age=9), layer("older", age=10), size=200) == ["older"]
    assert plan(layer("new"), layer("old", age=9), size=200) == []


def test_debs_go_before_layers() -> None:
    debs = (("d1", 50, NOW - 1), ("d2", 50, NOW - 2))
    assert plan(layer("a", age=99), debs=debs, size=160) == ["d2"]
    assert plan(layer("a", age=99), debs=debs, size=0) == ["d2", "d1", "a"]


def test_what_others_stand_on_goes_after_them_or_not_at_all() -> None:
    stack = (layer("base", age=30), layer("dep", "base", age=20), layer("top", "base", "dep", age=10))
    assert plan(*stack, size=0) == ["top", "dep", "base"]
    used = (layer("base", age=30), layer("dep", "base", age=20), layer("top", "base", "dep", age=10, in_use=True))
    assert plan(*used, size=0) == []
    assert plan(*stack, size=0, kept=frozenset({"dep"})) == ["top"]


def test_age_counts_from_the_last_use() -> None:
    debs = (("d1", 50, NOW - 40 * DAY),)
    assert plan(layer("a", age=31 * DAY), layer("b", age=29 * DAY), debs=debs, age=30 * DAY) == ["d1", "a"]
    assert plan(layer("a", age=-9 * DAY), age=30 * DAY) == []
    assert plan(layer("a"), debs=debs, age=30 * DAY, size=0) == ["d1", "a"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", idmap=IdMap(os.getuid() or 500000))


def add_layer(store: Store, name: str, *parents: str) -> Path:
    path = store.path / "layers" / name
    (path / "root").mkdir(parents=True)
    (path / "lock").touch()
    content = {"parents": parents, "packages": [], "arch": "amd64", "suite": "trixie", "size": 10}
    (path / "meta.json").write_text(json.dumps(content))
    return path


def test_a_clock_that_jumped_does_not_keep_a_layer_for_ever(store: Store) -> None:
    path = add_layer(store, "future")
    os.utime(path / "meta.json", (time.time() + 9e8, time.time() + 9e8))
    assert collect(store, max_age=60) == ()
    assert (path / "meta.json").stat().st_mtime <= time.time()


def test_a_layer_that_was_found_stays_until_the_store_lets_go(store: Store) -> None:
    path = add_layer(store, "one")
    other = Store(store.path, store.idmap)
    assert store.find("one") is not None
    assert collect(other, max_size=0) == ()
    assert [entry.in_use for entry in other.list()] == [True]
    store.release()
    assert [removal.id for removal in collect(other, max_size=0)] == ["one"]
    assert not path.exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"parents": []}', '{"parents": ["gone"], "packages": [], "arch": "a", "suite": "s"}']
)
def test_a_damaged_layer_is_taken_out(store: Store, content: str) -> None:
    path = add_layer(store, "one")
    (path / "meta.json").write_text(content)
    assert store.find("one") is None
    assert not path.exists()


def test_a_layer_whose_tree_is_gone_is_taken_out(store: Store) -> None:
    (add_layer(store, "one") / "root").rmdir()
    assert store.find("one") is None
    assert store.list() == ()


def test_a_full_disk_has_no_room_for_a_new_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = add_layer(store, "one")

    def rename(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "rename", rename)
    assert [removal.id for removal in collect(store, max_size=0)] == ["one"]
    assert not path.exists()


def test_what_stands_on_a_layer_is_asked_under_its_lock(store: Store) -> None:
    path = add_layer(store, "one")
    with pytest.raises(Failure, match="a root stands on layer one"):
        discard(store, path, "layer one", lambda: "a root")
    assert path.exists()
    add_layer(store, "top", "one")
    with pytest.raises(Failure, match="layer top stands on layer one"):
        store.remove("one")


def test_a_named_root_keeps_the_layers_of_its_snapshots(store: Store) -> None:
    for name in ("base", "old", "other"):
        add_layer(store, name)
    description = Description(
        Stack("base", ("s1",)), "s2", "trixie", "amd64", "debian-trixie-amd64", {"x": Snapshot(Stack("old"), 5.0)}
    )
    assert parse_description(description.encode()) == description
    place = store.path / "roots" / "mine"
    place.mkdir()
    (place / "meta.json").write_text(description.encode())
    assert [removal.id for removal in collect(store, max_size=0)] == ["other"]
    assert [entry.id for entry in store.list()] == ["base", "old", "mine"]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /dev/shm."""
    shared = tmp_path / "shm"
    shared.mkdir()
    monkeypatch.setattr("debroot.upper.SHARED_MEMORY", shared)
    monkeypatch.setattr("debroot.upper.is_tmpfs", lambda path: True)
    monkeypatch.setattr("debroot.upper.can_use_tmpfs", lambda: True)
    return shared


def test_a_place_in_memory_goes_with_what_was_in_it(store: Store, tmp_path: Path, shared: Path) -> None:
    place = memory_place(store)
    assert place is not None
    assert workplaces(store) == [store.path / "tmp", place]
    (place / "left").mkdir()
    (place / "left" / "lock").touch()
    assert [removal.id for removal in collect(store)] == ["left"]
    assert list(shared.iterdir()) == []
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    place.symlink_to(other)
    assert memory_place(store) is None
    assert other.stat().st_mode & 0o777 == 0o700
    assert workplaces(store) == [store.path / "tmp"]


def test_a_place_in_memory_may_go_at_any_moment(store: Store, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command that ends removes it between any two steps of this one."""
    place = memory_place(store)
    assert place is not None
    seen = workplaces(store)
    leave_memory(store)
    monkeypatch.setattr("debroot.upper.workplaces", lambda store: seen)
    assert reclaim(store) == []
    assert list_store(store, only=("leftover",)) == ()


def test_a_place_in_memory_is_made_as_often_as_it_goes(store: Store, shared: Path) -> None:
    stopped, count = threading.Event(), 0

    def leave() -> None:
        while not stopped.is_set():
            leave_memory(store)

    thread = threading.Thread(target=leave)
    thread.start()
    try:
        while count < 60:
            if place := memory_place(store):
                with store.workplace(at=place) as made:
                    assert made.is_dir()
                    count += 1
    finally:
        stopped.set()
        thread.join()


def cache(name: str, *, age: float = 0, in_use: bool = False) -> StoreEntry:
    return StoreEntry("cache", name, "", "", 100, NOW - age, in_use, 0)


def test_caches_and_layers_go_by_their_age_alike() -> None:
    entries = (layer("a", age=3), cache("ccache/x", age=2), layer("b", age=1), cache("ccache/y", age=9, in_use=True))
    assert plan(*entries, size=300) == ["a"]
    assert plan(*entries, size=200) == ["a", "ccache/x"]
    assert plan(*entries, size=0) == ["a", "ccache/x", "b"]
    assert plan(*entries, age=1.5) == ["a", "ccache/x"]


def test_what_stays_counts() -> None:
    assert [r.id for r in plan_removals([layer("a")], [], kept=frozenset(), max_size=250, max_age=None, now=NOW)] == []
    found = plan_removals([layer("a")], [], kept=frozenset(), max_size=250, max_age=None, now=NOW, fixed=200)
    assert [removal.id for removal in found] == ["a"]


def add_cache(store: Store, name: str, key: str) -> Path:
    path = store.path / "plugins" / name / key
    path.mkdir(parents=True)
    (path / "object").write_bytes(bytes(10_000))
    return path


def test_a_cache_in_use_stays_and_a_free_one_goes(store: Store) -> None:
    used, free = add_cache(store, "ccache", "one"), add_cache(store, "ccache", "two")
    (store.path / "plugins" / "ccache" / ".gone-three").mkdir()  # a removal that was killed
    path, fd = open_cache(store, "ccache", "one")
    try:
        assert path == used
        assert [(entry.id, entry.in_use) for entry in list_caches(store)] == [
            ("ccache/one", True), ("ccache/two", False),
        ]  # fmt: skip
        assert [(r.kind, r.id) for r in collect(store, max_size=0, dry_run=True)] == [("cache", "ccache/two")]
        gone = collect(store, max_size=0)
        assert [(removal.kind, removal.id) for removal in gone] == [("cache", "ccache/two")]
        assert gone[0].size >= 10_000
        assert used.exists()
        assert not free.exists()
        assert [entry.name for entry in used.parent.iterdir()] == ["one"]
        assert collect(store, max_age=1) == ()
    finally:
        os.close(fd)
    lock = next((store.path / "locks").glob("cache-*/lock"))
    os.utime(lock, (1, 1))
    assert [removal.id for removal in collect(store, max_age=86400)] == ["ccache/one"]
    assert list((store.path / "locks").glob("cache-*")) == []


def test_a_lock_that_others_make_and_remove_at_the_same_time_stops_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add_cache(store, "ccache", "one")
    os.close(open_cache(store, "ccache", "one")[1])
    lock = next((store.path / "locks").glob("cache-*"))
    (lock / "new").touch()  # what a build that waits has made again
    remove_cache(store, "ccache/one")
    assert (path.exists(), lock.exists()) == (False, True)
    path.mkdir()
    (lock / "new").unlink()
    lock.rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", lambda *_, **__: None)  # another removes it at once
        with pytest.raises(Failure, match="the cache ccache/one is in use"):
            remove_cache(store, "ccache/one")
        with holding_pool(store) as free:
            assert not free
    remove_cache(store, "ccache/one")
    assert not path.exists()


def test_debs_that_somebody_is_about_to_use_stay(store: Store) -> None:
    deb = store.pool_path("ab" * 32)
    deb.parent.mkdir()
    deb.write_bytes(b"deb")
    user = Store(store.path, store.idmap)
    half = store.path / "pool" / "incoming-1234"
    half.touch()
    user.keep_pool()
    assert collect(store, max_size=0) == ()
    assert half.exists()
    user.release()
    collect(store)
    assert not half.exists()
    assert [removal.kind for removal in collect(store, max_size=0)] == ["deb"]
    assert not deb.exists()


def test_lists_answers_and_locks_go_when_nobody_asks(store: Store) -> None:
    for name in ("key-tools", "used-tools", "fresh-tools"):
        (store.path / "apt" / name / "state").mkdir(parents=True)
        (store.path / "apt" / name / "stamp").touch()
        if not name.startswith("fresh"):
            os.utime(store.path / "apt" / name / "stamp", (1, 1))
        with store.making(f"apt-{name.partition('-')[0]}"):
            pass
    for name in ("old", ".old.x7", "tools-old", "fresh", "tmpfs", "uppers"):
        (store.path / "resolved" / name).write_text("{}")
        if name != "fresh":
            os.utime(store.path / "resolved" / name, (1, 1))
    with store.making("layer-old"):
        pass
    os.utime(store.path / "locks" / "layer-old" / "lock", (1, 1))
    with store.making("apt-used"):
        collect(store)
    assert sorted(path.name for path in (store.path / "apt").iterdir()) == ["fresh-tools", "used-tools"]
    assert sorted(path.name for path in (store.path / "resolved").iterdir()) == [
        "fresh",
        "tmpfs",
        "tools-old",
        "uppers",
    ]
    assert not (store.path / "locks" / "layer-old").exists()
    with store.making("layer-old"):  # and is made again
        assert [removal.id for removal in collect(store, max_size=0) if removal.kind == "lists"] != []
    assert (store.path / "locks" / "layer-old").exists()
    assert list((store.path / "apt").iterdir()) == []


def test_a_lock_that_is_removed_while_it_is_waited_for_is_made_again(store: Store) -> None:
    order: list[str] = []

    def second() -> None:
        with store.making("one"):
            order.append("second")

    with store.making("one"):
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
        # at once: between two steps the other would put its own lock there
        (store.path / "locks" / "one").rename(store.path / "locks" / "removed")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_lock_is_taken_while_another_removes_it_again_and_again(store: Store) -> None:
    place, taken, ended = store.path / "locks" / "one", [0], threading.Event()

    def take() -> None:
        try:
            for _ in range(3000):
                with store.making("one"):
                    taken[0] += 1
        finally:
            ended.set()

    thread = threading.Thread(target=take)
    thread.start()
    number = 0
    while not ended.is_set():
        with suppress(FileNotFoundError):
            place.rename(store.path / f"removed-{number}")
            number += 1
    thread.join()
    assert taken == [3000]


def test_named_roots_go_by_age_only_when_that_is_said(store: Store) -> None:
    for name, at in (("old", 1), ("new", None)):
        place = store.path / "roots" / name
        (place / "states" / "s" / "root").mkdir(parents=True)
        (place / "lock").touch()
        (place / "meta.json").write_text(Description(Stack(None), "s", "trixie", "amd64", "p").encode())
        if at:
            os.utime(place / "meta.json", (at, at))
    assert collect(store, max_age=86400) == ()
    assert [(r.kind, r.id) for r in collect(store, max_age=86400, roots=True, dry_run=True)] == [("root", "old")]
    fd = take_free(store.path / "roots" / "old")
    assert fd is not None
    try:
        assert collect(store, max_age=86400, roots=True) == ()
    finally:
        os.close(fd)
    assert [removal.id for removal in collect(store, max_age=86400, roots=True)] == ["old"]
    assert [entry.id for entry in store.list()] == ["new"]


def test_a_dry_run_does_not_count_the_roots_that_would_go(store: Store) -> None:
    root, failed = store.path / "roots" / "old", store.path / "failed" / "f1"
    for place, tree in ((root, "states/s/root"), (failed, "root")):
        (place / tree).mkdir(parents=True)
        (place / "lock").touch()
    (root / "states" / "s" / "root" / "file").write_bytes(bytes(100_000))
    (root / "meta.json").write_text(Description(Stack(None), "s", "trixie", "amd64", "p").encode())
    os.utime(root / "meta.json", (1, 1))
    known = {"layer": "gone", "made_at": time.time() - 3600, "size": 100_000, "about": {}}
    (failed / "meta.json").write_text(json.dumps(known))
    add_layer(store, "stays")

    def run(size: int, age: int, *, dry_run: bool) -> list[str]:
        return [removal.id for removal in collect(store, max_size=size, max_age=age, roots=True, dry_run=dry_run)]

    assert run(150_000, 86400, dry_run=True) == ["old"]
    assert run(50_000, 60, dry_run=True) == ["old", "f1"]
    assert run(50_000, 60, dry_run=False) == ["old", "f1"]
