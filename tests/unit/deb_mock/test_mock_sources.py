"""A .dsc is hostile until it is checked; a changelog says what is built."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deb_mock.changelog import parse_changelog
from deb_mock.dsc import check_files, check_signature, load_dsc
from deb_mock.source import ArchiveSource, DirectorySource, DscSource, find_source
from debcore.errors import ConfigError, Failure
from debcore.relations import is_for

CONTENT = b"content\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def write_dsc(directory: Path, *, name: str = "hello_1.tar.xz", size: int = len(CONTENT), digest: str = DIGEST) -> Path:
    (directory / "hello_1.tar.xz").write_bytes(CONTENT)
    path = directory / "hello_1.dsc"
    path.write_text(
        "Format: 3.0 (native)\nSource: hello\nArchitecture: any all\nVersion: 1:1.0-2\n"
        f"Checksums-Sha256:\n {digest} {size} {name}\nFiles:\n {'0' * 32} {size} {name}\n"
    )
    return path


def test_a_good_source_package_is_accepted(tmp_path: Path) -> None:
    dsc = load_dsc(write_dsc(tmp_path))
    check_files(dsc)
    assert (dsc.source, dsc.version, dsc.upstream_version, dsc.file_version) == ("hello", "1:1.0-2", "1.0", "1.0-2")
    assert dsc.architectures == ("any", "all")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digest": "0" * 64}, "SHA-256"),
        ({"size": 3}, "bytes"),
        ({"name": "../hello_1.tar.xz"}, "plain file name"),
        ({"name": "/etc/passwd"}, "plain file name"),
        ({"name": ".hidden"}, "plain file name"),
        ({"name": "other.tar.xz"}, "missing"),
        ({"name": "hello_1.dsc"}, "twice"),
        ({"digest": "0" * 63}, "not: hash size name"),
    ],
)
def test_a_bad_source_package_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(Failure, match=message) as caught:
        check_files(load_dsc(write_dsc(tmp_path, **change)))  # type: ignore[arg-type]
    assert caught.value.status == 3


def test_a_file_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    dsc = load_dsc(write_dsc(tmp_path))
    (tmp_path / "hello_1.tar.xz").rename(tmp_path / "elsewhere")
    (tmp_path / "hello_1.tar.xz").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        check_files(dsc)


def test_a_link_to_a_dsc_finds_the_files_beside_its_target(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.dsc").symlink_to(write_dsc(tmp_path / "real"))
    check_files(load_dsc(tmp_path / "link.dsc"))


@pytest.mark.parametrize("field", ["Source", "Version", "Format", "Checksums-Sha256"])
def test_a_dsc_without_a_field_is_refused(tmp_path: Path, field: str) -> None:
    path = write_dsc(tmp_path)
    path.write_text(path.read_text().replace(f"{field}:", "X-Nothing:", 1))
    with pytest.raises(ConfigError, match=field):
        load_dsc(path)


@pytest.mark.parametrize(("old", "new"), [("hello\n", "../x\n"), ("1:1.0-2", "1.0;rm")])
def test_a_hostile_name_or_version_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = write_dsc(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError):
        load_dsc(path)


def test_files_and_checksums_must_name_the_same(tmp_path: Path) -> None:
    path = write_dsc(tmp_path)
    path.write_text(path.read_text() + f" {'0' * 32} 3 second\n")
    with pytest.raises(ConfigError, match="other files"):
        load_dsc(path)


def test_an_unsigned_dsc_is_refused_where_a_signature_is_demanded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not signed") as caught:
        check_signature(load_dsc(write_dsc(tmp_path)), [])
    assert caught.value.hint


def test_text_before_the_signed_part_is_refused(tmp_path: Path) -> None:
    path = write_dsc(tmp_path)
    path.write_text(f"Source: evil\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{path.read_text()}")
    with pytest.raises(ConfigError, match="before the signed part"):
        load_dsc(path)


@pytest.mark.parametrize(
    ("words", "arch", "found"),
    [("any", "amd64", True), ("linux-any", "arm64", True), ("all", "amd64", False), ("any-arm64", "amd64", False)],
)
def test_architecture_wildcards(words: str, arch: str, found: bool) -> None:
    assert is_for(words.split(), arch) is found


def test_what_a_user_names_is_sorted_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "hello"
    (tree / "debian").mkdir(parents=True)
    (tree / "debian" / "changelog").write_text("hello (1.0-2) unstable; urgency=low\n\n -- A <a@b>  Mon, 1 Jan\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(find_source(str(write_dsc(tmp_path))), DscSource)
    directory = find_source("hello")
    assert isinstance(directory, DirectorySource)
    assert (directory.entry.version, directory.entry.distribution) == ("1.0-2", "unstable")
    assert find_source("dash=0.5.12-12") == ArchiveSource("dash", "0.5.12-12")
    for bad in ("ftp://x/y.dsc", "Hello!", ".", "dash=1;2"):
        with pytest.raises(Failure):
            find_source(bad)


def test_a_changelog_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no changelog entry"):
        parse_changelog("\n\nhello world\n", where="f")
