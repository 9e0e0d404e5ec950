"""Suites beside a release, on an archive made here: what comes from them, and that nothing else does.

The packages are `tool`, which needs `lib`, and `bystander`, which needs neither. Every suite beside the base has newer
ones of all three.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from deb_mock.config import choose
from deb_mock.roots import find_sources, make_base
from debcore.deb822 import parse_stanza
from debcore.job import load_lock
from debcore.openpgp import generate_key
from debroot.store import Package, Store

from .archive import Archive, make_package
from .conftest import PRESET, Built, Tool

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: As Debian's Release files say it.
NOT_AUTOMATIC = {"NotAutomatic": "yes"}
BACKPORTS = {**NOT_AUTOMATIC, "ButAutomaticUpgrades": "yes"}


@pytest.fixture(scope="module")
def archive(store_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """/debian and /debian-debug, with the suites that the shipped presets name."""
    store, place = Store.open(store_dir), tmp_path_factory.mktemp("packages")
    choice = choose(preset=PRESET)
    base = make_base(store, choice, find_sources(choice), max_age=3600).packages
    root = store_dir.parent / "suites-archive"  # hard links to the pool: the same file system
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    made = Archive(root, store, generate_key(place / "key", "Archive <a@example.org>"))

    def version(number: str) -> list[Package]:
        return [
            make_package(store, place, "suites-lib", number),
            make_package(store, place, "suites-tool", number, depends=f"suites-lib (>= {number})"),
            make_package(store, place, "suites-bystander", number),
        ]

    old, new = version("1.0"), version("2.0")
    made.add_suite("trixie", [*base, *old], fields={"Suite": "stable"})
    hostname = make_package(store, place, "hostname", "99.0")
    made.add_suite("trixie-backports", [*new, hostname], fields={"Suite": "stable-backports", **BACKPORTS})
    made.add_suite("trixie-proposed-updates", version("1.0+deb13u1"), fields={"Suite": "proposed-updates"})
    made.add_suite("sid", [*base, *old], fields={"Suite": "unstable"})
    made.add_suite("experimental", new, fields={"Codename": "rc-buggy", **NOT_AUTOMATIC})
    for suite, number in (("trixie", "1.0"), ("trixie-proposed-updates", "1.0+deb13u1")):
        symbols = make_package(store, place, "suites-lib-dbgsym", number, depends=f"suites-lib (= {number})")
        made.add_suite(f"{suite}-debug", [symbols], below="debian-debug")
    yield made
    shutil.rmtree(root)


@pytest.fixture
def build(tool: Tool, archive: Archive, native: Callable[..., Path], tmp_path: Path) -> Callable[..., Built]:
    """build(SUITE, RELATIONS): a source for *suite* that leaves versions of the suites' packages in its log."""

    def run(suite: str, relations: str, *words: str) -> Built:
        show = r"dpkg-query -W -f '$${Package}=$${Version}\n' 'suites-*'"
        tree = native(suite=suite, build=show, fields=[f"Build-Depends: {relations}"])
        out = tmp_path / "out"
        done = tool.run("build", tree, "--resultdir", out, *archive.settings(), *words)
        return Built(done.status, done.stderr.decode(), out)

    return run


def versions(built: Built) -> dict[str, str]:
    """Of the suites' packages in the root, by its lock and by what the build saw."""
    assert built.status == 0, built.said + (built.log[-2000:] if (built.directory / "build.log").is_file() else "")
    locked = {p.name: p.version for p in load_lock(built.directory / "lock.json").packages if "suites-" in p.name}
    assert dict(re.findall(r"^(suites-[a-z-]+)=(\S+)$", built.log, re.M)) == locked
    return locked


def short(found: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("suites-"): version for name, version in found.items()}


@pytest.mark.parametrize(
    ("suite", "base"),
    [
        pytest.param("trixie-backports", "trixie", id="trixie-backports"),
        pytest.param(
            "experimental", "sid", id="experimental", marks=pytest.mark.slow
        ),  # as the other, for five seconds
    ],
)
def test_what_the_source_demands_comes_from_the_suite_beside_and_nothing_else(
    build: Callable[..., Built], suite: str, base: str
) -> None:
    built = build(suite, "suites-tool (>= 2.0~), suites-bystander")
    assert short(versions(built)) == {"tool": "2.0", "lib": "2.0", "bystander": "1.0"}
    assert f"debian-{suite}-amd64 (the changelog says {suite})" in built.said
    changes = parse_stanza(next(built.directory.glob("*.changes")).read_text())
    assert changes["Distribution"] == suite
    assert load_lock(built.directory / "lock.json").suite == base


@pytest.mark.slow  # a build that replaces a package of the base root
def test_a_package_of_the_root_is_replaced_if_the_source_demands_it(build: Callable[..., Built]) -> None:
    built = build("trixie-backports", "hostname (>= 99~), suites-bystander")
    assert short(versions(built)) == {"bystander": "1.0"}
    locked = {p.name: p.version for p in load_lock(built.directory / "lock.json").packages}
    assert locked["hostname"] == "99.0"


@pytest.mark.slow  # builds that are refused in the tests beside it
@pytest.mark.parametrize("suite", ["trixie-backports", "experimental"])
def test_what_is_not_demanded_stays_as_the_base_has_it(build: Callable[..., Built], suite: str) -> None:
    assert short(versions(build(suite, "suites-tool"))) == {"tool": "1.0", "lib": "1.0"}


@pytest.mark.parametrize(
    ("suite", "words"),
    [
        ("trixie", ()),
        ("trixie-backports", ("--set", "archive.resolver=apt")),
        ("experimental", ("--set", "archive.resolver=apt")),
    ],
    ids=lambda x: str(x),
)
def test_apt_alone_does_not_take_it(build: Callable[..., Built], suite: str, words: Sequence[str]) -> None:
    built = build(suite, "suites-tool (>= 2.0~)", *words)
    assert built.status == 5, built.said
    assert "suites-tool" in built.said


@pytest.mark.parametrize("suite", ["trixie-backports", "experimental"])
def test_what_no_suite_has_is_named(build: Callable[..., Built], suite: str) -> None:
    built = build(suite, "suites-tool (>= 3.0)")
    assert built.status == 5, built.said
    assert "suites-tool" in built.said
    assert ">= 3.0" in built.said


def test_proposed_updates_are_taken_as_updates_are(build: Callable[..., Built]) -> None:
    built = build("trixie-proposed-updates", "suites-tool")
    assert short(versions(built)) == {"tool": "1.0+deb13u1", "lib": "1.0+deb13u1"}
    assert "debian-trixie-proposed-updates-amd64" in built.said


def test_symbols_come_from_the_archive_beside(build: Callable[..., Built]) -> None:
    debug = ("--set", "archive.debug=true")
    built = build("trixie-proposed-updates", "suites-lib-dbgsym", *debug)
    assert short(versions(built)) == {"lib": "1.0+deb13u1", "lib-dbgsym": "1.0+deb13u1"}


@pytest.mark.slow  # as the one before
def test_symbols_of_the_release_are_had_without_its_updates(build: Callable[..., Built]) -> None:
    built = build("trixie", "suites-lib-dbgsym", "--set", "archive.debug=true")
    assert short(versions(built)) == {"lib": "1.0", "lib-dbgsym": "1.0"}


def test_without_the_setting_there_are_none(build: Callable[..., Built]) -> None:
    built = build("trixie", "suites-lib-dbgsym")
    assert built.status == 5
    assert "suites-lib-dbgsym" in built.said
