"""What `scrub` chooses: everything of a kind, or only what belongs to one suite and architecture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deb_mock import scrub as module
from deb_mock.cli import group
from deb_mock.scrub import Only, scrub
from debcore.errors import Failure
from debroot.idmap import IdMap
from debroot.layers import StoreEntry
from debroot.store import Store


class FakeStore:
    """A store that only notes what it is told to remove."""

    def __init__(self, path: Path) -> None:
        (path / "resolved").mkdir()
        self.path = path
        self.removed: list[str] = []

    def remove(self, name: str) -> None:
        self.removed.append(name)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def entry(kind: Any, name: str, suite: str, arch: str = "amd64", parents: tuple[str, ...] = ()) -> StoreEntry:
        return StoreEntry(kind, name, suite, arch, 1, 0.0, False, 1, parents)

    entries = (
        entry("layer", "base", "trixie"),
        entry("layer", "deps", "trixie", parents=("base",)),
        entry("layer", "other", "sid"),
        entry("layer", "foreign", "trixie", "arm64"),
        entry("root", "play", "trixie"),
        entry("root", "unstable", "sid"),
    )
    store = FakeStore(tmp_path)
    monkeypatch.setattr(module, "list_store", lambda _store: entries)
    monkeypatch.setattr(module, "collect", lambda _store: ())
    monkeypatch.setattr(module, "remove_named", lambda store, name: store.remove(name))
    return store


@pytest.mark.parametrize(
    ("kinds", "only", "gone"),
    [
        (["root-cache"], None, ["deps", "base", "other", "foreign"]),
        (["chroot"], None, ["play", "unstable"]),
        (["root-cache"], Only("trixie", "amd64"), ["deps", "base"]),
        (["chroot", "root-cache"], Only("sid", "amd64"), ["unstable", "other"]),
    ],
)
def test_only_what_was_asked_for_goes(store: Any, kinds: list[str], only: Only | None, gone: list[str]) -> None:
    assert scrub(store, kinds, only=only) == (gone, [])
    assert store.removed == gone


@pytest.mark.parametrize("kind", ["bootstrap", "cache", "c-cache", "apt-cache"])
def test_what_all_presets_share_is_not_removed_for_one(store: Any, kind: str) -> None:
    with pytest.raises(Failure, match="shared by all presets"):
        scrub(store, [kind], only=Only("trixie", "amd64"))
    assert store.removed == []


def test_answers_of_apt_go_and_what_was_found_by_trying_this_host_stays(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", idmap=IdMap(os.getuid() or 500000))
    for name in ("ab12", "uppers", "tmpfs", "tools-x"):
        (store.path / "resolved" / name).write_text("{}")
    scrub(store, ["cache"])
    assert {path.name for path in (store.path / "resolved").iterdir()} == {"uppers", "tmpfs", "tools-x"}


@pytest.mark.parametrize(
    "words", [["scrub", "all", "--arch", "arm64"], ["clean", "--arch", "arm64"], ["clean", "--all", "--arch", "arm64"]]
)
def test_an_architecture_that_would_choose_nothing_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says it means less than everything."""
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "store"))
    done = CliRunner().invoke(group, words)
    assert (done.exit_code, (tmp_path / "store").exists()) == (2, False)
    assert "--arch goes with -r" in done.output
