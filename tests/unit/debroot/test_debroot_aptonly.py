"""What the apt-only network serves: files that verified indexes list, by exact name."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from debcore.job import AptSource
from debroot.aptonly import AptOnly, Suite, find_package
from debroot.door import Refusal
from debroot.idmap import IdMap
from debroot.layers import Layer
from debroot.store import Store

SHA = "ab" * 32
PACKAGES = f"""Package: first
Version: 1
Architecture: all
Filename: pool/f/first_1_all.deb
Size: 4
SHA256: {SHA}

Package: last
Version: 1+b1
Architecture: amd64
Filename: pool/l/last_1+b1_amd64.deb
Size: 5
SHA256: {SHA}

Package: bad
Filename: pool/b/bad.deb
Size: many
SHA256: {SHA}
"""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[AptOnly]:
    with tempfile.TemporaryFile() as file:
        file.write(PACKAGES.encode())
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            suite = Suite("http://a.example/debian", {"/0/dists/s/main/binary-amd64/Packages": file.fileno()}, (text,))
            store = Store(tmp_path, IdMap(500000))
            tools = Layer("x", tmp_path, (), (), "amd64", "s")
            sources = [AptSource(uris=("http://u:secret@a.example/debian",), suites=("s",), pin=990)]
            yield AptOnly(store, tools, sources, {"0 s": suite})


def test_an_index_is_served_as_it_was_verified(archive: AptOnly) -> None:
    for _ in range(2):
        with archive.find("/0/dists/s/main/binary-amd64/Packages") as file:
            assert file.read().decode() == PACKAGES


def test_a_deb_is_found_by_its_stanza_and_served_from_the_pool(archive: AptOnly, tmp_path: Path) -> None:
    pool = tmp_path / "pool" / SHA[:2]
    pool.mkdir(parents=True)
    (pool / SHA).write_bytes(b"deb!")
    for path in ("/0/pool/f/first_1_all.deb", "/0/pool/l/last_1%2bb1_amd64.deb"):
        with archive.find(path) as file:
            assert file.read() == b"deb!"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/0/pool/f/first_2_all.deb",
        "/0/pool/f/first_1_all.deb\nSize: 4",
        "/0/pool/f/first_1_all.deb%0aSize: 4",
        "/0/pool/b/bad.deb",
        "/1/pool/f/first_1_all.deb",
        "/0/../../../etc/passwd",
        "/0/dists/s/../s/main/binary-amd64/Packages",
        "http://a.example/debian/pool/f/first_1_all.deb",
        "/0/dists/t/InRelease",
        "/0/pool/f/\xff",
        "/new/Packages",
    ],
)
def test_all_else_is_refused(archive: AptOnly, path: str) -> None:
    with pytest.raises(Refusal):
        archive.find(path)


def test_asking_for_a_compressed_index_is_no_attempt(archive: AptOnly) -> None:
    with pytest.raises(Refusal) as refusal:
        archive.find("/0/dists/s/main/binary-amd64/Packages.xz")
    assert refusal.value.quiet


def test_the_inside_learns_no_host_name_and_no_password(archive: AptOnly) -> None:
    files = archive.files()
    assert not any(b"example" in content or b"secret" in content for content in files.values())
    assert b"release n=s\nPin-Priority: 990" in files["etc/apt/preferences.d/debootc"]


def test_a_stanza_without_hash_is_no_package() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"Package: x\nFilename: pool/x.deb\n")
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            assert find_package(Suite("http://a", {}, (text,)), "pool/x.deb") is None


def test_the_newest_of_a_name_is_found(archive: AptOnly) -> None:
    found = [archive.find_newest(name) for name in ("first", "last", "irst", "bad", "missing")]
    assert [package and package.version for package in found] == ["1", "1+b1", None, None, None]


def test_what_a_source_made_is_found_by_its_stanzas(tmp_path: Path) -> None:
    stanzas = [
        ("cow", "", "2"),
        ("cow-data", "Source: cow\n", "2"),
        ("cow-data", "Source: cow\n", "3"),
        ("cow-bin", "Source: cow (2)\n", "2+b1"),
        ("cowboy", "Source: cowboy-source\n", "9"),
        ("cow", "Source: other\n", "8"),
        ("other", "Source: cow-tools\n", "7"),
    ]
    text = "\n".join(
        f"Package: {name}\n{source}Version: {version}\nArchitecture: all\nFilename: pool/{name}_{version}\nSize: 4\n"
        f"SHA256: {SHA}\n"
        for name, source, version in stanzas
    )
    (tmp_path / "Packages").write_text(text)
    with (tmp_path / "Packages").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        suite = Suite("http://a.example/debian", {}, (mapped,))
        archive = AptOnly(
            Store(tmp_path, IdMap(500000)), Layer("x", tmp_path, (), (), "amd64", "s"), [], {"0 s": suite}
        )
        made = [(one.package.name, one.package.version, one.source_version) for one in archive.find_made("cow")]
        assert made == [("cow", "2", "2"), ("cow-bin", "2+b1", "2"), ("cow-data", "3", "3")]
        assert archive.find_made("nothing") == []
