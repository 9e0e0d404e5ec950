"""Roots of failed builds: kept by rename, bounded, and collected when nobody uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from debcore.errors import Failure
from debroot.gc import collect, find_above, list_store
from debroot.kept import COUNT, Kept, find_kept, keep_root, open_kept, trim_kept
from debroot.store import Layer, Store

pytestmark = pytest.mark.root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def layer(store: Store) -> Layer:
    """A layer without packages."""
    with store.workplace("root") as place:
        (place / "root" / "file").write_bytes(b"x" * 8192)
        return store.commit_layer(place, Layer("0" * 24, place, (), (), "amd64", "trixie"))


def keep(store: Store, layer: Layer, word: str) -> Kept:
    with store.throwaway() as upper, store.throwaway() as build:
        (upper / "file").write_text(word)
        (build / "tree").mkdir()
        return keep_root(store, layer, upper, build, {"word": word})


def test_what_is_kept_is_found_as_it_was(store: Store, layer: Layer) -> None:
    keep(store, layer, "first")
    newest = keep(store, layer, "second")
    assert [kept.about["word"] for kept in find_kept(store)] == ["second", "first"]
    with open_kept(store, newest) as (below, upper, build):
        assert below.id == layer.id
        assert (upper / "file").read_text() == "second"
        assert (build / "tree").is_dir()
        with pytest.raises(Failure, match="in use"), open_kept(store, newest):
            pass
    assert not list((store.path / "tmp").iterdir())
    assert [entry.kind for entry in list_store(store)] == ["layer", "failed", "failed"]
    assert find_above(store, layer.id) is not None  # its layer stays as long as it does


def test_only_the_newest_are_kept_and_none_for_long(store: Store, layer: Layer) -> None:
    for number in range(COUNT + 2):
        keep(store, layer, str(number))
    found = find_kept(store)
    assert [kept.about["word"] for kept in found] == ["5", "4", "3", "2"]
    with open_kept(store, found[0]):
        assert set(trim_kept(store, max_age=0)) == {kept.id for kept in found[1:]}
    assert [kept.id for kept in find_kept(store)] == [found[0].id]


def test_what_was_half_removed_goes(store: Store, layer: Layer) -> None:
    kept = keep(store, layer, "x")
    (kept.path / "meta.json").unlink()
    assert find_kept(store) == ()
    assert trim_kept(store) == (kept.id,)
    assert not kept.path.exists()


def test_gc_takes_them_before_layers(store: Store, layer: Layer) -> None:
    kept = keep(store, layer, "x")
    assert collect(store, max_size=1 << 40) == ()
    assert [r.kind for r in collect(store, max_size=0, dry_run=True)] == ["failed"]
    assert find_kept(store)
    with open_kept(store, kept):
        assert collect(store, max_size=0) == ()
    assert [removal.kind for removal in collect(store, max_size=0)] == ["failed", "layer"]
    assert find_kept(store) == ()
