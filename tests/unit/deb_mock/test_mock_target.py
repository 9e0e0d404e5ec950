"""sbuild's options: its truth table, and the changelog entry of a binNMU to the byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from deb_mock.addition import Addition, check_addition
from deb_mock.buildtype import TYPES
from deb_mock.cli.target import parse_target, target_options
from deb_mock.config import choose
from deb_mock.order import Order
from deb_mock.source import ArchiveSource
from debcore.errors import ConfigError

WHO = ("--maintainer", "Ann Example <ann@example.org>")
LAST = "Tue, 31 Dec 2024 23:59:58 +0100"
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("DEBFULLNAME", "DEBEMAIL", "NAME", "EMAIL"):
        monkeypatch.delenv(name, raising=False)


def parse(*words: str) -> dict[str, object]:
    """The options of a command line."""

    @click.command()
    @target_options
    def command(**options: object) -> None: ...

    return dict(command.make_context("build", list(words)).params)


#: Every combination of sbuild's three switches, and what dpkg-buildpackage gets: dpkgopt in sbuild's Build.pm.
TRUTH = [
    (("--arch-any", "--arch-all", "--source"), "-F"),
    (("--arch-any", "--arch-all", "--no-source"), "-b"),
    (("--arch-any", "--no-arch-all", "--source"), "-G"),
    (("--arch-any", "--no-arch-all", "--no-source"), "-B"),
    (("--no-arch-any", "--arch-all", "--source"), "-g"),
    (("--no-arch-any", "--arch-all", "--no-source"), "-A"),
    (("--no-arch-any", "--no-arch-all", "--source"), "-S"),
]


@pytest.mark.parametrize(("words", "flag"), TRUTH)
def test_the_truth_table_is_complete(words: tuple[str, ...], flag: str) -> None:
    assert TYPES[str(parse_target(parse(*words)).build["type"])].flag == flag


@pytest.mark.parametrize(
    ("words", "build_type", "type_"),
    [
        ((), None, None),
        ((), "any", "any"),
        (("-s",), None, "full"),
        (("--no-arch-any",), None, "all"),
        (("-A",), "any", "binary"),
        (("--no-arch-all", "-s"), None, "source,any"),
        (("--source-only",), None, "source"),
    ],
)
def test_switches_add_to_what_is_built_and_take_away(
    words: tuple[str, ...], build_type: str | None, type_: str | None
) -> None:
    assert parse_target(parse(*words), build_type=build_type).build.get("type") == type_


@pytest.mark.parametrize(
    "words",
    [
        ("--no-arch-any", "--no-arch-all"),
        ("--source-only", "-A"),
        ("--binNMU", "2"),
        ("--binNMU-timestamp", "now"),
        ("--binNMU-changelog", "x", "--append-to-version", "+a"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises((click.UsageError, ConfigError)):
        parse_target(parse(*words))


def test_host_jobs_and_path_are_settings() -> None:
    target = parse_target(parse("--host-arch", "arm64", "--jobs", "3", "--build-path", "/build/hello-1"))
    assert target.build == {"host": "arm64", "parallel": 3}
    assert target.directory == "/build/hello-1"


@pytest.mark.parametrize("path", ["build", "/", "/usr/src", "/build/../etc", "/build/a b", "/proc/x", "/build/-x"])
def test_a_build_path_that_is_part_of_the_system_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="build directory"):
        parse_target(parse("--build-path", path))


BINNMU = """lz4 (1:1.10.0-4+b2) sid; urgency=low, binary-only=yes

  * Binary-only non-maintainer upload for arm64; no source changes.
  * Rebuild against libfoo2

 -- Ann Example <ann@example.org>  Tue, 31 Dec 2024 23:00:00 +0000

"""
APPENDED = """lz4 (1:1.10.0-4+local1) sid; urgency=low

  * Append +local1 to version number; no source changes

 -- Ann Example <ann@example.org>  Tue, 31 Dec 2024 22:59:58 +0000

