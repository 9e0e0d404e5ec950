"""Reading a .buildinfo: whole ones become values, hostile ones are refused by field."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deb_mock.buildinfo import Buildinfo, load_buildinfo, parse_buildinfo
from deb_mock.exact import Exact
from deb_mock.rebuild import find_addition, surroundings_of
from debcore.errors import ConfigError, Failure
from debcore.openpgp import generate_key

TEXT = """Format: 1.0
Source: tool (1:2.0-1)
Binary: tool tool-doc
Architecture: all amd64
Version: 1:2.0-1+b2
Binary-Only-Changes:
 tool (1:2.0-1+b2) sid; urgency=low, binary-only=yes
 .
   * Rebuild.
 .
  -- A Tester <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
Checksums-Sha256:
 {a} 10 tool_2.0-1+b2_amd64.deb
 {b} 12 tool-doc_2.0-1+b2_all.deb
Build-Origin: Debian
Build-Architecture: amd64
Build-Date: Thu, 01 Jan 2026 12:00:00 +0100
Build-Path: /build/reproducible-path/tool-2.0
Installed-Build-Depends:
 base-files (= 13.8),
 libc6 (= 2.41-12),
 libc6:i386 (= 2.41-12)
Environment:
 DEB_BUILD_OPTIONS="parallel=2 nocheck"
 LANG="C.UTF-8"
 SOURCE_DATE_EPOCH="1767225600"
 ODD="a \\"quoted\\" word"
