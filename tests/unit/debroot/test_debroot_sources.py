"""Finding the host's Debian source and its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from debcore.errors import Failure
from debroot.sources import (
    ARMOUR,
    HostSource,
    armour,
    expand_mirrors,
    find_host_sources,
    list_name,
    load_host_sources,
    parse_deb822,
    parse_one_line,
)

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.test/debian https://other.test/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Enabled: no
Types: deb
URIs: http://off.test
Suites: bookworm

Types: deb-src
URIs: http://src.test
Suites: bookworm

Types: deb
URIs: http://inline.test
Suites: ./
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc=
 -----END PGP PUBLIC KEY BLOCK-----
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.test/debian bookworm main", [("http://m.test/debian", "bookworm", ("main",), None)]),
        ("deb [arch=amd64 signed-by=/k.gpg] http://m.test sid main contrib # why",
         [("http://m.test", "sid", ("main", "contrib"), "/k.gpg")]),
        ("deb-src http://m.test/debian bookworm main", []),
        ("# deb http://m.test/debian bookworm main", []),
        ("deb http://m.test/debian", []),
        ("deb http://m.test/flat ./", [("http://m.test/flat", "./", (), None)]),
    ],
)  # fmt: skip
def test_one_line_sources(line: str, expected: list[tuple[str, str, tuple[str, ...], str | None]]) -> None:
    assert parse_one_line(line) == [HostSource(*fields) for fields in expected]


def test_deb822_sources() -> None:
    found = parse_deb822(DEB822)
    assert [(s.uri, s.suite) for s in found] == [
        ("http://mirror.test/debian", "bookworm"),
        ("http://mirror.test/debian", "bookworm-updates"),
        ("https://other.test/debian/", "bookworm"),
        ("https://other.test/debian/", "bookworm-updates"),
        ("http://inline.test", "./"),
    ]
    assert found[0].signed_by == "/usr/share/keyrings/archive.gpg"
    assert found[-1].signed_by is not None
    assert ARMOUR in found[-1].signed_by
    assert "\n\nabc=" in found[-1].signed_by


@pytest.mark.parametrize(
    ("uri", "suite", "expected"),
    [
        ("http://m.test/debian", "bookworm", "m.test_debian_dists_bookworm"),
        ("http://m.test/debian/", "bookworm-security", "m.test_debian_dists_bookworm-security"),
        ("http://user:pw@m.test:8080/d_x", "sid", "m.test:8080_d%5fx_dists_sid"),
        ("file:/srv/repo", "./", "_srv_repo_."),
        ("mirror+file:///etc/apt/m.list", "sid", "_etc_apt_m.list_dists_sid"),
        ("http://m.test/a~b=c+d", "sid", "m.test_a%7eb%3dc+d_dists_sid"),
    ],
)
def test_list_names_are_those_of_apt(uri: str, suite: str, expected: str) -> None:
    assert list_name(uri, suite) == expected


def make_host(root: Path, *, sources: str = DEB822, releases: dict[str, tuple[str, str]] | None = None) -> Path:
    """A host's /: *releases* maps apt's list names to (Origin, Label)."""
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(sources)
    (root / "etc/apt/sources.list.d/x.sources.disabled").write_text(sources)
    lists = root / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    for name, (origin, label) in (releases or {}).items():
        head = (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: {origin}\nLabel: {label}\nSHA256:\n 00 0 x\n"
        )
        (lists / f"{name}_InRelease").write_text(head)
    (root / "usr/share/keyrings").mkdir(parents=True)
    (root / "usr/share/keyrings/archive.gpg").write_bytes(b"key")
    return root


SECURITY = (
    "\nTypes: deb\nURIs: http://sec.test/s\nSuites: bookworm-security\nSigned-By: /usr/share/keyrings/archive.gpg\n"
)
RELEASES = {
    "mirror.test_debian_dists_bookworm": ("Elsewhere", "Debian"),
    "other.test_debian_dists_bookworm": ("Debian", "Debian"),
    "sec.test_s_dists_bookworm-security": ("Debian", "Debian-Security"),
}


def test_the_source_that_says_debian_is_turned_to_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBOOTC_MIRROR", raising=False)
    monkeypatch.delenv("DEBOOTC_SECURITY_MIRROR", raising=False)
    host = make_host(tmp_path, sources=DEB822 + SECURITY, releases=RELEASES)
    main, security = find_host_sources("trixie", source=True, root=host)
    assert main.uris == ("https://other.test/debian/",)
    assert main.suites == ("trixie", "trixie-updates")
    assert main.types == ("deb", "deb-src")
    assert security.suites == ("trixie-security",)
    assert main.signed_by == armour(b"key")
    assert [s.suites for s in find_host_sources("sid", root=host)] == [("sid",)]
    assert [s.suites for s in find_host_sources("trixie", security=False, updates=False, root=host)] == [("trixie",)]


def test_a_host_without_debian_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBOOTC_MIRROR", raising=False)
    monkeypatch.delenv("DEBOOTC_SECURITY_MIRROR", raising=False)
    host = make_host(tmp_path, releases={"other.test_debian_dists_bookworm": ("Debian", "Debian")})
    with pytest.raises(Failure, match="security archive") as caught:
        find_host_sources("trixie", root=host)
    assert "DEBOOTC_SECURITY_MIRROR" in caught.value.hint
    with pytest.raises(Failure) as caught:
        find_host_sources("trixie", root=tmp_path / "nothing")
    assert "DEBOOTC_MIRROR" in caught.value.hint


def test_mirror_lists_of_cloud_images(tmp_path: Path) -> None:
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/m.list").write_text("# one\nhttps://one.test/debian\tpriority:1\nhttps://two.test/debian\n")
    assert expand_mirrors("mirror+file:///etc/apt/m.list", tmp_path) == ("https://one.test/debian",)
    assert expand_mirrors("http://m.test", tmp_path) == ("http://m.test",)
    with pytest.raises(Failure, match="No such file"):
        expand_mirrors("mirror+file:/none", tmp_path)


def test_the_environment_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBOOTC_MIRROR", "http://mine.test/debian")
    host = make_host(tmp_path)
    with pytest.raises(Failure, match="no key"):
        find_host_sources("trixie", security=False, root=host)
    (host / "usr/share/keyrings/debian-archive-keyring.gpg").write_bytes(b"archive")
    (source,) = find_host_sources("trixie", security=False, root=host)
    assert source.uris == ("http://mine.test/debian",)
    assert source.signed_by == armour(b"archive")


def test_only_files_that_apt_reads(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    (host / "etc/apt/sources.list").write_text("deb http://first.test sid main\n")
    (host / "etc/apt/sources.list.d/readme.txt").write_text("deb http://no.test sid main\n")
    assert [s.uri for s in load_host_sources(host)][:2] == ["http://first.test", "http://mirror.test/debian"]
    assert len(load_host_sources(host)) == 6


def test_armour_has_the_checksum_of_the_standard() -> None:
    assert armour(b"").splitlines()[-2] == "=twTO"  # the initial value of RFC 9580, 6.1.1
    assert armour(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nx") == "-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n"


def test_a_mirror_that_stands_still_is_believed_only_if_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBOOTC_MIRROR", "http://mirror.test/debian")
    (tmp_path / "usr/share/keyrings").mkdir(parents=True)
    (tmp_path / "usr/share/keyrings/debian-archive-keyring.pgp").write_bytes(b"\x99key")
    for said, checked in (("", True), ("yes", True), ("no", False)):
        monkeypatch.setenv("DEBOOTC_CHECK_VALID_UNTIL", said)
        (source,) = find_host_sources("sid", root=tmp_path)
        assert source.check_valid_until is checked
    monkeypatch.setenv("DEBOOTC_CHECK_VALID_UNTIL", "never")
    with pytest.raises(Failure, match="DEBOOTC_CHECK_VALID_UNTIL is 'never'"):
        find_host_sources("sid", root=tmp_path)
