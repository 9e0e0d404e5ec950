"""Throw-away roots in memory: on a store that only its owner may enter, counted, and gone at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from debcore.command import run
from debcore.errors import LimitHit
from debcore.job import Limits
from debroot.memory import Memory, choose_memory, open_scratch, read_tried
from debroot.sandbox import Bind, Sandbox, run_in, start_in
from debroot.store import Layer, Store
from debroot.upper import SHARED_MEMORY, memory_place

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def closed(store: Store, tools: Layer, cache_dir: Path) -> Iterator[tuple[Store, Layer]]:
    """A store below a directory of mode 0700, with the tools root in it as hard links."""
    home = cache_dir / f"closed-{os.getpid()}"
    home.mkdir(mode=0o700)
    made = Store.open(home / "store", idmap=store.idmap)
    with made.workplace("root") as place:
        run(["cp", "-al", f"{tools.root}/.", place / "root"])
        layer = made.commit_layer(place, Layer("base", place, (), tools.packages, tools.arch, tools.suite))
    yield made, layer
    made.release()
    shutil.rmtree(home)


def test_scratch_lies_in_memory_where_that_has_room(store: Store) -> None:
    for required, in_memory in ((1 << 20, True), (1 << 60, False)):
        with open_scratch(store, required=required) as place:
            assert place.is_relative_to(SHARED_MEMORY) is in_memory
            run_in(
                Sandbox(root=Path("/"), binds=(Bind(source=place, target="/mnt", readonly=False),)),
                ["touch", "/mnt/mine"], idmap=store.idmap,
            )  # fmt: skip
            assert [path.name for path in place.iterdir()] == ["mine"]
        assert not place.exists()


def test_a_root_in_memory_on_a_store_that_nobody_else_may_enter(closed: tuple[Store, Layer]) -> None:
    store, layer = closed
    assert read_tried(store.path) is None
    assert choose_memory(store, Memory(wish="yes", required=1), limit=None).in_memory
    assert read_tried(store.path) is True
    assert not choose_memory(store, Memory(), limit=None).in_memory
    place = memory_place(store)
    with store.using(layer), store.throwaway(memory=True) as upper, store.throwaway(memory=True) as build:
        assert upper.is_relative_to(SHARED_MEMORY)
        box = Sandbox(
            lowers=layer.lowers(), upper=upper, binds=(Bind(source=build, target="/build", readonly=False),),
            limits=Limits(memory=200 << 20, disk=1 << 30),
        )  # fmt: skip
        script = "head -c 20000000 /dev/zero > /mine; head -c 20000000 /dev/zero > /build/mine; rm -r /usr/share/doc"
        with start_in(box, ["sh", "-ec", script], idmap=store.idmap) as running:
            assert running.wait() == 0
            assert (running.peaks.disk or 0) >= 40_000_000
        assert (upper / "mine").stat().st_size == (build / "mine").stat().st_size == 20_000_000
        assert (upper / "usr/share/doc").is_char_device()
        # what an earlier step wrote counts with what this one writes
        with pytest.raises(LimitHit, match="memory"):
            run_in(
                Sandbox(lowers=layer.lowers(), upper=upper, limits=Limits(memory=50 << 20)),
                ["sh", "-ec", "head -c 40000000 /dev/zero > /more; sleep 200"], idmap=store.idmap,
            )  # fmt: skip
    assert place is not None
    assert not place.exists()


@pytest.mark.parametrize("obstacle", ["release", "place"])
def test_what_forbids_it_is_said(
    closed: tuple[Store, Layer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obstacle: str
) -> None:
    if obstacle == "release":
        monkeypatch.setattr("debroot.upper.can_use_tmpfs", lambda: False)
        words = "Linux 6.6"
    else:
        monkeypatch.setattr("debroot.upper.SHARED_MEMORY", tmp_path)
        words = "is no tmpfs"
    decision = choose_memory(closed[0], Memory(wish="yes", required=1), limit=None)
    assert not decision.in_memory
    assert words in decision.reason