""".format(a="a" * 64, b="b" * 64)


def parse(text: str) -> Buildinfo:
    return parse_buildinfo(text.encode(), where="x.buildinfo")


def test_a_whole_one_is_read() -> None:
    info = parse(TEXT)
    assert (info.source, info.source_version, info.version) == ("tool", "1:2.0-1", "1:2.0-1+b2")
    assert (info.parts.any, info.parts.all, info.parts.source) == (True, True, False)
    assert [file.name for file in info.packages] == ["tool_2.0-1+b2_amd64.deb", "tool-doc_2.0-1+b2_all.deb"]
    assert info.installed == (
        Exact("base-files", "13.8"), Exact("libc6", "2.41-12"), Exact("libc6", "2.41-12", "i386")
    )  # fmt: skip
    assert info.built_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert info.environment["ODD"] == 'a "quoted" word'
    assert info.changelog is not None


def test_path_and_environment_are_taken_from_it() -> None:
    place = surroundings_of(parse(TEXT))
    env = place.environment({"DEB_BUILD_OPTIONS": "parallel=64"})
    assert (place.directory, place.mount) == ("/build/reproducible-path", "/build")
    assert env["DEB_BUILD_OPTIONS"] == "parallel=2 nocheck"
    assert "LC_ALL" not in env
    assert "TZ" not in env
    elsewhere = surroundings_of(parse(TEXT.replace("/build/reproducible-path/tool-2.0", "/home/me/work/tool")))
    assert (elsewhere.directory, elsewhere.mount) == ("/home/me/work", "/home/me/work")


def test_the_entry_of_a_binary_only_rebuild_is_taken_word_by_word() -> None:
    info = parse(TEXT)
    addition = find_addition(info)
    assert addition is not None
    assert addition.is_binary_only
    assert addition.version(info.source_version) == info.version
    text = addition.text(source="", version="", distribution="", arch="", date="", now=datetime.now(UTC))
    assert text.startswith("tool (1:2.0-1+b2) sid; urgency=low, binary-only=yes\n\n  * Rebuild.\n\n -- A ")
    plain = TEXT.replace("Version: 1:2.0-1+b2", "Version: 1:2.0-1").split("Binary-Only-Changes:")
    sums = plain[1][plain[1].index("Checksums") :]
    assert find_addition(parse(plain[0] + sums)) is None
    with pytest.raises(ConfigError, match="no changelog entry"):
        find_addition(parse(TEXT.replace("tool (1:2.0-1+b2)", "tool (1:2.0-1+b3)")))


BROKEN = {
    "no format": TEXT.replace("Format: 1.0\n", ""),
    "another format": TEXT.replace("Format: 1.0", "Format: 9.0"),
    "source that is a path": TEXT.replace("Source: tool", "Source: ../tool"),
    "version with a blank": TEXT.replace("Version: 1:2.0-1+b2", "Version: 1 2"),
    "two architectures": TEXT.replace("Architecture: all amd64", "Architecture: amd64 arm64", 1),
    "architecture that is an option": TEXT.replace("Build-Architecture: amd64", "Build-Architecture: --help"),
    "no sums": TEXT.replace("Checksums-Sha256", "Checksums-Sha1"),
    "file that is a path": TEXT.replace("tool_2.0-1+b2_amd64.deb", "../../etc/passwd.deb"),
    "file that is an option": TEXT.replace("tool_2.0-1+b2_amd64.deb", "-rf.deb"),
    "sum that is none": TEXT.replace("a" * 64, "a" * 63 + "z"),
    "file twice": TEXT.replace("tool-doc_2.0-1+b2_all.deb", "tool_2.0-1+b2_amd64.deb"),
    "path over the root": TEXT.replace("/build/reproducible-path/tool-2.0", "/usr/bin/x"),
    "path at the top": TEXT.replace("/build/reproducible-path/tool-2.0", "/build"),
    "path that climbs": TEXT.replace("/build/reproducible-path/tool-2.0", "/build/../etc/x"),
    "path for a shell": TEXT.replace("/build/reproducible-path/tool-2.0", "/build/$(id)/x"),
    "relative path": TEXT.replace("/build/reproducible-path/tool-2.0", "build/x"),
    "long path": TEXT.replace("/build/reproducible-path/tool-2.0", "/build/" + "x" * 300),
    "variable of the sandbox": TEXT.replace("LANG=", "PATH="),
    "variable without a value": TEXT.replace('LANG="C.UTF-8"', "LANG"),
    "variable twice": TEXT.replace("ODD=", "LANG="),
    "dependency without a version": TEXT.replace("libc6 (= 2.41-12)", "libc6", 1),
    "dependency that is an option": TEXT.replace("base-files (= 13.8)", "-o=x (= 1)"),
    "dependency twice": TEXT.replace("base-files (= 13.8)", "libc6 (= 1)"),
    "two stanzas": TEXT + "\nFormat: 1.0\n",
    "not UTF-8": TEXT.replace("Rebuild", "\udcff"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_a_hostile_one_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_buildinfo(text.encode("utf-8", "surrogateescape"), where="x.buildinfo")


def test_a_date_that_is_none_is_no_date() -> None:
    assert parse(TEXT.replace("Thu, 01 Jan 2026 12:00:00 +0100", "yesterday")).built_at is None


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.buildinfo"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    with pytest.raises(ConfigError, match="larger"):
        load_buildinfo(path)


def test_signatures_follow_the_policy(tmp_path: Path) -> None:
    signer, stranger = (generate_key(tmp_path / name, f"{name} <x@example.org>") for name in ("signer", "stranger"))
    key, other = signer.public_key().encode(), stranger.public_key().encode()
    path = tmp_path / "x.buildinfo"
    path.write_text(TEXT)
    assert load_buildinfo(path, certificates=[key]).source == "tool"  # none is demanded
    with pytest.raises(ConfigError, match="not signed"):
        load_buildinfo(path, certificates=[key], require_signature=True)
    path.write_bytes(signer.sign_inline(TEXT.encode()))
    assert load_buildinfo(path, certificates=[key], require_signature=True) == parse(TEXT)
    assert load_buildinfo(path) == parse(TEXT)
    with pytest.raises(ConfigError, match="no keyring"):
        load_buildinfo(path, require_signature=True)
    with pytest.raises(Failure, match="unknown key"):
        load_buildinfo(path, certificates=[other])
    path.write_bytes(path.read_bytes().replace(b"2.41-12", b"2.41-13"))
    with pytest.raises(Failure, match="no good signature"):
        load_buildinfo(path, certificates=[key])
