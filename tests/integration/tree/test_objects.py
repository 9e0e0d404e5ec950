"""A commit that takes the objects of the one before is the commit that would have been made without it."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deb_bootc_compose.objects import can_link, commit_growing
from deb_bootc_compose.ostree import Repository, commit, fsck, init_repo
from debroot.store import Layer, Store

pytestmark = pytest.mark.root

SAID: Any = {"ref": "x", "version": "1", "timestamp": 1, "parent": "0" * 64, "signer": None, "metadata": {"lock": "l"}}


def write(place: Path, name: str, content: bytes) -> None:
    (place / "root" / name).parent.mkdir(parents=True, exist_ok=True)
    (place / "root" / name).write_bytes(content)


@pytest.fixture
def before(store: Store, tools: Layer, tmp_path: Path) -> tuple[Repository, Any]:
    """A repository with a commit, and the tree that followed: one file changed, one came, one went."""
    place = tmp_path / "tree"
    (place / "root").mkdir(parents=True)
    tree: Any = SimpleNamespace(root=place / "root", packages=())
    for number in range(20):
        write(place, f"file{number}", random.Random(number).randbytes(3_000) * 4)
    for name in ("etc/conf", "usr/lib/modules/6.12/vmlinuz", "usr/lib/modules/6.12/initramfs.img"):
        write(place, name, name.encode())
    tmp_path.chmod(0o755)
    earlier = init_repo(store, tmp_path / "earlier", suite="trixie", tools=tools)
    commit(earlier, tree, **SAID)
    write(place, "file3", b"another")
    write(place, "new", b"new")
    (place / "root/file7").unlink()
    return earlier, tree


def names(repository: Repository) -> set[str]:
    return {str(path.relative_to(repository.path)) for path in (repository.path / "objects").glob("*/*")}


def test_it_is_the_same_and_what_was_there_is_linked(
    store: Store, tools: Layer, before: tuple[Repository, Any], tmp_path: Path
) -> None:
    earlier, tree = before
    alone = init_repo(store, tmp_path / "alone", suite="trixie", tools=tools)
    growing = init_repo(store, tmp_path / "growing", suite="trixie", tools=tools)
    assert can_link(growing, earlier.path)
    made = commit_growing(growing, tree, earlier.path, **SAID)
    assert made == commit(alone, tree, **SAID)
    fsck(growing)
    assert names(growing) == names(alone)
    for name in names(alone):
        assert (growing.path / name).read_bytes() == (alone.path / name).read_bytes()
    linked = {name for name in names(growing) if (growing.path / name).stat().st_nlink > 1}
    assert len([name for name in linked if name.endswith(".filez")]) == 21  # 18 of 20 files, and the three
    owner = (growing.path / "objects").stat()
    assert {path.stat().st_uid for path in (growing.path / "objects").iterdir()} == {owner.st_uid}


def test_of_a_damaged_one_nothing_is_taken(
    store: Store, tools: Layer, before: tuple[Repository, Any], tmp_path: Path
) -> None:
    earlier, tree = before
    victim = max((earlier.path / "objects").glob("*/*.filez"), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    growing = init_repo(store, tmp_path / "growing", suite="trixie", tools=tools)
    made = commit_growing(growing, tree, earlier.path, **SAID)
    assert made == commit(init_repo(store, tmp_path / "alone", suite="trixie", tools=tools), tree, **SAID)
    fsck(growing)
    assert {(growing.path / name).stat().st_nlink for name in names(growing)} == {1}
