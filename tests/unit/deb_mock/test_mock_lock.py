"""Locks: an edited one is refused, a hostile one too, and a whole one becomes the same layers again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deb_mock.locked import bring, plan_lock
from debcore.errors import ConfigError, DepsUnmet, Failure
from debcore.job import Lock, LockedPackage, LockedRelease, load_lock
from debcore.job.lock import hash_content
from debroot.idmap import IdMap
from debroot.store import Package, Store


def package(name: str, version: str = "1.0", *, role: str = "base", arch: str = "amd64", **more: Any) -> LockedPackage:
    digest = hashlib.sha256(f"{name}{version}{arch}".encode()).hexdigest()
    values = {"name": name, "version": version, "arch": arch, "sha256": digest, "size": 3, "role": role}
    return LockedPackage.model_validate({**values, "filename": f"pool/main/{name}_{version}_{arch}.deb", **more})


LOCK = Lock(
    preset="debian-trixie-amd64",
    suite="trixie",
    arch="amd64",
    packages=(package("base-files"), package("libc6", "2.41-13"), package("debhelper", role="build-dep", arch="all")),
    releases=(LockedRelease(uri="mirror.example/debian", suite="trixie", sha256="a" * 64),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    path.write_bytes(LOCK.encode())
    return path


def test_a_lock_reads_back_and_its_hash_is_that_of_the_file(path: Path) -> None:
    lock = load_lock(path)
    assert lock.encode() == path.read_bytes()
    assert lock.sha256 == LOCK.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_lock(path, sha256=LOCK.sha256) == lock


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": lambda d: d["packages"][0].update(version="9"),
    "another hash": lambda d: d["packages"][1].update(sha256="0" * 64),
    "one package less": lambda d: d["packages"].pop(),
    "another suite": lambda d: d.update(suite="sid"),
    "a field that nobody knows": lambda d: d.update(more="x"),
    "another release": lambda d: d["releases"][0].update(uri="elsewhere.example"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
def test_an_edited_lock_is_refused(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="was edited"):
        load_lock(path)


def test_a_lock_without_the_hash_of_its_content_is_refused(path: Path) -> None:
    document = json.loads(path.read_bytes())
    del document["content"]
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="does not carry"):
        load_lock(path)


def test_another_lock_than_the_one_asked_for_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="not bbb"):
        load_lock(path, sha256="b" * 64)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../../etc"},
        {"name": "-o"},
        {"version": "1.0 --force"},
        {"arch": "amd64/../.."},
        {"filename": "pool/../../secret"},
        {"filename": "/etc/passwd"},
        {"filename": "pool/a b"},
    ],
    ids=str,
)
def test_a_lock_that_names_what_is_no_package_is_refused(path: Path, fields: dict[str, str]) -> None:
    document = json.loads(path.read_bytes())
    document["packages"][0].update(fields)
    document["content"] = hash_content(document)
    path.write_text(json.dumps(document))
    with pytest.raises(Failure):
        load_lock(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"packages": 3}', "[" * 100_000, "\0"])
def test_what_is_no_lock_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match="no lock"):
        load_lock(path)


def test_a_lock_plans_base_and_dependencies() -> None:
    replaced = (package("libc6", "2.41-12"), package("gone"))
    plan = plan_lock(
        LOCK.model_copy(update={"packages": (package("base-files"), *LOCK.packages[2:]), "replaced": replaced})
    )
    assert [f"{p.name} {p.version}" for p in plan.base] == ["base-files 1.0", "gone 1.0", "libc6 2.41-12"]
    assert [p.name for p in plan.change.packages] == ["debhelper"]
    assert plan.change.removed == ("gone", "libc6")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", idmap=IdMap(100000, 65536))


def known(store: Store, content: bytes) -> Package:
    digest = hashlib.sha256(content).hexdigest()
    path = store.pool_path(digest)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return Package(name="tool", version="1", arch="all", sha256=digest, filename="pool/t.deb")


def test_what_is_missing_is_named_with_where_it_can_be_got(store: Store) -> None:
    lost = [Package(name=f"lost{n}", version="2", arch="all", sha256="c" * 64, filename=f"pool/{n}") for n in range(14)]
    with pytest.raises(DepsUnmet, match=r"14 packages .* lost0 2 all \(pool/0\).*; and 2 more") as caught:
        bring(store, [known(store, b"there"), *lost], LOCK, None)
    assert "mirror.example/debian" in caught.value.hint


def test_a_package_with_another_hash_is_refused(store: Store) -> None:
    tool = known(store, b"there")
    bring(store, [tool], LOCK, None)
    store.pool_path(tool.sha256).write_bytes(b"changed")
    with pytest.raises(Failure, match="tool 1 has SHA-256"):
        bring(store, [tool], LOCK, None)
