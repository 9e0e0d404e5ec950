"""A cross build: what follows from one setting, and what a suite that cannot do it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_mock.buildtype import TYPES, reduce_for_parts
from deb_mock.config import Choice, choose
from deb_mock.order import Order
from deb_mock.roots import explain_cross
from deb_mock.source import ArchiveSource
from debcore.errors import DepsUnmet


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def choose_cross(host: str, *options: str) -> Choice:
    return choose(preset="trixie", arch="amd64", options=[f"build.host={host}", *options])


@pytest.mark.parametrize(
    ("host", "options", "profiles"),
    [
        ("arm64", (), ("cross", "nocheck")),
        ("arm64", ("build.profiles=nodoc",), ("cross", "nodoc")),
        ("arm64", ("build.profiles=nodoc,cross",), ("nodoc", "cross")),
        ("amd64", (), ()),
    ],
)
def test_profiles_of_a_cross_build(host: str, options: tuple[str, ...], profiles: tuple[str, ...]) -> None:
    assert choose_cross(host, *options).settings.build.profiles == profiles


def test_command_and_environment_of_a_cross_build() -> None:
    choice = choose_cross("arm64")
    order = Order(source=ArchiveSource("hostname", None), choice=choice, directory=Path("out"))
    assert (choice.arch, choice.host_arch, choice.is_cross) == ("amd64", "arm64", True)
    assert order.build_command(TYPES["any"])[-3:] == ["-B", "-aarm64", "-Pcross,nocheck"]
    env = order.build_environment(2)
    assert env == {
        "DEB_BUILD_OPTIONS": "nocheck parallel=2",
        "CONFIG_SITE": "/etc/dpkg-cross/cross-config.arm64",
    }
    assert order.parts(["linux-any"], "x") == TYPES["binary"]


def test_a_native_build_has_none_of_it() -> None:
    order = Order(source=ArchiveSource("hostname", None), choice=choose_cross("amd64"), directory=Path("out"))
    assert "-aamd64" not in order.build_command(TYPES["any"])
    assert order.build_environment(2) == {"DEB_BUILD_OPTIONS": "parallel=2"}


def test_build_dependencies_of_a_cross_build_keep_their_qualifiers() -> None:
    fields = {"Build-Depends": "python3:native, libz-dev, valgrind [arm64] <!nocheck>, tool:any <!cross>, x [amd64]"}
    reduced = reduce_for_parts(fields, TYPES["any"], arch="arm64", profiles=("cross", "nocheck"))
    assert reduced == ("python3:native, libz-dev", "")


NO_COMPILER = (
    "The following packages have unmet dependencies:\n builddeps:x : Depends: crossbuild-essential-{arch}:amd64"
)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (NO_COMPILER.format(arch="loong64") + " but it is not installable", "no cross compiler from amd64 to loong64"),
        (" builddeps : Depends: python3-dev:loong64 but it is not going to be installed", "python3-dev"),
    ],
)
def test_what_keeps_a_package_from_being_cross_built_is_said(said: str, message: str) -> None:
    error = explain_cross(DepsUnmet(said), choose_cross("loong64"))
    assert message in str(error)
    assert ("no cross compiler" in str(error)) is ("crossbuild-essential" in said)
    assert "--arch=loong64" in error.hint
