"""Finding exact packages: which fit, and what a snapshot's answers may say."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deb_mock.exact import Exact, Search, at_snapshot
from deb_mock.snapshot import parse_binfiles, parse_srcfiles
from debcore.errors import Failure
from debcore.job import AptSource
from debroot.idmap import IdMap
from debroot.store import Package, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", idmap=IdMap(100000, 65536))


def keep(store: Store, name: str, version: str, arch: str) -> Package:
    digest = hashlib.sha256(f"{name}{version}{arch}".encode()).hexdigest()
    path = store.pool_path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return Package(name=name, version=version, arch=arch, sha256=digest)


def test_only_what_is_wanted_and_in_the_pool_is_taken(store: Store) -> None:
    wanted = (Exact("libc6", "2.41"), Exact("libc6", "2.41", "i386"), Exact("docs", "1"), Exact("gone", "3"))
    search = Search(store, "amd64", wanted)
    lost = Package(name="gone", version="3", arch="amd64", sha256="a" * 64)
    offered = [
        keep(store, "libc6", "2.40", "amd64"), keep(store, "libc6", "2.41", "i386"), keep(store, "docs", "1", "all"),
        keep(store, "libc6", "2.41", "amd64"), lost,
    ]  # fmt: skip
    search.offer(offered, "a place")
    assert {str(exact): package.arch for exact, package in search.found.items()} == {
        "docs 1": "all", "libc6 2.41": "amd64", "libc6:i386 2.41": "i386"
    }  # fmt: skip
    assert search.missing == (Exact("gone", "3"),)
    assert search.origins == {"a place": 3}


def test_sources_are_turned_to_a_snapshot_at_a_time() -> None:
    sources = [
        AptSource(uris=("mirror:/debian",), suites=("trixie", "trixie-updates"), signed_by="key"),
        AptSource(uris=("mirror:/security",), suites=("trixie-security",), signed_by="key"),
    ]
    then = at_snapshot(sources, "https://old.example/", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert [source.uris for source in then] == [
        ("https://old.example/archive/debian/20260102T030405Z/",),
        ("https://old.example/archive/debian-security/20260102T030405Z/",),
    ]
    assert not any(source.check_valid_until for source in then)
    assert all(source.signed_by == "key" for source in then)


HOSTILE = ["", "{", "[]", "null", '{"result": 3}', '{"result": [1]}', '{"result": [{}]}', "[" * 100_000]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: raw[:20])
def test_an_answer_that_is_none_is_refused(raw: str) -> None:
    with pytest.raises(Failure):
        parse_binfiles(raw.encode(), archs=("amd64",))
    with pytest.raises(Failure):
        parse_srcfiles(raw.encode())


def test_only_hashes_for_the_architecture_are_taken() -> None:
    rows = [("amd64", "a" * 40), ("i386", "b" * 40), ("all", "c" * 40), ("amd64", "../../etc/passwd")]
    raw = json.dumps({"result": [{"architecture": arch, "hash": digest} for arch, digest in rows]}).encode()
    assert parse_binfiles(raw, archs=("amd64", "all")) == ["a" * 40, "c" * 40]


def test_a_source_file_may_not_lead_out() -> None:
    def answer(name: str) -> bytes:
        return json.dumps({"result": [{"hash": "a" * 40}], "fileinfo": {"a" * 40: [{"name": name}]}}).encode()

    assert parse_srcfiles(answer("tool_1.dsc")) == {"tool_1.dsc": "a" * 40}
    with pytest.raises(Failure, match="plain file name"):
        parse_srcfiles(answer("../tool_1.dsc"))
