"""Stanzas in, index bytes out."""

from __future__ import annotations

import gzip
import hashlib
import locale
from datetime import UTC, datetime, timedelta, timezone

import pytest

from debcore.aptrepo import (
    PoolFile,
    Release,
    by_hash_path,
    join_blocks,
    make_binary_stanza,
    make_source_stanza,
    packages_path,
    parse_release,
    pool_path,
    sources_path,
)
from debcore.aptrepo.paths import deb_name
from debcore.compress import GZIP, ZSTD
from debcore.deb822 import make_stanza, parse_stanza
from debcore.errors import Failure, HostFailed

NOW = datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "path"),
    [("hello", "pool/main/h/hello/f"), ("libyaml", "pool/main/liby/libyaml/f"), ("lib", "pool/main/lib/lib/f")],
)
def test_pool_directories_are_those_of_dak(source: str, path: str) -> None:
    assert pool_path("main", source, "f") == path


@pytest.mark.parametrize("source", ["..", "a/b", "../a", "", "A", "-a", "a..b"])
def test_hostile_source_names(source: str) -> None:
    with pytest.raises(Failure):
        pool_path("main", source, "f")


@pytest.mark.parametrize("file", ["..", "a/b", "../a", "", ".a", "a\nb", "-a"])
def test_hostile_file_names(file: str) -> None:
    with pytest.raises(Failure):
        pool_path("main", "hello", file)


def test_names_of_debs_have_no_epoch() -> None:
    assert deb_name("hello", "2:1.0-1", "amd64") == "hello_1.0-1_amd64.deb"


def test_binary_stanza_takes_no_archive_field_from_the_control_file() -> None:
    control = make_stanza(
        [
            ("Package", "a"),
            ("Version", "1"),
            ("Architecture", "all"),
            ("Filename", "evil"),
            ("SHA256", "0"),
            ("Tag", ""),
        ]
    )
    stanza = make_binary_stanza(control, PoolFile(name="pool/a.deb", size=3, sha256="ab"))
    assert dict(stanza) == {
        "Package": "a", "Version": "1", "Architecture": "all", "Filename": "pool/a.deb", "Size": "3", "SHA256": "ab",
    }  # fmt: skip


def test_source_stanza_lists_the_dsc_itself() -> None:
    md5, sha = "0" * 32, "1" * 64
    dsc = make_stanza(
        [
            ("Format", "3.0 (native)"), ("Source", "hello"), ("Version", "1"), ("Directory", "evil"),
            ("Package-List", "\n hello deb devel optional arch=any"),
            ("Checksums-Sha1", f"\n {'2' * 40} 5 hello_1.tar.xz"),
            ("Checksums-Sha256", f"\n {sha} 5 hello_1.tar.xz"),
            ("Files", f"\n {md5} 5 hello_1.tar.xz"),
        ]
    )  # fmt: skip
    own = PoolFile(name="hello_1.dsc", size=9, sha256="3" * 64, md5="4" * 32)
    stanza = make_source_stanza(dsc, own, directory="pool/main/h/hello")
    assert stanza["Package"] == "hello"
    assert "Source" not in stanza
    assert (stanza["Section"], stanza["Priority"], stanza["Directory"]) == ("devel", "optional", "pool/main/h/hello")
    assert stanza["Files"] == f"\n {'4' * 32} 9 hello_1.dsc\n {md5} 5 hello_1.tar.xz"
    assert stanza["Checksums-Sha256"] == f"\n {'3' * 64} 9 hello_1.dsc\n {sha} 5 hello_1.tar.xz"
    assert "Checksums-Sha1" not in stanza


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Checksums_Sha256": f"\n {'1' * 64} 5 ../x"}, "plain file name"),
        ({"Files": f"\n {'1' * 32} 5 other"}, "different files"),
        ({"Files": f"\n {'1' * 32} 6 x"}, "different files"),
        ({"Checksums_Sha256": ""}, "Checksums-Sha256 is missing"),
        ({"Version": ""}, "Version is missing"),
    ],
)
def test_a_lying_dsc(change: dict[str, str], message: str) -> None:
    dsc = make_stanza([("Source", "a"), ("Version", "1"), ("Checksums-Sha256", f"\n {'1' * 64} 5 x")])
    with pytest.raises(Failure, match=message):
        make_source_stanza(dsc.updated(**change), PoolFile(name="a.dsc", size=1, sha256="0" * 64), directory="d")


def test_an_index_in_three_forms() -> None:
    blocks = [
        {codec.name: codec.compress(block) for codec in (GZIP, ZSTD)}
        for block in (b"Package: a\n\n", b"Package: b\n\n")
    ]
    plain, gz, zst = join_blocks("main/binary-amd64/Packages", blocks)
    text = b"Package: a\n\nPackage: b\n\n"
    assert (plain.path, plain.size, plain.data) == ("main/binary-amd64/Packages", len(text), None)
    assert plain.sha256 == hashlib.sha256(text).hexdigest()
    assert gz.data is not None
    assert gzip.decompress(gz.data) == text
    assert zst.path.endswith("Packages.zst")
    assert by_hash_path(gz.path, gz.sha256) == f"main/binary-amd64/by-hash/SHA256/{gz.sha256}"
    assert (packages_path("main", "arm64"), sources_path("main")) == (
        "main/binary-arm64/Packages",
        "main/source/Sources",
    )


def test_a_damaged_block_is_said() -> None:
    with pytest.raises(HostFailed, match="main/source/Sources is damaged"):
        join_blocks("main/source/Sources", [{"gz": b"", "zst": ZSTD.compress(b"Package: a\n\n")[:-1]}])


def test_release_reads_back() -> None:
    files = join_blocks("main/binary-amd64/Packages", [])
    release = Release(
        suite="trixie-local", codename="trixie", generation=7, date=NOW, origin="O", label="L", description="D",
        components=("main", "contrib"), architectures=("amd64", "arm64"), valid_until=NOW + timedelta(days=7),
    )  # fmt: skip
    text = release.text(files)
    stanza = parse_stanza(text)
    assert stanza["Date"] == "Sun, 01 Mar 2026 09:05:07 UTC"
    assert stanza["Acquire-By-Hash"] == "yes"
    again, listed = parse_release(text)
    assert again == release
    assert [(f.path, f.sha256, f.size) for f in listed] == sorted((f.path, f.sha256, f.size) for f in files)


def test_dates_are_utc_and_english() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("C.UTF-8", ""):
            locale.setlocale(locale.LC_TIME, name)
            east = NOW.astimezone(timezone(timedelta(hours=5)))
            text = Release(suite="s", codename="s", generation=1, date=east).text([])
            assert parse_stanza(text)["Date"] == "Sun, 01 Mar 2026 09:05:07 UTC"
    finally:
        locale.setlocale(locale.LC_TIME, before)


@pytest.mark.parametrize("text", ["", "Suite: a\n", "Generation: x\nSuite: a\n", "A: 1\n\nB: 2\n"])
def test_a_bad_release_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        parse_release(text)


def test_no_line_gets_into_release() -> None:
    with pytest.raises(Failure):
        Release(suite="s", codename="s", generation=1, date=NOW, label="x\nSuite: other").text([])
    with pytest.raises(Failure, match="suite name"):
        Release(suite="../s", codename="s", generation=1, date=NOW)
