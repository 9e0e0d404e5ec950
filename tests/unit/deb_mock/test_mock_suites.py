"""More suites than one: pockets, experimental, debug packages, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_mock.config import choose
from deb_mock.roots import find_sources
from debcore.errors import ConfigError

#: A mirror of its own, so that no source of this machine is looked at.
MIRROR = ("archive.mirror=https://mirror.example/debian", "archive.security=false")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def suites(preset: str, *options: str, key: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    given = [*MIRROR, f"archive.keyring={key}", *options]
    return [(source.uris, source.suites) for source in find_sources(choose(preset=preset, arch="amd64", options=given))]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.asc"
    path.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    return path


@pytest.mark.parametrize(
    ("preset", "found"),
    [
        ("experimental", ("sid", "experimental")),
        ("trixie-backports", ("trixie", "trixie-updates", "trixie-backports")),
        ("trixie-proposed-updates", ("trixie", "trixie-updates", "trixie-proposed-updates")),
        ("bookworm", ("bookworm", "bookworm-updates")),
        ("forky", ("forky",)),
    ],
)
def test_overlays_stand_on_their_base_suite(preset: str, found: tuple[str, ...], key: Path) -> None:
    assert suites(preset, key=key) == [(("https://mirror.example/debian",), found)]


def test_debug_packages_are_beside_the_archive(key: Path) -> None:
    found = suites("trixie-backports", "archive.debug=true", key=key)
    assert found[1] == (("https://mirror.example/debian-debug",), ("trixie-debug", "trixie-backports-debug"))


def test_a_mirror_of_another_shape_needs_the_debug_mirror_named(key: Path) -> None:
    odd = ("archive.debug=true", "archive.mirror=https://mirror.example/apt")
    with pytest.raises(ConfigError) as caught:
        suites("trixie", *odd, key=key)
    assert "archive.debug_mirror" in caught.value.hint
    named = suites("trixie", *odd, "archive.debug_mirror=https://mirror.example/dbg", key=key)
    assert named[1][0] == ("https://mirror.example/dbg",)
