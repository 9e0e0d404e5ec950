"""What we tell apt, and what we read from it."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from debcore.errors import DepsUnmet, Failure
from debcore.job import AptSource
from debroot.aptconf import make_config, make_preferences, make_sources, parse_config_dump
from debroot.debfile import parse_fields, read_control
from debroot.indexes import add_records, explain_unmet, explain_update, parse_removed, parse_source_uris, parse_uris
from debroot.install import check_installed, parse_status
from debroot.resolve import add_build_depends, explain_missing
from debroot.store import Package

HASH = "a" * 64


def test_sources_carry_their_key_inline() -> None:
    source = AptSource(uris=("http://m.test/debian",), suites=("trixie",), signed_by="-----BEGIN\n\nxy\n-----END\n")
    assert make_sources([source]) == (
        "Types: deb\nURIs: http://m.test/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By:\n -----BEGIN\n .\n xy\n -----END\n"
    )
    trusted = AptSource(uris=("file:/r",), suites=("x",), trusted=True, architectures=("amd64", "all"))
    assert "Architectures: amd64 all\nTrusted: yes\n" in make_sources([trusted])


def test_pins() -> None:
    pinned = AptSource(uris=("http://127.0.0.1:80/apt",), suites=("x",), pin=990)
    local = AptSource(uris=("file:/r",), suites=("mine",), pin=5)
    text = make_preferences([pinned, local, AptSource(uris=("http://m.test",), suites=("y",))])
    assert 'Pin: origin "127.0.0.1"\nPin-Priority: 990\n' in text
    assert "Pin: release a=mine\nPin-Priority: 5\n" in text
    assert "m.test" not in text


def test_the_configuration_hides_the_one_around() -> None:
    text = make_config(arch="arm64", conf="/c", state="/s", status="/st", proxies={"Acquire::http::Proxy": "http://p"})
    for line in ('Dir::Etc::parts "/c/none";', 'Dir::State::status "/st";', 'Acquire::http::Proxy "http://p";'):
        assert line in text
    assert 'APT::Architectures { "arm64"; };' in text


def test_proxies_of_the_host() -> None:
    dump = 'Acquire "";\nAcquire::http "";\nAcquire::http::Proxy "http://p:3128";\nAcquire::https::proxy "";\n'
    assert parse_config_dump(dump) == {"Acquire::http::Proxy": "http://p:3128"}


def test_uris_tell_everything() -> None:
    text = (
        "Reading package lists...\n"
        f"'http://m/v/vim_9.0-2%2bdeb_amd64.deb' vim_2%3a9.0-2+deb_amd64.deb 719 SHA256:{HASH}\n"
        f"'http://m/h/a_1_all.deb' a_1_all.deb 5 SHA256:{'b' * 64}\n"
    )
    first, second = parse_uris(text)
    assert (first.name, first.version, first.arch, first.size) == ("a", "1", "all", 5)
    assert (second.name, second.version, second.uri) == ("vim", "2:9.0-2+deb", "http://m/v/vim_9.0-2%2bdeb_amd64.deb")


def test_a_package_without_a_good_hash_is_refused() -> None:
    with pytest.raises(Failure, match="SHA-256"):
        parse_uris(f"'http://m/a_1_all.deb' a_1_all.deb 5 MD5Sum:{'b' * 32}\n")


def test_source_files_have_plain_names() -> None:
    (file,) = parse_source_uris(f"'http://m/p/h/h_1.dsc' h_1.dsc 5 SHA256:{HASH}\n")
    assert (file.name, file.size) == ("h_1.dsc", 5)
    with pytest.raises(Failure, match="plain file name"):
        parse_source_uris(f"'http://m/p/%2e%2e%2fh_1.dsc' h_1.dsc 5 SHA256:{HASH}\n")


def test_removed_packages() -> None:
    text = "x\nThe following packages will be REMOVED:\n  dash* libfoo\n  bar\nThe following NEW packages\n  z\n"
    assert parse_removed(text) == ("dash", "libfoo", "bar")
    assert parse_removed("nothing") == ()


def test_records_give_the_source() -> None:
    package = Package(name="libx1", version="1-1+b2", arch="amd64", sha256=HASH)
    shown = f"Package: libx1\nSource: x (1-1)\nFilename: pool/x\nSHA256: {HASH}\n\nPackage: other\nSHA256: 00\n"
    (found,) = add_records([package], shown)
    assert (found.source, found.source_version, found.filename) == ("x", "1-1", "pool/x")
    assert found.key == package.key


def test_apts_words_start_where_they_matter() -> None:
    assert explain_unmet("Reading\nE: Unable to locate package x\n") == "E: Unable to locate package x"
    said = "a\nThe following packages have unmet dependencies:\n p : Depends: q\nE: broken\n"
    assert explain_unmet(said).startswith("The following packages")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("E: Release file for http://m is expired (invalid since 16d)", "DEBOOTC_MIRROR"),
        ("GPG error: NO_PUBKEY 12", "signed_by"),
        ("Could not resolve 'm'", "network"),
        ("E: Failed to fetch http://m/Packages  File has unexpected size (2 != 1)\nE: Some", "(http://m/Packages does"),
    ],
)
def test_a_failed_update_has_a_next_step(said: str, hint: str) -> None:
    assert hint in explain_update(said)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (
            "Source: a\nBuild-Depends: x, y\n\nPackage: b\n",
            "Source: a\nBuild-Depends: p, q (= 1:2), x, y\n\nPackage: b\n",
        ),
        ("Source: a\n", "Source: a\nBuild-Depends: p, q (= 1:2)\n"),
        ("Source: a\nBuild-Depends:\n x\n", "Source: a\nBuild-Depends: p, q (= 1:2), \n x\n"),
    ],
)
def test_more_build_dependencies(control: str, expected: str) -> None:
    assert add_build_depends(control, ["p", "q=1:2"]) == expected


def make_deb(path: Path, control: str, *, member: str = "control.tar.xz") -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("./control")
        info.size = len(control.encode())
        tar.addfile(info, io.BytesIO(control.encode()))
    data = lzma.compress(packed.getvalue()) if member.endswith(".xz") else packed.getvalue()
    content = b"!<arch>\n"
    for name, body in (("debian-binary", b"2.0\n"), (member, data)):
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
        )
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("member", ["control.tar.xz", "control.tar"])
def test_control_files_are_read_in_process(tmp_path: Path, member: str) -> None:
    deb = make_deb(tmp_path / "x.deb", "Package: x\nDescription: d\n more\n", member=member)
    assert parse_fields(read_control(deb)) == {"package": "x", "description": "d\n more"}


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"no deb", b"!<arch>\n" + b"x" * 100])
def test_other_files_are_no_packages(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.deb").write_bytes(content)
    with pytest.raises(Failure, match="no Debian package"):
        read_control(tmp_path / "x.deb")


STATUS = """\
Package: a
Status: install ok installed
Architecture: amd64
Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 2
"""


def test_only_what_is_installed_counts(tmp_path: Path) -> None:
    assert parse_status(STATUS) == {("a", "amd64"): "1"}
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    check_installed(tmp_path, [Package(name="a", version="1", arch="amd64", sha256=HASH)])
    with pytest.raises(DepsUnmet, match="a:amd64 2"):
        check_installed(tmp_path, [Package(name="a", version="2", arch="amd64", sha256=HASH)])


def test_a_message_about_missing_packages_is_bounded_and_says_what_to_do() -> None:
    left = [
        Package(name=f"p{i:02}", version="1", arch="s390x", sha256="0" * 64, uri="http://mirror.example/p.deb")
        for i in range(30)
    ]
    failure = explain_missing(left, of=100, said="Err:1 http://mirror.example/p.deb 404  Not Found")
    assert "mirror.example does not serve 30 of 100 packages" in str(failure)
    assert "p19 1 (s390x) and 10 more" in str(failure)
    assert "a mirror that carries s390x in full: DEBOOTC_MIRROR=URI" in failure.hint
    lie = explain_missing(left, of=100, said="Hash Sum mismatch Hashes of received file: - SHA256:a0404c4045 [1404 B]")
    assert "cannot be fetched" in str(lie)
    assert "other bytes than its index says" in lie.hint
    other = explain_missing(left, of=100, said="Connection refused")
    assert "30 packages cannot be fetched" in str(other)
    assert "check the network" in other.hint
