"""What apt is told about packages that come before the archive's."""

from __future__ import annotations

from pathlib import Path

import pytest

from debroot.offer import installed_versions, make_offer_pins, newer_than
from debroot.store import Layer, Package


def package(name: str, version: str) -> Package:
    return Package(name=name, version=version, arch="amd64", sha256="0" * 64)


def test_the_archives_packages_of_the_same_names_are_no_candidates() -> None:
    pins = make_offer_pins([package("libb", "2"), package("liba", "1"), package("liba", "1")])
    assert pins.count("Package: liba libb\n") == pins.count("Pin-Priority: -1\n") == 2


STATUS = b"""Package: liba
Status: install ok installed
Version: 1.0-1+b1

Package: half
Status: deinstall ok config-files

Package: libb
Conffiles:
 /etc/x 0
Version: 2:3
"""


def test_what_is_older_than_in_the_root_may_replace_it() -> None:
    assert installed_versions(STATUS) == {"liba": "1.0-1+b1", "libb": "2:3"}
    pins = make_offer_pins([package("liba", "1.0-1"), package("libb", "2:4"), package("libc", "1")], STATUS)
    assert pins.endswith("Package: liba\nPin: version 1.0-1\nPin-Priority: 1001\n")
    assert pins.count("1001") == 1


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("1:1-1", ("libc=1:1-1",)), ("2.41-1", ()), ("2.41~rc1-1", ()), ("2.41-1+b1", ("libc=2.41-1+b1",))],
)
def test_only_newer_ones_replace_what_the_base_has(version: str, wanted: tuple[str, ...]) -> None:
    base = Layer("b", Path("/b"), (), (package("libc", "2.41-1"),), "amd64", "trixie")
    assert newer_than(base, [package("libc", version), package("other", "9")]) == wanted
