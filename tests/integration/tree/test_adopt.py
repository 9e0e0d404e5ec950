"""The commit of an earlier compose is taken object by object: one that is damaged is not."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deb_bootc_compose.ostree import fsck, init_repo, root_checksums
from deb_bootc_compose.tasks import commit
from debcore.errors import CommandFailed, Failure
from debroot.sandbox import Bind
from debroot.store import Layer, Store

pytestmark = [pytest.mark.root, pytest.mark.slow]


def task(path: Path) -> Any:
    """All of a Task that is used."""
    path.mkdir()
    path.chmod(0o755)
    return SimpleNamespace(compose=SimpleNamespace(path=path), params={"suite": "trixie"}, say=lambda _text: None)


def test_a_damaged_object_is_not_taken(store: Store, tools: Layer) -> None:
    assert Store.open().path == store.path
    with store.workplace("content", "old") as place:
        earlier = init_repo(store, place / "old/repo", suite="trixie", tools=tools)
        (place / "content/file").write_bytes(random.Random(1).randbytes(20_000))
        bind = Bind(source=place / "content", target="/content")
        made = earlier.run("commit", "--branch=x", "--tree=dir=/content", "--timestamp=@0", binds=(bind,)).decode()
        value = {"repo": "repo", "commit": made.strip()}
        found = {"path": str(place / "old"), "result": {"value": value, "files": []}}
        commit.adopt(task(place / "whole"), found)
        taken = init_repo(store, place / "whole/repo", suite="trixie", tools=tools)
        fsck(taken)
        assert root_checksums(taken, value["commit"]) == root_checksums(earlier, value["commit"])

        (victim,) = (place / "old/repo/objects").glob("*/*.filez")
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        with pytest.raises(Failure, match="is damaged"):
            fsck(earlier)
        with pytest.raises(CommandFailed, match=r"(?i)corrupt|checksum|inflat|data"):
            commit.adopt(task(place / "damaged"), found)
