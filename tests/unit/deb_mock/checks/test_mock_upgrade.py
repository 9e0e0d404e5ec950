"""Which packages of the archive stay behind when a source stops making them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_mock.checks.subject import Subject
from deb_mock.checks.upgrade import find_gone
from debroot.aptonly import Made
from debroot.store import Package

MADE = (("cow", "all"), ("cow-bin", "amd64"), ("cow-off", "all"))


def made(name: str, arch: str, version: str = "1", source_version: str = "1") -> Made:
    package = Package(name=name, version=version, arch=arch, sha256="", size=0, filename="", uri="")
    return Made(package, source_version)


def subject(*names: str, arches: tuple[str, ...] = ("all", "amd64"), version: str = "2") -> Subject:
    control = {Path(f"{name}.deb"): {"package": name} for name in names}
    return Subject(Path("x.changes"), "cow", version, version, (), control, None, None, arches)


@pytest.mark.parametrize(
    ("names", "arches", "gone"),
    [
        (("cow", "cow-bin", "cow-off"), ("all", "amd64"), []),
        (("cow", "cow-bin"), ("all", "amd64"), ["cow-off"]),
        (("cow-bin",), ("amd64",), []),  # what is for all was not built this time
        (("cow",), ("all", "source"), ["cow-off"]),
        (("moo",), ("all", "amd64"), ["cow", "cow-bin", "cow-off"]),
    ],
)
def test_what_is_not_made_any_more_is_gone(names: tuple[str, ...], arches: tuple[str, ...], gone: list[str]) -> None:
    listed = [made(name, arch) for name, arch in MADE]
    assert [package.name for package in find_gone(subject(*names, arches=arches), listed)] == gone


def test_what_a_newer_source_made_did_not_go(tmp_path: Path) -> None:
    listed = [made("cow2", "all", version="1:9", source_version="3"), made("cow0", "all", version="1:9")]
    assert [package.name for package in find_gone(subject("cow1"), listed)] == ["cow0"]