"""
BOTH = """lz4 (1:1.10.0-4+x+b1) sid; urgency=low, binary-only=yes

  * Append +x to version number; no source changes
  * Binary-only non-maintainer upload for arm64; no source changes.
  * one    two

 -- Ann Example <ann@example.org>  Tue, 03 Feb 2026 04:05:06 +0000

"""


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        (("--binNMU", "2", "--make-binNMU", "Rebuild against libfoo2"), BINNMU),
        (("--append-to-version", "+local1"), APPENDED),
        (("--append-to-version", "+x", "--make-binNMU", "one\ntwo", "--binNMU-timestamp", "now"), BOTH),
        (("--binNMU-changelog", f"\n{BINNMU}\n\n"), BINNMU),
    ],
)
def test_the_entry_is_sbuilds(words: tuple[str, ...], entry: str) -> None:
    addition = parse_target(parse(*words, *WHO)).addition
    assert addition is not None
    made = addition.text(source="lz4", version="1:1.10.0-4", distribution="sid", arch="arm64", date=LAST, now=NOW)
    assert made == entry
    assert addition.version("1:1.10.0-4") == entry.partition("(")[2].partition(")")[0]
    assert addition.is_binary_only is ("binary-only" in entry)


@pytest.mark.parametrize(
    ("timestamp", "date"),
    [
        ("increment", "Tue, 31 Dec 2024 23:00:01 +0000"),
        ("now", "Tue, 03 Feb 2026 04:05:06 +0000"),
        ("+1700000000", "Tue, 14 Nov 2023 22:13:20 +0000"),
        ("Mon, 01 Jan 2024 00:00:00 +0000", "Mon, 01 Jan 2024 00:00:00 +0000"),
    ],
)
def test_dates_of_a_binnmu(timestamp: str, date: str) -> None:
    assert Addition(binnmu=3, timestamp=timestamp).date(LAST, NOW) == date


def test_a_source_without_a_date_is_no_crash() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Addition(binnmu=1).date("yesterday", NOW)


def test_the_maintainer_comes_from_debchanges_variables() -> None:
    known = {"DEBFULLNAME": "Bob", "DEBEMAIL": "bob@example.org"}
    assert check_addition(Addition(binnmu=1, reason="x"), known.get).maintainer == "Bob <bob@example.org>"
    with pytest.raises(ConfigError) as caught:
        check_addition(Addition(binnmu=1, reason="x"), lambda name: None)
    assert "--maintainer" in caught.value.hint


@pytest.mark.parametrize(
    "addition",
    [
        Addition(suffix="+a b"),
        Addition(suffix="-1"),
        Addition(binnmu=1, reason="x", timestamp="soon"),
        Addition(entry="no changelog"),
        Addition(binnmu=1, maintainer="A <a@b>\n * forged"),
    ],
)
def test_values_that_would_break_a_changelog_are_refused(addition: Addition) -> None:
    with pytest.raises(ConfigError):
        check_addition(addition, {"DEBFULLNAME": "B", "DEBEMAIL": "b@example.org"}.get)


def test_a_binnmu_builds_no_packages_for_all_architectures() -> None:
    order = Order(
        source=ArchiveSource("lz4", None),
        choice=choose(preset="sid", arch="amd64"),
        directory=Path("out"),
        addition=Addition(binnmu=1, reason="x", maintainer="A <a@example.org>"),
    )
    assert order.parts(["any", "all"], "lz4") == TYPES["any"]
    assert (order.built_version("1.2-3"), order.target_distribution) == ("1.2-3+b1", "sid")
    with pytest.raises(ConfigError, match="nothing to build"):
        order.parts(["all"], "cowsay")
    only_all = replace(order, choice=choose(preset="sid", arch="amd64", options=["build.type=all"]))
    with pytest.raises(ConfigError, match="one architecture"):
        only_all.parts(["any", "all"], "lz4")
